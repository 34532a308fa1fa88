"""The tables: columns, values, and what stands where there is none."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from pose import recipe
from reports import formats
from reports.formats import Absent, Noted
from reports.page import summary
from reports.plots import cells as plots_cells
from reports.plots import training
from reports.run.read import Run, read
from reports.tables import cells as tables_cells
from reports.tables import conversion, failures, headline, literature, overview
from reports.tables import training as training_
from reports.tables.table import Column, Row, Table, letter, to_csv, to_markdown
from reports.words import cells as cells_

MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def run(full_run: Path) -> Run:
    return read(full_run)


def parsed(table: Table | None) -> list[dict[str, str]]:
    assert table is not None
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def test_the_per_epoch_table_has_exactly_its_columns_and_every_epoch(run: Run):
    text = to_csv(training_.per_epoch(run))
    assert text.splitlines()[0] == "Epoch,TensorFlow mAP,PyTorch mAP,TensorFlow val loss,PyTorch val loss"
    rows = parsed(training_.per_epoch(run))
    assert [int(row["Epoch"]) for row in rows] == list(range(1, 13))
    assert float(rows[10]["PyTorch mAP"]) == 0.418
    # Full precision: what was stored comes back bit by bit.
    assert float(rows[6]["TensorFlow val loss"]) == run.training["tf"].epochs[6].val_loss


def test_the_recipe_may_ask_for_some_epochs(run: Run):
    assert run.recipe is not None
    chosen = recipe.Report(table_epochs=(5, 10, 50))
    some = replace(run, recipe=run.recipe.model_copy(update={"report": chosen}))
    assert [row["Epoch"] for row in parsed(training_.per_epoch(some))] == ["5", "10"]
    assert "2 of 12 epochs" in training_.per_epoch(some).note
    none = recipe.Report(table_epochs=(50,))
    every = replace(run, recipe=run.recipe.model_copy(update={"report": none}))
    assert len(parsed(training_.per_epoch(every))) == 12


def test_a_twin_that_is_behind_is_a_dash_with_a_reason_and_never_zero(make_run: MakeRun):
    path = make_run()
    lines = (path / "train" / "tf" / "epochs.jsonl").read_text().splitlines(keepends=True)
    torn = '{"epoch": 8, "lr'
    (path / "train" / "tf" / "epochs.jsonl").write_text("".join(lines[:7]) + torn)
    (path / "train" / "tf" / "summary.json").unlink()
    table = training_.per_epoch(read(path))
    assert parsed(table)[7]["TensorFlow mAP"] == ""
    markdown = to_markdown(table)
    assert "| 8 | —<sup>a</sup> | 0.338 |" in markdown
    assert "- a: TensorFlow has not reached this epoch" in markdown
    trouble = failures.failures(read(path))
    row = next(row for row in parsed(trouble) if row["what"] == "TensorFlow training")
    assert (row["status"], row["reason"]) == ("unfinished", "it stands at epoch 7 of 12")


def test_half_a_training_is_compared_at_the_last_common_epoch(make_run: MakeRun):
    path = make_run()
    lines = (path / "train" / "torch" / "epochs.jsonl").read_text().splitlines(keepends=True)
    (path / "train" / "torch" / "epochs.jsonl").write_text("".join(lines[:7]))
    (path / "train" / "torch" / "summary.json").unlink()
    best, common, _ = parsed(headline.headline(read(path)))
    assert best["difference"] == best["AP_torch"] == ""
    assert common["part"] == "Validation, epoch 7 of both"
    assert float(common["difference"]) == pytest.approx(0.312 - 0.325)
    assert any("PyTorch training unfinished" in sentence for sentence in summary.sentences(read(path)))


def test_a_loss_that_was_not_finite_is_absent(make_run: MakeRun):
    path = make_run()
    lines = [json.loads(x) for x in (path / "train/tf/epochs.jsonl").read_text().splitlines()]
    lines[2] |= {"val_loss": None, "ap": None}
    (path / "train/tf/epochs.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    row = parsed(training_.per_epoch(read(path)))[2]
    assert (row["TensorFlow mAP"], row["TensorFlow val loss"]) == ("", "")


def test_the_headline_is_the_difference_of_both_twins(run: Run):
    rows = {row["part"]: row for row in parsed(headline.headline(run))}
    assert float(rows["Validation, best epoch of each"]["difference"]) == pytest.approx(-0.007)
    assert float(rows["Test, scored once"]["difference"]) == pytest.approx(-0.006)
    assert any("34 of 38 cells were measured" in sentence for sentence in summary.sentences(run))


def replace_cell(cell: object, **changes: object) -> object:
    import msgspec

    return msgspec.structs.replace(cell, **changes)  # type: ignore[type-var]


def test_a_size_without_ground_truth_is_absent_not_minus_one(run: Run):
    row = parsed(training_.test_part(run))[0]
    assert row["APL"] == ""
    assert float(row["AP"]) == 0.398
    assert "no ground truth of this size" in to_markdown(training_.test_part(run))  # type: ignore[arg-type]


def test_a_split_without_a_test_part_says_so(make_run: MakeRun):
    path = make_run()
    reason = "the 'official' split has no labelled test part"
    (path / "test.json").write_text(json.dumps({"split": None, "reason": reason}))
    opened = read(path)
    assert training_.test_part(opened) is None
    assert reason in to_markdown(headline.headline(opened))
    trouble = failures.failures(opened)
    assert trouble is not None
    assert "test part" not in {row["what"] for row in parsed(trouble)}


def test_every_cell_has_a_row_whatever_became_of_it(run: Run):
    rows = parsed(tables_cells.every_cell(run))
    assert len(rows) == len(run.cells) == 38
    by_status = {row["status"]: row for row in rows}
    assert set(by_status) == {"ok", "failed", "timeout", "oom", "unsupported"}
    assert by_status["unsupported"]["reason"] == "this machine has no CUDA device"
    assert by_status["unsupported"]["latency_p50_ms"] == ""
    assert by_status["timeout"]["images_per_s"] == ""


def test_a_timed_cell_carries_the_accuracy_of_its_own_kind(run: Run):
    rows = {row["id"]: row for row in parsed(tables_cells.every_cell(run))}
    bf16 = rows["torch-openvino-ir-bf16-cpu-b1-t2-glibc-latency"]
    assert bf16["accuracy_cell"] == "torch-openvino-ir-bf16-cpu-b8-t2-glibc-accuracy"
    assert float(bf16["AP"]) == pytest.approx(0.418 - 0.0031)
    assert float(bf16["latency_p90_ms"]) == pytest.approx(7.3 * 1.08, rel=0.02)
    assert rows["torch-torch-eager-fp32-cuda-b1-t2-glibc-latency"]["AP"] == ""


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        ("ground truth", "Boxes: ground truth."),
        ("/data/person_detections.json", "Boxes: person_detections.json."),
    ],
)
def test_whatever_shows_an_ap_names_its_boxes(run: Run, stored: str, named: str):
    assert run.test is not None
    told = replace(run, facts={**run.facts, "boxes": stored}, test=replace(run.test, boxes=stored))
    figure = plots_cells.ap_against_latency(told)
    for shown in (tables_cells.every_cell(told), overview.overview(told), training_.test_part(told), figure):
        assert shown is not None
        assert named in shown.note
    trained = next(plot for plot in training.training_curves(told) if plot.name == "training_ap")
    for note in (training_.training(told).note, trained.note):  # type: ignore[union-attr]
        assert "Boxes: ground truth." in note


def test_rows_of_the_overview_stand_in_lanes(run: Run):
    table = overview.overview(run)
    assert table is not None
    lanes = list(dict.fromkeys(row.group for row in table.rows))
    assert lanes == [
        "CPU, strict-fp32, 2 threads, glibc allocator",
        "CPU, bf16, 2 threads, glibc allocator",
        "CUDA GPU, strict-fp32, 2 threads, glibc allocator",
    ]
    compiled = next(row for row in parsed(table) if (row["runtime"], row["mode"]) == ("tf", "compiled"))
    assert compiled["latency_p50_ms_b1"] == ""
    assert float(compiled["images_per_s_b8"]) == pytest.approx(1350.0 / 20.1, rel=0.02)
    assert "| failed<sup>" in to_markdown(table)


def test_what_failed_lists_each_trouble_with_its_command(run: Run):
    rows = {row["what"]: row for row in parsed(failures.failures(run))}
    assert rows["tf-openvino-ir-bf16-cpu-b8-t2-glibc-throughput"]["status"] == "oom"
    flagged = rows["torch-onnxruntime-ir-fp32-cpu-b1-t2-glibc-latency"]
    assert (flagged["status"], flagged["reason"]) == ("FLAGGED", "IQR is 12.1% of the median")
    assert rows["torch torch-export"]["command"] == "twinpose convert runs/demo --twin torch"
    assert all(row["command"].startswith("twinpose ") for row in rows.values())


def test_a_cell_of_another_split_or_precision_is_no_longer_trusted(run: Run):
    eager = next(c for c in run.cells if c.axes.mode == "eager" and c.status == "ok")
    stale = replace_cell(eager, split_sha256="0" * 64)
    other = replace_cell(eager, effective={"precision": "torch.bfloat16"})
    for cell, status in ((stale, "stale"), (other, "mismatch")):
        found = failures.failures(replace(run, cells=(cell,), bench=None))  # type: ignore[arg-type]
        assert status in {row["status"] for row in parsed(found)}


def test_a_cell_of_an_artifact_that_was_made_anew_is_no_longer_trusted(make_run: MakeRun):
    path = make_run()
    weights = path / "train" / "torch" / "best.safetensors"
    weights.write_bytes(b"trained again")
    (path / "artifacts" / "tf" / "model.xml").write_text("converted again")
    rows = {row["what"]: row for row in parsed(failures.failures(read(path)))}
    stale = {what for what, row in rows.items() if row["status"] == "stale"}
    remade = {c.id for c in read(path).cells if c.status == "ok" and remakes(c.axes)}
    assert stale == remade
    assert len(stale) > 6


def remakes(axes: Cell) -> bool:
    return axes.runtime == "torch" or (axes.twin, axes.runtime) == ("tf", "openvino")


def test_cells_of_the_matrix_that_have_not_run_are_counted(make_run: MakeRun):
    path = make_run()
    for name in ("tf-tf-graph-fp32-cpu-b1-t2-glibc-latency", "tf-tf-graph-fp32-cpu-b8-t2-glibc-throughput"):
        (path / "bench" / "cells" / f"{name}.json").unlink()
    found = parsed(failures.failures(read(path)))
    assert any(row["reason"].startswith("2 of 37 cells of the matrix are not measured yet") for row in found)


def test_the_conversion_is_relative_to_its_source(run: Run):
    rows = parsed(conversion.conversion(run))
    assert float(rows[0]["relative_difference"]) == pytest.approx(1.8e-6 / 0.061)
    assert rows[3]["max_abs_difference"] == ""
    assert rows[3]["status"] == "failed"


def test_published_figures_stand_apart_and_only_beside_their_own_network(run: Run):
    assert literature.published(run) is None
    assert run.recipe is not None
    model = run.recipe.model.model_copy(
        update={"backbone": "resnet50", "input_size": (192, 256), "deconv_channels": 256}
    )
    for name, expected in (("coco_resnet50_256x192", [0.704, 0.724]), ("study_resnet50_256x192", None)):
        changed = run.recipe.model_copy(update={"name": name, "model": model})
        found = parsed(literature.published(replace(run, recipe=changed)))
        values = [float(row["AP"]) for row in found]
        assert values == (expected or [0.704, 0.724, 0.725, 0.730])
        assert all(row["source"] for row in found)
        # The paper has no figure with ground-truth boxes: an author gave it in an issue.
        assert [row["AP"] for row in found if "ECCV 2018" in row["source"]] == [found[0]["AP"]]
        assert "issue 15" in found[1]["source"]
    narrow = model.model_copy(update={"deconv_channels": 64})
    assert literature.matching(run.recipe.model_copy(update={"name": "coco_x", "model": narrow})) == ()


def test_lanes_name_what_must_be_equal():
    cell = Cell("torch", "openvino", "ir", "bf16", "intel-gpu", 1, 1, "tuned", "latency")
    assert cells_.lane(cell) == "Intel GPU, bf16, 1 thread, tuned allocator"


def test_a_precision_of_a_later_version_comes_last_and_breaks_nothing():
    cells = [
        Cell("torch", "openvino", "ir", precision, "cpu", 1, 2, "glibc", "latency")
        for precision in ("int4", "int8", "fp32", "bf16")
    ]
    assert [c.precision for c in sorted(cells, key=cells_.order)] == ["fp32", "bf16", "int8", "int4"]


def test_an_ap_near_zero_is_no_result(run: Run):
    low = {
        twin: replace(found, epochs=tuple(replace(line, ap=0.001) for line in found.epochs))
        for twin, found in run.training.items()
    }
    assert any("not how well" in said for said in summary.sentences(replace(run, training=low)))
    assert not any("not how well" in said for said in summary.sentences(run))


def test_an_accuracy_cell_that_failed_is_named_in_place_of_the_ap(run: Run):
    wanted = "torch-torch-eager-fp32-cpu-b8-t2-glibc-accuracy"
    cells = tuple(
        replace_cell(c, status="failed", reason="boom", stats={}) if c.id == wanted else c for c in run.cells
    )
    table = overview.overview(replace(run, cells=cells))
    assert table is not None
    assert f"failed: boom ({wanted})" in table.reasons


def test_footnotes_run_on_after_z():
    assert [letter(i) for i in (0, 25, 26, 27, 52)] == ["a", "z", "aa", "ab", "ba"]


VALUES = st.one_of(
    st.text(), st.floats(allow_nan=False), st.integers(), st.builds(Absent, st.text(min_size=1)),
    st.builds(Noted, st.text(), st.text(min_size=1)),
)  # fmt: skip


@given(st.lists(st.tuples(VALUES, VALUES), max_size=8))
def test_any_table_is_rectangular_in_both_formats(found):
    columns = (Column("a", "A"), Column("b", "B", kind="code"))
    table = Table("t", "T", columns, tuple(Row(values) for values in found), "", "twinpose report", "x")
    written = list(csv.reader(io.StringIO(to_csv(table), newline="")))
    assert [len(row) for row in written if row] == [2] * (len(found) + 1)
    lines = to_markdown(table).split("\n\n")[1].splitlines()
    assert len(lines) == len(found) + 2
    assert {line.replace("\\|", "").count("|") for line in lines} == {3}


@given(st.floats(min_value=-1, max_value=1))
def test_a_difference_is_never_a_signed_zero(value: float):
    said = formats.difference(value)
    assert said not in {"+0.000", "−0.000", "-0.000"}
    assert float(said.replace("−", "-")) == pytest.approx(value, abs=0.0005001)


@pytest.mark.parametrize(
    ("show", "value", "said"),
    [
        (formats.milliseconds, 0.1234, "0.123"),
        (formats.milliseconds, 7.304, "7.30"),
        (formats.milliseconds, 51.64, "51.6"),
        (formats.milliseconds, 1234.56, "1234.6"),
        (formats.seconds, 0.42, "0.4 s"),
        (formats.seconds, 59.7, "1 min 00 s"),
        (formats.seconds, 7800, "2 h 10 min"),
        (formats.mebibytes, 2**31, "2 048"),
        (formats.tiny, 0.0, "0"),
        (formats.tiny, 2.1e-6, "2.1e-06"),
        (formats.loss, 0.0005, "0.0005000"),
    ],
)
def test_numbers_have_sensible_digits(show: Callable[[float], str], value: float, said: str):
    assert show(value) == said


def test_nothing_failed_is_said_too(make_run: MakeRun):
    path = make_run()
    cells = path / "bench" / "cells"
    for file in cells.glob("*.json"):
        cell = json.loads(file.read_text())
        if cell["status"] != "ok" or cell["validity"]["verdict"] != "VALID":
            file.unlink()
    shutil.copy(path / "artifacts/tf/conversion.json", path / "artifacts/torch/conversion.json")
    (path / "bench" / "bench.json").unlink()
    assert failures.failures(read(path)) is None
