"""The report as a whole: what is written, from complete runs and from partial ones."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import bench_files
import pytest

from pose.errors import UserError
from reports import build as built
from reports.build import build
from reports.page import html
from reports.run.read import read
from reports.tables.table import to_markdown
from reports.words.measurement import NO_INTERVAL

ROOT = Path(__file__).resolve().parents[2]
MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def report(full_run: Path) -> Path:
    """Return the report of the whole run."""
    return build(full_run)


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return report.read_text()


def rows(report: Path, name: str) -> list[dict[str, str]]:
    with (report.parent / "tables" / f"{name}.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


class Elements(HTMLParser):
    """Collects start tags; void elements aside, every tag must be closed in order."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_whole_run_gives_every_table_and_plot(report: Path):
    tables = {path.name for path in (report.parent / "tables").iterdir()}
    names = {
        *("headline", "per_epoch_map", "training", "test", "conversion", "runtime_overview"),
        *("parity", "certificates", "runtime_comparison", "failures", "stages"),
        *("measurement", "comparisons", "conditions", "pipeline_parts", "train_parts", "epochs"),
        *("network", "startup", "roofline"),
    }
    assert tables == {f"{name}.{suffix}" for name in names for suffix in ("csv", "md", "tex")}
    plots = {path.name for path in (report.parent / "plots").iterdir()}
    figures = {
        *("training_ap", "training_loss", "learning_rate", "loss_against_ap", "epoch_time"),
        *("parity_errors", "ap_against_latency", "latency", "throughput", "samples"),
        *("comparisons", "pipeline_parts", "train_parts", "at_a_glance", "roofline"),
    }
    assert plots == {f"{name}.{suffix}" for name in figures for suffix in ("svg", "png")}


def test_the_page_asks_nothing_of_a_network(page: str):
    assert re.findall(r"https?:", page) == []
    assert re.findall(r"<script[^>]*>", page) == ["<script>"]
    assert not re.search(r"@import|\bfetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon", page)
    assert "default-src 'none'; img-src data:" in page
    elements = Elements(page)
    links = [a.get("href") or a.get("src") or "" for _, a in elements.tags if "href" in a or "src" in a]
    assert links
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)


