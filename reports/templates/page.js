"use strict";
// Sorts, filters and re-bases the tables in place. Without it everything is there, in the order of lanes.

const FEW_ROWS = 12;

function number(text) {
  // Durations such as 3 min 05 s, numbers such as 1 432, −0.003, 1.52×; NaN where there is none.
  const parts = text.match(/^(?:(\d+) h )?(?:(\d+) min)? ?(\d+)?/);
  if (/^\d+ (h|min) /.test(text)) return 3600 * (parts[1] || 0) + 60 * (parts[2] || 0) + Number(parts[3] || 0);
  const plain = text.replace(/\u2212/g, "-").replace(/< /, "").replace(/(\d) (?=\d{3}\b)/g, "$1");
  const found = plain.match(/[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?/);
  return found ? Number(found[0]) : NaN;
}

function said(row, place) {
  // A footnote's letter is no part of what a cell says.
  const copy = row.cells[place].cloneNode(true);
  copy.querySelectorAll("sup").forEach((one) => one.remove());
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function rowsOf(body) {
  return [...body.rows].filter((row) => !row.classList.contains("group"));
}

function sort(table, head) {
  const place = head.cellIndex, down = head.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("thead th").forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const way = down ? -1 : 1, byNumber = head.classList.contains("number");
  // Within each lane: rows of two lanes do not compare.
  for (const body of table.tBodies) {
    const keyed = rowsOf(body).map((row) => [byNumber ? number(said(row, place)) : said(row, place), row]);
    const absent = (value) => (byNumber ? Number.isNaN(value) : value === "—");
    keyed.sort(([a], [b]) => {
      if (absent(a) || absent(b)) return absent(a) - absent(b);
      return way * (byNumber ? a - b : a.localeCompare(b, "en", { numeric: true }));
    });
    keyed.forEach(([, row]) => body.append(row));
  }
}

function addSorting(table) {
  for (const head of table.querySelectorAll("thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head));
    head.append(button);
  }
}

function show(table, count, keeps) {
  let shown = 0, all = 0;
  for (const body of table.tBodies) {
    const heading = body.querySelector(".group")?.textContent ?? "";
    let any = false;
    for (const row of rowsOf(body)) {
      row.hidden = !keeps(row, heading);
      any ||= !row.hidden;
      shown += !row.hidden;
      all += 1;
    }
    body.hidden = !any;
  }
  count.textContent = shown === all ? "" : `${shown} of ${all} rows`;
}

function addTools(table, name) {
  const tools = document.createElement("div"), field = document.createElement("input");
  const count = document.createElement("output");
  tools.className = "tools";
  field.type = "search";
  field.placeholder = "Filter rows";
  field.setAttribute("aria-label", `Filter the rows of ${name}`);
  const pick = table.dataset.baseline ? addBaseline(table, name) : null;
  const renew = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const based = pick ? rebase(table, pick.value) : () => true;
    show(table, count, (row, heading) => {
      const told = `${heading} ${row.textContent}`.toLowerCase();
      return based(row) && words.every((word) => told.includes(word));
    });
  };
  field.addEventListener("input", renew);
  pick?.addEventListener("change", renew);
  tools.append(field, ...(pick ? [pick] : []), count);
  table.caption.firstElementChild.append(tools);
}

function columns(table) {
  return Object.fromEntries([...table.tHead.rows[0].cells].map((head) => [head.dataset.key, head.cellIndex]));
}

function addBaseline(table, name) {
  const at = columns(table), pick = document.createElement("select");
  pick.setAttribute("aria-label", `Baseline of ${name}`);
  const names = new Set();
  for (const body of table.tBodies) for (const row of rowsOf(body)) for (const key of ["a_name", "b_name"]) names.add(said(row, at[key]));
  pick.append(new Option("Every pair", ""), ...[...names].sort().map((one) => new Option(`Against ${one}`, one)));
  return pick;
}

const UNLIKE = { faster: "slower", slower: "faster" };

function rebase(table, baseline) {
  // Turn the rows whose A is the baseline around: the ratio and its interval become their inverses.
  const at = columns(table);
  for (const body of table.tBodies) {
    for (const row of rowsOf(body)) {
      if (!row.dataset.was) row.dataset.was = said(row, at.a_name);
      const turned = row.dataset.turned === "1";
      const first = row.dataset.was;
      if ((baseline !== "" && first === baseline) !== turned) turn(row, at);
    }
  }
  return (row) => baseline === "" || said(row, at.b_name) === baseline;
}

function turn(row, at) {
  row.dataset.turned = row.dataset.turned === "1" ? "0" : "1";
  const a = row.cells[at.a_name], b = row.cells[at.b_name];
  const names = [[...a.childNodes], [...b.childNodes]];
  a.replaceChildren(...names[1]);
  b.replaceChildren(...names[0]);
  const by = row.cells[at.speedup_said], ends = row.cells[at.interval_said];
  const value = number(by.textContent), found = ends.textContent.match(/[\d.]+/g);
  const shown = by.textContent;
  by.textContent = by.dataset.other ?? (Number.isNaN(value) ? shown : `${inverse(value, shown)}×`);
  by.dataset.other = shown;
  const interval = ends.textContent;
  ends.textContent = ends.dataset.other ?? (found?.length === 2 ? `[${inverse(found[1], found[1])}, ${inverse(found[0], found[0])}]` : interval);
  ends.dataset.other = interval;
  const verdict = row.cells[at.verdict].querySelector(".status");
  const other = UNLIKE[verdict?.dataset.status];
  if (other) verdict.textContent = verdict.dataset.status = other;
}

function inverse(value, like) {
  const decimals = (String(like).match(/\.(\d+)/) ?? ["", "00"])[1].length;
  return (1 / Number(value)).toFixed(decimals);
}

function opened() {
  // A link into a folded table unfolds it.
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target && target.closest("details");
  if (folded && !folded.open) {
    folded.open = true;
    target.scrollIntoView();
  }
}

for (const table of document.querySelectorAll(".table table")) {
  const name = table.caption.querySelector("b").textContent.replace(/\.$/, "");
  const rows = [...table.tBodies].reduce((count, body) => count + rowsOf(body).length, 0);
  if (rows > 1) addSorting(table);
  if (rows > FEW_ROWS) addTools(table, name);
}
addEventListener("hashchange", opened);
opened();
