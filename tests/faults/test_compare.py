"""Two runs are judged on what they share: a network, and for an AP boxes, people, protocol and training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mini_coco
import pytest
import run_folders
import twins
from commands import Say
from crowds import crowded, found_in, keep

from bench.cells.cell import Cell
from bench.compare import rows, sides, text
from bench.compare.records import MACHINES_DIFFER, NOT_MEASURED, REGRESSED, ComparedRuns
from bench.run.folder import Settings
from bench.run.results import CellResult
from bench.stages import preparing
from pose import bootstrap, recipe
from pose.errors import UserError
from pose.files import sha256_of_file

LATENCY, ACCURACY = run_folders.cell(), run_folders.cell("accuracy", batch=8)
PIPELINE, LOADER = run_folders.cell("pipeline"), run_folders.cell("data", batch=8)
TRAIN = run_folders.cell("train", batch=8)
FAST, SLOW = [20.0, 20.1, 20.2, 20.3], [30.0, 30.1, 30.2, 30.3]
RECIPE = {
    "name": "t",
    "model": {"backbone": "resnet50", "input_size": [192, 256]},
    "training": {"epochs": 140, "batch_size": 32},
}


def run(folder: Path, results: list[CellResult], *, more: Any = None, **facts: Any) -> Path:
    """Write a benched run of RECIPE, of which `more` gives other values, with `facts` in run.json."""
    run_folders.write(folder, results, comparisons=facts.pop("comparisons", ()))
    raw = {**RECIPE, **{name: {**RECIPE.get(name, {}), **values} for name, values in (more or {}).items()}}
    (folder / "recipe.yaml").write_text(recipe.from_dict(raw).to_yaml())
    known = {"schema": 1, "coco": "data", "boxes": "ground truth", "device": "cpu", "threads": 2}
    (folder / "run.json").write_text(json.dumps({**known, "workers": 0, "stages": {}, **facts}))
    return folder


def compared(a: Path, b: Path) -> ComparedRuns:
    return rows.compare_sides(sides.read(a), sides.read(b))


def cells(timing: list[float], ap: float, **patch: Any) -> list[CellResult]:
    timed = [run_folders.result(one, timing, **patch) for one in (LATENCY, TRAIN)]
    return [*timed, run_folders.result(ACCURACY, [ap], **patch)]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"backbone": "resnet18"}, "model.backbone resnet50 -> resnet18"),
        ({"input_size": [288, 384]}, "model.input_size [192, 256] -> [288, 384]"),
        ({"deconv_layers": 2}, "model.deconv_layers 3 -> 2"),
        (
            {"backbone": "resnet18", "deconv_channels": 128},
            "model.backbone resnet50 -> resnet18, model.deconv_channels 256 -> 128",
        ),
    ],
)
def test_another_network_is_not_comparable(tmp_path: Path, say: Say, model: dict[str, Any], why: str) -> None:
    a = run(tmp_path / "a", cells(FAST, 0.7))
    b = run(tmp_path / "b", cells(SLOW, 0.3), more={"model": model}, boxes="/x/detections.json")
    both = compared(a, b)
    assert {(row.status, row.verdict, row.a, row.reason) for row in both.rows} == {
        ("not comparable", None, None, f"another network: {why}")
    }
    assert both.exit_code() == NOT_MEASURED
    ended = say("compare", a, b)
    assert (ended.code, ended.error) == (5, "")
    assert f"not comparable:\n  {LATENCY.id}  another network: {why}\n" in ended.out
    assert "REGRESSED" not in ended.out
    assert ended.out.endswith("0 regressed, 3 not comparable\n")


def test_what_another_network_turned_round_is_no_news(tmp_path: Path) -> None:
    torch, openvino = LATENCY, run_folders.cell(runtime="openvino", mode="ir")
    results = [run_folders.result(one, FAST) for one in (torch, openvino)]
    pair = {"set": "as_shipped", "lane": torch.lane.id, "scenario": "latency", "n": 4}
    pair |= {"a": openvino.id, "b": torch.id}
    verdicts = [[{**pair, "verdict": verdict}] for verdict in ("faster", "slower")]
    a = run(tmp_path / "a", results, comparisons=verdicts[0])
    same = run(tmp_path / "same", results, comparisons=verdicts[1])
    other = {"model": {"backbone": "resnet18"}}
    another = run(tmp_path / "another", results, more=other, comparisons=verdicts[1])
    assert [one.reversed for one in compared(a, same).turned] == [True]
    assert compared(a, another).turned == []


def test_a_loader_knows_of_a_network_the_shape_of_its_samples(tmp_path: Path) -> None:
    loaded = [run_folders.result(LOADER, SLOW)]
    a = run(tmp_path / "a", loaded)
    body = run(
        tmp_path / "body", [run_folders.result(LOADER, FAST)], more={"model": {"backbone": "resnet18"}}
    )
    shape = run(tmp_path / "shape", loaded, more={"model": {"input_size": [64, 96]}})
    assert (compared(a, body).rows[0].verdict, compared(a, body).exit_code()) == ("slower", REGRESSED)
    assert compared(a, shape).rows[0].status == "not comparable"


def test_one_cell_of_another_network_is_a_gap_like_one_that_was_not_measured(tmp_path: Path) -> None:
    results = [run_folders.result(one, FAST) for one in (LATENCY, LOADER)]
    a = run(tmp_path / "a", results)
    b = run(tmp_path / "b", results, more={"model": {"backbone": "resnet18"}})
    both = compared(a, b)
    assert {row.id: row.status for row in both.rows} == {LATENCY.id: "not comparable", LOADER.id: "compared"}
    assert both.exit_code() == NOT_MEASURED


@pytest.mark.parametrize(
    ("b", "why"),
    [
        ({"boxes": "/x/detections.json"}, "boxes ground truth -> detections"),
        ({"more": {"data": {"channel_order": "bgr"}}}, "data.channel_order rgb -> bgr"),
        ({"more": {"evaluation": {"flip_test": False}}}, "evaluation.flip_test True -> False"),
        (
            {"more": {"evaluation": {"oks_nms_threshold": 0.5, "joint_threshold": 0.1}}},
            "evaluation.joint_threshold 0.2 -> 0.1, evaluation.oks_nms_threshold 0.9 -> 0.5",
        ),
    ],
)
def test_an_ap_scored_otherwise_is_shown_and_not_comparable(
    tmp_path: Path, b: dict[str, Any], why: str
) -> None:
    """The timings beside it are of the same network, and are judged."""
    both = compared(run(tmp_path / "a", cells(FAST, 0.7)), run(tmp_path / "b", cells(FAST, 0.3), **b))
    found = {row.id: row for row in both.rows}
    ap = found[ACCURACY.id]
    assert (ap.status, ap.a, ap.b, ap.verdict, ap.difference) == ("not comparable", 0.7, 0.3, None, None)
    assert ap.reason == why
    assert (found[LATENCY.id].verdict, both.exit_code()) == ("equivalent", NOT_MEASURED)
    assert text.text(both).endswith("0 regressed, 2 equivalent, 1 not comparable")
    [line] = [line for line in text.text(both).splitlines() if ACCURACY.id in line]
    assert line.split("  ")[-1] == why
    assert "not comparable" in line


def test_the_batch_of_an_evaluation_is_no_other_protocol(tmp_path: Path) -> None:
    more = {"evaluation": {"batch_size": 8}}
    both = compared(run(tmp_path / "a", cells(FAST, 0.7)), run(tmp_path / "b", cells(FAST, 0.3), more=more))
    [ap] = [row for row in both.rows if row.kind == "accuracy"]
    assert (ap.verdict, both.exit_code()) == ("lower", REGRESSED)


def test_two_detection_files_are_told_apart_by_their_content(tmp_path: Path) -> None:
    detected = [
        run(tmp_path / str(place), cells(FAST, 0.7), boxes=f"/{place}/d.json", boxes_sha256=sha256)
        for place, sha256 in enumerate(("1" * 64, "1" * 64, "2" * 64))
    ]
    verdicts = [
        [row.verdict for row in compared(detected[0], b).rows if row.kind == "accuracy"] for b in detected
    ]
    assert verdicts == [["equal"], ["equal"], [None]]
    assert "the detection files differ" in text.text(compared(detected[0], detected[2]))


def test_a_run_keeps_the_hash_of_its_detections(tmp_path: Path) -> None:
    documents = mini_coco.build(tmp_path / "c")
    rows_ = [
        {"image_id": one["image_id"], "category_id": 1, "bbox": one["bbox"], "score": 0.9}
        for one in documents["val2017"]["annotations"]
    ]
    boxes = tmp_path / "d.json"
    boxes.write_text(json.dumps(rows_))
    settings = Settings(tmp_path / "c", boxes, "cpu", 1, 0)
    for name, given in (("by boxes", settings), ("by truth", replace(settings, boxes=None))):
        (tmp_path / name).mkdir()
        made = preparing.prepare(tmp_path / name, twins.tiny(), given)
        assert made.facts()["boxes_sha256"] == (sha256_of_file(boxes) if given.boxes else None)


def test_times_over_other_pictures_are_shown_and_not_comparable(tmp_path: Path) -> None:
    """The network's own time does not depend on them."""
    timed = (LATENCY, PIPELINE, LOADER)
    a = run(tmp_path / "a", [run_folders.result(one, FAST) for one in timed])
    results = [run_folders.result(one, SLOW, split_sha256="t" * 64) for one in timed]
    both = compared(a, run(tmp_path / "b", results))
    found = {row.id: row for row in both.rows}
    assert found[LATENCY.id].status == "regressed"
    for cell in (PIPELINE, LOADER):
        row = found[cell.id]
        assert (row.status, row.verdict, row.ratio, row.p_holm) == ("not comparable", None, None, None)
        assert row.reason == "the splits differ"
        assert row.b == pytest.approx(30.15, rel=1e-3)
        [line] = [line for line in text.text(both).splitlines() if cell.id in line]
        assert line.endswith("the splits differ")