def test_the_page_is_well_formed_and_its_links_lead_somewhere(page: str):
    elements = Elements(page)
    assert elements.open == []
    ids = [attrs["id"] for _, attrs in elements.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {(a["href"] or "")[1:] for _, a in elements.tags if (a.get("href") or "").startswith("#")}
    targets |= {x for _, a in elements.tags for x in (a.get("aria-labelledby") or "").split()}
    targets |= set(re.findall(r"url\(#([^)]+)\)", page))
    assert targets <= set(ids)


def test_every_plot_is_inline_described_and_free_of_fixed_colours(page: str):
    figures = re.findall(r'<figure id="figure-(\w+)" class="plot.*?</figure>', page, re.DOTALL)
    assert figures == [
        *("at_a_glance", "training_ap", "training_loss", "loss_against_ap", "epoch_time", "learning_rate"),
        *("comparisons", "latency", "throughput", "pipeline_parts", "train_parts"),
        *("ap_against_latency", "roofline", "parity_errors"),
    ]
    for body in re.findall(r'class="plot.*?(<svg.*?</svg>)', page, re.DOTALL):
        assert 'role="img"' in body
        assert "<title " in body
        assert "<desc " in body
        assert re.findall(r"#[0-9a-fA-F]{6}\b", body) == []


def test_every_table_has_a_caption_and_names_its_csv(page: str):
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert len(tables) == 19
    assert all("<caption" in table and 'scope="col"' in table and 'scope="row"' in table for table in tables)
    named = re.findall(r'<p class="source">tables/(\w+)\.csv</p>', page)
    assert named == re.findall(r'<(?:div|details) class="table" id="table-(\w+)"', page)


def test_what_made_a_table_or_a_figure_is_said_once_for_all_that_share_it(page: str):
    said = re.findall(r'<p class="source made">(.*?)</p>', page, re.DOTALL)
    assert all(re.match(r"Made by <code>twinpose .+?</code>: (Table|Figure)s? \d", one) for one in said)
    told = [set(re.findall(rf"{kind}s? ([\d, and]+) ", " ".join(said))) for kind in ("Table", "Figure")]
    counted = [{int(n) for one in of for n in re.findall(r"\d+", one)} for of in told]
    assert counted == [set(range(1, 20)), set(range(1, 16))]
    for section in re.findall(r"<section id=.*?</section>", page, re.DOTALL):
        commands = re.findall(r'class="source made">Made by <code>(.*?)</code>', section)
        assert len(commands) == len(set(commands))
    bench = next(one for one in said if "twinpose bench runs/demo</code>" in one)
    assert bench.count("bench/comparisons.json and bench/bench.json") == 1


def test_one_word_and_one_direction_for_ap(page: str):
    text = re.sub(r"<[^>]+>", "", page)
    assert text.count("mAP") == 1
    assert "What the study and the columns of the CSV call mAP is the same number." in text
    assert "TensorFlow − PyTorch" in text
    assert "PyTorch − TensorFlow" not in text


def test_every_figure_names_the_csv_of_its_data(report: Path, page: str):
    figures = re.findall(r'<figure id="figure-(\w+)".*?its data: tables/(\w+)\.csv', page, re.DOTALL)
    assert [name for name, _ in figures] == re.findall(r'<figure id="figure-(\w+)"', page)[: len(figures)]
    assert len(figures) >= 11
    assert all((report.parent / "tables" / f"{data}.csv").is_file() for _, data in figures)


def test_a_table_for_a_paper_is_latex_that_escapes_what_latex_would_obey(report: Path):
    text = (report.parent / "tables" / "comparisons.tex").read_text()
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert (body[0], body[-1]) == (r"\begin{tabular}{llrrlrrr}", r"\end{tabular}")
    assert r"\multicolumn{8}{l}{\textbf{Latency, CPU, strict-fp32, batch 1" in text
    assert r"$\times$ & [" in text
    assert r"outside $\pm$2 \%" in text
    assert all(line.count(" & ") == 7 for line in body if line.endswith(r"\\") and "multicolumn" not in line)


def test_the_same_run_gives_the_same_bytes_and_keeps_nothing_of_an_earlier_report(report: Path):
    first = hashes(report.parent)
    for name in ("plots/gone.svg", "tables/gone.csv"):
        (report.parent / name).touch()
    again = build(report.parent.parent)
    assert again == report
    assert hashes(report.parent) == first


def test_a_hover_names_the_cell_behind_a_point(page: str):
    assert "<title>torch-openvino-ir-bf16-cpu-b1-t2-glibc-latency: p50 7.30 ms, AP 0.415</title>" in page


def test_a_hover_names_both_cells_behind_a_comparison(page: str):
    a = "torch-openvino-ir-fp32-cpu-b1-t2-glibc-latency"
    b = "tf-tf-graph-fp32-cpu-b1-t2-glibc-latency"
    assert re.search(rf"<title>{a} against {b}: 2\.0\d+× \[2\.0\d+, 2\.0\d+\] faster</title>", page)


def test_the_first_screen_answers_eight_questions_and_says_no_method(page: str):
    head = page[page.index("<h1>") : page.index("<nav")]
    found = re.findall(r"<dt>(.*?)</dt>\s*<dd><strong>(.*?)</strong>(.*?)</dd>", head, re.DOTALL)
    assert [question for question, _, _ in found] == [
        *("Same network?", "Equally accurate?", "Trains faster?", "Fastest at batch 1?", "In throughput?"),
        *("At what cost?", "Ship here?", "How sure?"),
    ]
    assert found[3][1] == "OpenVINO"
    assert re.search(r"1\.\d+× PyTorch eager <span class=\"whole\">\[1\.\d+, 1\.\d+\]", found[3][2])
    assert head.index('class="answers"') < head.index('id="figure-at_a_glance"')
    assert "profile" not in head


def test_every_answer_leads_to_its_evidence(page: str):
    head = page[page.index("<h1>") : page.index("<nav")]
    links = re.findall(r'class="evidence"><a href="#([\w-]+)"', head)
    assert len(links) == 8
    assert "failures" not in links
    assert all(f'id="{link}"' in page for link in links)


def test_an_answer_without_evidence_leads_to_what_is_missing(make_run: MakeRun):
    run = make_run()
    (run / "parity.json").unlink()
    opened = read(run)
    text = html.render(opened, built.all_tables(opened), [])
    first = text[text.index("Same network?") : text.index("Equally accurate?")]
    assert '<a href="#failures">what is missing</a>' in first


def test_a_summary_for_a_pull_request_has_the_answers_alone(report: Path):
    text = (report.parent / "summary.md").read_text()
    assert text.startswith("**demo**: TensorFlow and PyTorch, ResNet-18 pose network, 2 cores of Example CPU")
    assert text.count("\n| ") == 9
    assert "| Same network? | **Yes, proven**: float64 outputs agree to 4.4e-14" in text
    assert "`twinpose bench runs/demo -k accuracy`" in text
    assert len(text) < 4000


def test_how_it_was_measured_comes_after_what_was_found(page: str):
    titles = re.findall(r"<h2 id=.*?>(.*?)</h2>", page)
    assert titles == [
        *("Accuracy by epoch", "Runtimes", "The network", "Parity", "Conversion", "People"),
        *("Method and machine", "What failed"),
    ]


def test_the_noise_floor_stands_with_the_method(page: str):
    head = page[page.index('id="method"') : page.index('id="table-measurement"')]
    assert "<strong>Bench: VALID.</strong>" in head
    assert "One cell, measured as two arms, against itself:" in head
    assert "The harness itself costs 2.9 µs a query." in head
    assert "May be cited, each with its interval" in head
    assert NO_INTERVAL not in head


def test_a_bench_that_was_killed_in_its_first_pass_still_gives_a_report_and_its_warning(make_run: MakeRun):
    run = make_run()
    bench_files.as_first_pass(run)
    text = build(run).read_text()
    head = text[text.index('id="method"') : text.index('id="table-measurement"')]
    assert "<strong>Bench: not judged.</strong>" in head
    assert NO_INTERVAL in head
    assert {path.name for path in (run / "report" / "plots").iterdir()}.isdisjoint({"comparisons.svg"})
    cells = rows(run / "report" / "report.html", "runtime_comparison")
    one = next(row for row in cells if row["id"] == bench_files.FIRST)
    assert (one["rounds"], one["peak_memory_bytes"], one["interval_low"]) == ("1", "621000000", "")
    assert Elements(text).open == []


def spoil_the_bench(run: Path, text: str) -> None:
    """Put a text into whatever of the bench's files is shown."""
    bench = json.loads((run / "bench" / "bench.json").read_text())
    bench["noise"] |= {"verdict": "FLAGGED", "reasons": [text]}
    bench["limits"]["peaks"][0]["kernel"] = text
    bench["matrix"]["protocol"]["profile"] = text
    compared = json.loads((run / "bench" / "comparisons.json").read_text())
    compared["comparisons"][0]["reason"] = text
    compared["comparisons"][1] |= {"a": text, "lane": text}
    for name, content in (("bench", bench), ("comparisons", compared)):
        (run / "bench" / f"{name}.json").write_text(json.dumps(content))
    cell = run / "bench" / "cells" / f"{bench_files.FIRST}.json"
    raw = json.loads(cell.read_text())
    raw["rounds"][0]["conditions"]["doubts"] = [text]
    cell.write_text(json.dumps(raw))
    (run / "bench" / "mlperf").mkdir()
    row = {"id": text, "scenarios": [{"scenario": text, "result_valid": False, "reasons": [text]}]}
    (run / "bench" / "mlperf" / "x.json").write_text(json.dumps(row))


def test_what_comes_from_files_is_escaped(make_run: MakeRun):
    run = make_run('<script>alert("x")</script>')
    facts = json.loads((run / "run.json").read_text())
    facts["machine"]["cpu"]["model"] = "<img src=x onerror=alert(1)>"
    facts["command"] = "twinpose run <script>"
    spoil_the_bench(run, "<i>x</i>")
    (run / "run.json").write_text(json.dumps(facts))
    opened = read(run)
    text = html.render(opened, built.all_tables(opened), [])
    assert text.count("<script") == 1
    assert "<img" not in text
    assert "<b>XLA" not in text
    assert "<i>x" not in text
    assert text.count("&lt;i&gt;x&lt;/i&gt;") >= 6
    assert "InternalError: &lt;b&gt;XLA&lt;/b&gt; compilation failed" in text
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in text
    assert all("<b>" not in to_markdown(table) for table in built.all_tables(opened))


def test_a_folder_that_is_no_run_is_the_users_error(tmp_path: Path):
    with pytest.raises(UserError, match=r"is no run folder .* twinpose run --recipe demo --out"):
        build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_file_is_named(make_run: MakeRun):
    run = make_run()
    (run / "bench" / "comparisons.json").write_text('{"comparisons": 3}')
    with pytest.raises(UserError, match=r"comparisons\.json is not as it was written"):
        build(run)
    (run / "bench" / "comparisons.json").write_text('{"schema": 99}')
    with pytest.raises(UserError, match=r"comparisons\.json has schema 99, this twinpose reads up to"):
        build(run)
    (run / "test.json").write_text('{"split": 3}')
    with pytest.raises(UserError, match=r"test\.json is not what 'twinpose run' writes"):
        build(run)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"parity\.json"),
        (
            '{"schema": 1, "id": 3}',
            r"parity\.json is no certificate of schema 1 .*; climb again with 'twinpose parity",
        ),
        ('{"schema": 2}', r"parity\.json has schema 2, this twinpose reads up to 1"),
    ],
)
def test_a_ladder_that_cannot_be_read_is_the_users_error(make_run: MakeRun, text: str, said: str):
    run = make_run()
    (run / "parity.json").write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        build(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("gone", "said", "command"),
    [
        ("train/torch", "PyTorch training: absent", "twinpose train runs/demo --twin torch"),
        ("test.json", "Test part: absent", "twinpose eval runs/demo"),
        ("artifacts/tf", "TensorFlow conversion: absent", "twinpose convert runs/demo --twin tf"),
        ("parity.json", "Parity: absent", "twinpose parity"),
        ("bench", "Bench: absent", "twinpose bench runs/demo"),
        ("samples", "Sample images: absent", "twinpose report"),
    ],
)
def test_a_missing_part_is_said_with_the_command_that_makes_it(
    make_run: MakeRun, gone: str, said: str, command: str
):
    run = make_run()
    path = run / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    opened = read(run)
    # What is absent does not depend on the plots, which are most of the time.
    text = html.render(opened, built.all_tables(opened), [])
    assert said in text
    assert f"<code>{command}" in text[text.index(said) :][:400]
    assert 'data-status="absent"' in text[text.index('id="table-failures"') :]


