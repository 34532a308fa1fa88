"""The table of AP differences, from accuracies.json as the bench writes it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.verdicts.ap_differences import ApDifference
from pose.errors import UserError
from reports.build import all_tables
from reports.page import html
from reports.run.read import Run, read
from reports.tables import accuracy
from reports.tables.table import to_csv, to_markdown

MakeRun = Callable[..., Path]
TORCH, KERAS = (
    "{0}-{0}-{1}-fp32-cpu-b8-t2-glibc-accuracy".format(*of) for of in (("torch", "eager"), ("tf", "graph"))
)
BF16 = "torch-openvino-ir-bf16-cpu-b8-t2-glibc-accuracy"
GONE = "torch-openvino-ir-int8-cpu-b8-t2-glibc-accuracy"
FOUND = [
    ApDifference(
        question="twins", a=KERAS, b=TORCH, ap_a=0.409, ap_b=0.418, difference=-0.009,
        interval=(-0.0214, 0.00049), margin=0.01, images=80, verdict="inconclusive",
    ),
    ApDifference(
        question="deployment", a=BF16, b=TORCH, ap_a=0.4149, ap_b=0.418, difference=-0.0031,
        interval=(-0.00441, -0.00012), margin=0.01, images=80, verdict="equal",
    ),
    ApDifference(
        question="deployment", a=GONE, b=TORCH, ap_b=0.418, reason=f"{GONE} is failed; {TORCH} is ok",
    ),
]  # fmt: skip


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    path = make_run()
    rows = [msgspec.to_builtins(one) for one in FOUND]
    (path / "bench" / "accuracies.json").write_text(json.dumps({"schema": 2, "differences": rows}))
    return read(path)


def rows(run: Run) -> list[dict[str, Any]]:
    table = accuracy.table(run)
    assert table is not None
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def test_deployment_comes_first_and_every_figure_is_there(run: Run) -> None:
    found = rows(run)
    assert [row["a"] for row in found] == [BF16, GONE, KERAS]
    assert found[0]["a_name"] == "PyTorch on OpenVINO, bf16"
    assert (found[0]["difference"], found[0]["interval"]) == ("-0.0031", "[−0.0044, −0.0001]")
    assert (float(found[0]["low"]), float(found[0]["high"])) == (-0.00441, -0.00012)
    assert (found[0]["verdict"], found[0]["margin"], found[0]["images"]) == ("equal", "0.01", "80")
    assert (found[2]["verdict"], found[2]["interval"]) == ("inconclusive", "[−0.0214, +0.0005]")


def test_seeds_stand_last_and_say_which_they_are_and_how_many_would_decide(make_run: MakeRun) -> None:
    seeds = ApDifference(
        question="seeds", a="tf", b="torch", ap_a=0.321, ap_b=0.318, difference=0.003, seeds=(0, 1, 2),
        interval=(-0.0149, 0.0209), margin=0.01, p=0.5, p_holm=1.0, verdict="inconclusive", seeds_needed=7,
    )  # fmt: skip
    path = make_run()
    found = [msgspec.to_builtins(one) for one in (seeds, *FOUND)]
    (path / "bench" / "accuracies.json").write_text(json.dumps({"schema": 2, "differences": found}))
    last = rows(read(path))[-1]
    assert (last["a_name"], last["b_name"]) == ("TensorFlow, seeds 0, 1, 2", "PyTorch, seeds 0, 1, 2")
    assert (last["interval"], last["verdict"], last["images"]) == ("[−0.0149, +0.0209]", "inconclusive", "")
    assert (last["seeds"], last["seeds_needed"]) == ("0 1 2", "7")
    table = accuracy.table(read(path))
    assert table is not None
    assert "over seeds by Student's t" in table.note
    assert "The twins over several seeds" in to_markdown(table)


def test_what_has_no_verdict_says_why_by_short_names(run: Run) -> None:
    lost = rows(run)[1]
    assert (lost["verdict"], lost["difference"], lost["ap_b"]) == ("no verdict", "", "0.418")
    assert lost["reason"] == f"{GONE} is failed; PyTorch eager is ok", "the run has no cell of int8"


def test_it_stands_on_the_page_under_what_a_precision_costs(run: Run) -> None:
    assert "accuracies" in [table.name for table in all_tables(run)]
    [section] = [one for one in html.sections(run, all_tables(run), []) if one.key == "precision"]
    assert "Accuracy differences" in [item.title for item in section.items]


def test_imported_weights_are_no_two_trainings(run: Run) -> None:
    trained = accuracy.table(run)
    assert trained is not None
    assert "of one seed each" in trained.note
    source = {"imported": {"name": "w.safetensors", "sha256": "a" * 64}}
    given = accuracy.table(replace(run, imported={"tf": source, "torch": source}))
    assert given is not None
    assert "of one seed each" not in given.note
    assert "The same imported weights, each twin in its own framework" in to_markdown(given)


def test_without_differences_there_is_no_table(make_run: MakeRun) -> None:
    path = make_run()
    assert accuracy.table(read(path)) is None
    (path / "bench" / "accuracies.json").write_text('{"schema": 9, "differences": []}')
    with pytest.raises(UserError, match="has schema 9"):
        read(path)
