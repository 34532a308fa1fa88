"""`twinpose compare` on what pytest-benchmark really writes of the suite's own speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.compare import sides
from bench.compare.records import REGRESSED
from bench.process import launch
from twinpose import compare as command

NAME = "tests/benchmarks/test_components.py::test_flip_back"


def benchmark(path: Path) -> dict[str, Any]:
    """Measure the shortest of the suite's own benchmarks into a file; return what pytest-benchmark wrote."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    options = ("--benchmark-min-rounds=20", "--benchmark-max-time=0.2", "-p", "no:cacheprovider", "-q")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", NAME, f"--benchmark-json={path}", *options],
        cwd=launch.ROOT,
        env=clean,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_two_files_of_the_suites_own_benchmarks_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    written = [benchmark(path)["benchmarks"][0]["stats"]["data"] for path in (a, b)]
    # Busy neighbours may slow one of them; no neighbour makes it a hundred times slower.
    assert command.compare(a, b, "10000%", as_json=True) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["machine"] == []
    [row] = facts["rows"]
    assert (row["id"], row["kind"], row["unit"]) == (NAME, "time", "s")
    assert (row["n_a"], row["n_b"]) == (sides.BLOCKS, sides.BLOCKS)
    assert row["verdict"] in {"faster", "equivalent", "slower", "inconclusive"}
    for read, seconds in zip((a, b), written, strict=True):
        [values] = (measure.values for measure in sides.read(read).measures.values())
        assert min(seconds) <= min(values) <= max(values) <= max(seconds)
    slower = json.loads(b.read_text())
    for made in slower["benchmarks"]:
        made["stats"]["data"] = [500 * second for second in made["stats"]["data"]]
    b.write_text(json.dumps(slower))
    assert command.compare(a, b, "5%") == REGRESSED
    assert NAME in capsys.readouterr().out