def test_a_run_that_only_began_has_a_report(make_run: MakeRun):
    run = make_run()
    for name in ("train", "artifacts", "bench", "samples"):
        shutil.rmtree(run / name)
    for name in ("test.json", "parity.json", "recipe.yaml", "split.json"):
        (run / name).unlink()
    report = build(run)
    assert report.read_text().count('class="absent"') >= 5
    assert {row["what"] for row in rows(report, "failures")} >= {"recipe", "split", "bench", "test part"}
    assert {row["AP_tf"] for row in rows(report, "headline")} == {""}


def test_pngs_are_sharp_enough_for_print(report: Path):
    header = (report.parent / "plots" / "latency.png").read_bytes()[:24]
    assert int.from_bytes(header[16:20], "big") == round(7.4 * 150)


def test_templates_are_part_of_the_package():
    folder = Path(built.__file__).parent / "templates"
    assert {path.name for path in folder.iterdir()} >= {"report.html.j2", "parts.html.j2", "style.css"}
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "reports" in config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_every_table_can_be_read_by_a_program_and_sorted_by_a_keyboard(page: str):
    script = page[page.index("<script>") :]
    assert 'createElement("button")' in script
    assert "aria-sort" in script
    heads = re.findall(r"<thead><tr>(.*?)</tr>", page, re.DOTALL)
    assert all(head.count("<th ") == len(re.findall(r' data-key="[^"]+"', head)) for head in heads)
    assert len(re.findall(r"<table data-baseline", page)) == 1
