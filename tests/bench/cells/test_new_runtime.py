"""A runtime is one row of the table and one runner: with no other line changed it gets into the report."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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
BLOCK = {
    "twin": "torch",
    "runtime": "abacus",
    "mode": "beads",
    "scenario": ["latency", "throughput", "pipeline", "train", "accuracy"],
    "batch": 2,
    "threads": 1,
}
MATRIX = {"name": "new", "protocol": {**PROTOCOL, "rounds": 2}, "blocks": [BLOCK]}
RUNG_7 = """
import json, sys
from pathlib import Path
import test_deployment as fakes
from bench.cells.runtimes import RUNNERS
from bench.parity.rungs import deployment

context = fakes.make_context(Path(sys.argv[1]), fakes.Here)
given, probe = fakes.subject(context), context.folder / "made" / "probe.npz"
lower, facts = {"abacus": ("bf16",)}, []
for runners in (fakes.EQUAL, fakes.EQUAL | {"abacus": RUNNERS["abacus"]}):
    found = deployment.climb(context, [given], runners=runners, probe=probe, lower=lower, draws=50)
    facts.append([one.facts() for one in found.arms if one.runtime == "abacus"])
Path(sys.argv[2]).write_text(json.dumps(facts))
"""


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


def python(tree: Path, *words: object, path: str = "") -> str:
    """Return what the copy's Python says; it must succeed."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=tree.parent,
        env=os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{path}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def twinpose(tree: Path, *words: object) -> str:
    """Return what the copy's command says; it must succeed."""
    return python(tree, "-m", "twinpose", *words)


def reported(tree: Path, run_folder: Path, matrix: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return by scenario the rows of the report's table, after a matrix was measured."""
    (path := tree.parent / "new.yaml").write_text(yaml.safe_dump(matrix))
    twinpose(tree, "bench", run_folder, "--matrix", path, "--uncertified")
    twinpose(tree, "report", run_folder)
    with open(run_folder / "report" / "tables" / "runtime_comparison.csv", encoding="utf-8") as file:
        return {row["scenario"]: row for row in csv.DictReader(file) if not int(row["replica"])}


def test_one_row_and_one_runner_take_a_runtime_from_a_matrix_to_the_report(tree: Path, run_folder: Path):
    rows = reported(tree, run_folder, MATRIX)
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


def test_rung_7_runs_a_new_runtime_and_judges_it_as_any_other(tree: Path, run_folder: Path):
    rungs = str(Path(TESTS) / "parity" / "rungs")
    written = tree.parent / "facts.json"
    python(tree, "-c", RUNG_7, run_folder, written, path=os.pathsep.join((rungs, TESTS, str(ROOT / "tests"))))
    right, bright = json.loads(written.read_text())
    for facts in (right, bright):
        assert [(f["mode"], f["precision"], f["through"]) for f in facts] == [
            ("beads", "fp32", None),
            ("beads", "bf16", None),
        ]
    assert [f["status"] for f in right] == ["pass", "reported"]
    assert [f["status"] for f in bright] == ["fail", "reported"]
    assert "rmse to fp64 is" in bright[0]["reason"]


def test_without_its_package_the_cells_of_a_new_runtime_say_what_to_install(tree: Path, run_folder: Path):
    runner = tree / "abacus_impl" / "__init__.py"
    runner.write_text(runner.read_text().replace("import numpy", "import abacus\nimport numpy"))
    rows = reported(tree, run_folder, MATRIX | {"blocks": [BLOCK | {"scenario": ["latency"]}]})
    assert rows["latency"]["status"] == "unsupported"
    missing = "abacus is not installed in this interpreter; install it: pip install abacus"
    assert missing in rows["latency"]["reason"]
    assert missing in (run_folder / "report" / "report.html").read_text()