def test_what_an_older_run_does_not_tell_counts_as_the_same(tmp_path: Path) -> None:
    known = run(tmp_path / "known", cells(FAST, 0.7), boxes="/x/d.json", boxes_sha256="1" * 64)
    bare = run_folders.write(tmp_path / "bare", cells(SLOW, 0.3))
    hashless = run(tmp_path / "hashless", cells(SLOW, 0.3), boxes="/y/d.json")
    (hashless / "recipe.yaml").write_text("name: t\nmodel:\n  backbone: resnet50\n")
    for older in (bare, hashless):
        both = compared(known, older)
        assert {row.verdict for row in both.rows} == {"slower", "lower", "faster"}
        assert both.exit_code() == REGRESSED


TRAINED_OTHERWISE = [
    ({"training": {"epochs": 30}}, "training.epochs 140 -> 30"),
    ({"data": {"pipeline": "native"}}, "data.pipeline shared -> native"),
    ({"model": {"sigma_px": 3.0}}, "model.sigma_px 2.0 -> 3.0"),
    (
        {"training": {"early_stopping": {"patience": 3}}},
        "training.early_stopping.patience none -> 3",
    ),
]


@pytest.mark.parametrize(("more", "why"), TRAINED_OTHERWISE)
def test_an_ap_of_another_training_is_shown_and_not_comparable(
    tmp_path: Path, more: dict[str, Any], why: str
) -> None:
    """What a network computes takes as long whatever its weights are."""
    a = run(tmp_path / "a", cells(FAST, 0.7))
    both = compared(a, run(tmp_path / "b", cells(FAST, 0.3, artifact_sha256="b" * 64), more=more))
    found = {row.id: row for row in both.rows}
    ap = found[ACCURACY.id]
    assert (ap.status, ap.a, ap.b, ap.verdict, ap.reason) == ("not comparable", 0.7, 0.3, None, why)
    assert {found[one.id].verdict for one in (LATENCY, TRAIN)} == {"equivalent"}
    assert both.exit_code() == NOT_MEASURED


