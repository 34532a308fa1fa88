"""How near people are predicted: by size, by visibility, by joint, of the predictions that a run keeps."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest

from reports.plots import samples
from reports.run.read import read
from reports.tables import people
from reports.tables.table import to_csv

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "run"


def test_people_and_joints_of_a_run_are_counted_and_averaged_for_both_twins():
    table = people.table(read(GOLDEN))
    assert table is not None
    rows = {row["kind"]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}
    assert rows["all"]["count"] == "17"
    sizes = [int(rows[name]["count"]) for name in rows if name.startswith(("small", "medium", "large"))]
    assert sum(sizes) == 17
    assert int(rows["visible"]["count"]) + int(rows["hidden"]["count"]) == int(rows["all"]["count"]) * 17
    assert 0 <= float(rows["ankle"]["OKS_tf"]) <= 1
    apart = float(rows["all"]["OKS_tf"]) - float(rows["all"]["OKS_torch"])
    assert float(rows["all"]["difference"]) == pytest.approx(apart)


def test_a_run_without_predictions_has_no_such_table(full_run: Path, tmp_path: Path):
    assert people.table(read(full_run)) is None
    shutil.copytree(GOLDEN, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "train" / "tf" / "predictions")
    table = people.table(read(tmp_path / "run"))
    assert table is not None
    assert {row["OKS_tf"] for row in csv.DictReader(io.StringIO(to_csv(table)))} == {""}


def test_a_picture_says_for_whom_it_is_shown(full_run: Path):
    [first, _] = read(full_run).samples
    assert samples.says(first) == "Worst: OKS 0.41 TensorFlow, 0.40 PyTorch. Image 1."
