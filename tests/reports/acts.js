// What a reader does with the page; test_browser.py reads what came of it.
const told = { errors: window.failures };
const table = (name) => document.querySelector(`#table-${name} table`);
const column = (name, key, body = 0) => {
  const place = [...table(name).tHead.rows[0].cells].find((head) => head.dataset.key === key).cellIndex;
  const rows = [...table(name).tBodies[body].rows].filter((row) => !row.matches(".group") && !row.hidden);
  return rows.map((row) => row.cells[place].textContent.trim());
};
const press = (name, key) => table(name).querySelector(`th[data-key="${key}"] button`).click();
const type = (field, value, kind = "input") => { field.value = value; field.dispatchEvent(new Event(kind)); };
const order = () => table("per_epoch_map").querySelector("[aria-sort]")?.getAttribute("aria-sort");

press("per_epoch_map", "TensorFlow mAP");
told.up = column("per_epoch_map", "TensorFlow mAP"), told.order_up = order();
press("per_epoch_map", "TensorFlow mAP");
told.down = column("per_epoch_map", "TensorFlow mAP"), told.order_down = order();
press("training", "train_s"), told.times = column("training", "train_s");
press("runtime_overview", "latency_p50_ms_b1");
told.absent_last = column("runtime_overview", "latency_p50_ms_b1");

const filter = table("comparisons").querySelector("input");
const pick = table("comparisons").querySelector("select");
told.every = column("comparisons", "speedup_said");
type(pick, "PyTorch on OpenVINO", "change");
told.against = column("comparisons", "b_name"), told.turned = column("comparisons", "speedup_said");
told.turned_interval = column("comparisons", "interval_said"), told.verdicts = column("comparisons", "verdict");
type(pick, "", "change"), told.back = column("comparisons", "speedup_said");
type(filter, "eager onnx latency");
told.filtered = column("comparisons", "a_name"), told.count = table("comparisons").querySelector("output").textContent;
told.lanes = [...table("comparisons").tBodies].filter((body) => !body.hidden).length;

told.links = document.links.length;
told.broken = [...document.links].filter((one) => !document.querySelector(one.getAttribute("href"))).map(String);
location.hash = "#table-conditions";
dispatchEvent(new HashChangeEvent("hashchange"));
told.unfolded = document.querySelector("details#table-conditions").open;
told.buttons = document.querySelectorAll("thead button").length;
told.requests = performance.getEntriesByType("resource").length;
const out = document.createElement("pre");
out.id = "told";
out.textContent = JSON.stringify(told);
document.body.append(out);