def test_another_seed_of_the_same_recipe_is_judged_and_says_that_it_is_one(tmp_path: Path) -> None:
    a = run(tmp_path / "a", cells(FAST, 0.7))
    b = run(tmp_path / "b", cells(FAST, 0.3, artifact_sha256="b" * 64), more={"training": {"seed": 7}})
    [ap] = [row for row in compared(a, b).rows if row.kind == "accuracy"]
    assert (ap.verdict, ap.status) == ("lower", "regressed")
    assert str(ap.reason).startswith("other weights, one seed each; ")


@pytest.mark.parametrize(
    ("cell", "more", "why"),
    [
        (LOADER, {"data": {"pipeline": "native"}}, "data.pipeline shared -> native"),
        (
            LOADER,
            {"training": {"augmentation": {"rotation_p": 0.0}}},
            "training.augmentation.rotation_p 0.6 -> 0.0",
        ),
        (TRAIN, {"training": {"optimizer": "stock"}}, "training.optimizer aligned -> stock"),
    ],
)
def test_a_loader_and_a_step_of_another_recipe_are_not_comparable(
    tmp_path: Path, cell: Cell, more: dict[str, Any], why: str
) -> None:
    a = run(tmp_path / "a", [run_folders.result(cell, SLOW)])
    b = run(tmp_path / "b", [run_folders.result(cell, FAST)], more=more)
    [row] = compared(a, b).rows
    assert (row.status, row.reason, row.verdict) == ("not comparable", why, None)
    longer = run(tmp_path / "c", [run_folders.result(cell, FAST)], more={"training": {"epochs": 30}})
    assert compared(a, longer).rows[0].status == "regressed"


