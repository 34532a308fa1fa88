"""A runtime is one row of the table and one runner: with no other line changed it gets into the report."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from benching import PROTOCOL, TESTS

ROOT = Path(__file__).resolve().parents[3]
LAST_ROW = '    )\n}\n"""By name, in the order of tables."""'
ROW = """
        Runtime(
            name="abacus",
            title="Abacus",
            runner="abacus_impl:Runner",
            packages=("abacus",),
            extra=None,
            modes=("beads",),
            as_shipped="beads",
            precisions=("fp32", "bf16"),
            baseline=5,
        ),
"""
MATRIX = {
    "name": "new",
    "protocol": {**PROTOCOL, "rounds": 2},
    "blocks": [
        {
            "twin": "torch",
            "runtime": "abacus",
            "mode": "beads",
            "scenario": ["latency", "throughput", "pipeline", "train", "accuracy"],
            "batch": 2,
            "threads": 1,
        }
    ],
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the suite's code whose table of runtimes has one row more, with its runner."""
    tree = tmp_path / "tree"
    for folder in ("pose", "bench", "reports", "twinpose", "configs", *map(str, ROOT.glob("*_impl"))):
        shutil.copytree(ROOT / folder, tree / Path(folder).name)
    shutil.copy(ROOT / "pyproject.toml", tree)
    table = tree / "bench" / "cells" / "runtimes.py"
    whole = table.read_text()
    assert whole.count(LAST_ROW) == 1
    table.write_text(whole.replace(LAST_ROW, ROW.lstrip("\n") + LAST_ROW))
    (tree / "abacus_impl").mkdir()
    shutil.copy(Path(TESTS) / "abacus.py", tree / "abacus_impl" / "__init__.py")
    return tree


def twinpose(tree: Path, *words: object) -> str:
    """Return what the copy's command says; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "twinpose", *map(str, words)],
        cwd=tree.parent,
        env=os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_one_row_and_one_runner_take_a_runtime_from_a_matrix_to_the_report(tree: Path, run_folder: Path):
    (matrix := tree.parent / "new.yaml").write_text(yaml.safe_dump(MATRIX))
    twinpose(tree, "bench", run_folder, "--matrix", matrix, "--uncertified")
    twinpose(tree, "report", run_folder)
    with open(run_folder / "report" / "tables" / "runtime_comparison.csv", encoding="utf-8") as file:
        rows = {row["scenario"]: row for row in csv.DictReader(file) if not int(row["replica"])}
    told = {scenario: (row["name"], row["status"], row["rounds"]) for scenario, row in rows.items()}
    assert told == {
        **dict.fromkeys(("latency", "throughput", "pipeline"), ("PyTorch on Abacus", "ok", "2")),
        "train": ("PyTorch on Abacus", "unsupported", "0"),
        "accuracy": ("PyTorch on Abacus", "ok", "1"),
    }
    assert "for the twins' own frameworks" in rows["train"]["reason"]
    assert rows["latency"]["precision_read_back"] == "fp32"
    page = (run_folder / "report" / "report.html").read_text()
    assert "PyTorch on Abacus" in page
    assert "Abacus" in page.partition("Runtimes")[2]


def test_the_command_and_the_doctor_know_a_new_runtime_too(tree: Path):
    assert "abacus" in twinpose(tree, "predict", "--help")
    assert "abacus is not installed: its cells are unsupported" in twinpose(tree, "doctor", "--probe-s", 0)