def test_another_recipe_of_the_same_weights_is_listed_and_judged(tmp_path: Path) -> None:
    a = run(tmp_path / "a", cells(FAST, 0.7))
    both = compared(a, run(tmp_path / "b", cells(FAST, 0.7), more={"training": {"epochs": 30}}))
    assert both.recipe == [{"what": "training.epochs", "a": 140, "b": 30}]
    assert "trained or scored otherwise:\n  training.epochs: 140 -> 30\n" in text.text(both)
    assert both.exit_code() == 0
    assert compared(a, run_folders.write(tmp_path / "c", cells(FAST, 0.7))).recipe == []


def test_another_machine_goes_before_another_network(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", cells(FAST, 0.7)), tmp_path / "b"
    run(b, cells(FAST, 0.7), more={"model": {"backbone": "resnet18"}})
    facts = json.loads((b / "bench" / "bench.json").read_text())
    facts["machine"]["kernel"] = "6.2.0"
    (b / "bench" / "bench.json").write_text(json.dumps(facts))
    assert compared(a, b).exit_code() == MACHINES_DIFFER
    assert compared(a, b).exit_code(across_machines=True) == NOT_MEASURED


@pytest.mark.parametrize(
    ("name", "content"), [("recipe.yaml", "[1]"), ("recipe.yaml", "a: ["), ("run.json", "{}")]
)
def test_a_damaged_description_of_a_run_is_named(tmp_path: Path, name: str, content: str) -> None:
    a, b = (run(tmp_path / side, cells(FAST, 0.7)) for side in "ab")
    (b / name).write_text(content)
    with pytest.raises(UserError, match=rf"b/{name} "):
        compared(a, b)


TRUTH = crowded(40, seed=3)
AS_BEFORE, BY_LUCK, SURELY = (
    found_in(TRUTH, sigma, seed) for sigma, seed in ((0.02, 1), (0.036, 4), (0.024, 1))
)
"""Predictions: of A; worse at p = 0.04, looked at alone; a little worse in every image."""


def scored(folder: Path, *predictions: list[dict[str, Any]], artifact: str = "a") -> Path:
    """Write a run with an accuracy cell for each of `predictions`, and keep which of them are right."""
    axes = [run_folders.cell("accuracy", batch=batch) for batch in range(1, len(predictions) + 1)]
    aps = [bootstrap.ap(bootstrap.match(found, TRUTH)) for found in predictions]
    pairs = zip(axes, aps, strict=True)
    results = [run_folders.result(cell, [ap], artifact_sha256=artifact * 64) for cell, ap in pairs]
    written = run_folders.write(folder, results)
    for cell, found in zip(axes, predictions, strict=True):
        keep(written, cell.id, found, TRUTH)
    return written


def test_an_ap_is_lower_only_where_all_aps_together_allow_it(tmp_path: Path) -> None:
    """One of several that is lower by the luck of the images fails no run."""
    [alone] = compared(scored(tmp_path / "1", AS_BEFORE), scored(tmp_path / "2", BY_LUCK)).rows
    assert (alone.verdict, alone.status) == ("lower", "regressed")
    assert alone.p == alone.p_holm
    assert 0.02 < (alone.p or 0) < 0.05
    a, b = scored(tmp_path / "3", AS_BEFORE, AS_BEFORE), scored(tmp_path / "4", BY_LUCK, AS_BEFORE)
    both = compared(a, b)
    lost, kept = sorted(both.rows, key=lambda row: row.difference or 0.0)
    assert (lost.p, lost.p_holm) == (alone.p, pytest.approx(2 * (alone.p or 0)))
    assert (lost.verdict, lost.status, kept.verdict) == ("inconclusive", "compared", "equal")
    assert both.exit_code() == 0
    assert f"{lost.p_holm:.2g}" in text.text(both)


def test_a_loss_that_is_sure_is_lower_among_however_many(tmp_path: Path) -> None:
    before = scored(tmp_path / "a", *[AS_BEFORE] * 12)
    after = scored(tmp_path / "b", SURELY, *[AS_BEFORE] * 11)
    both = compared(before, after)
    assert [row.verdict for row in both.rows] == ["lower", *["equal"] * 11]
    assert both.exit_code() == REGRESSED


def test_the_interval_of_an_ap_says_that_it_knows_nothing_of_seeds(tmp_path: Path) -> None:
    a, b = scored(tmp_path / "a", AS_BEFORE), scored(tmp_path / "b", SURELY, artifact="b")
    assert "what another seed of the training would change is not in them" in text.text(compared(a, b))
    timed = run_folders.write(tmp_path / "c", [run_folders.result(LATENCY, FAST)])
    assert "seed" not in text.text(compared(timed, timed))
