"""One rule says whether a timing is certified; gate, bench, `compare`, LoadGen and report ask it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import ladder_files
import pytest
from commands import Say

from bench import mlperf
from bench.compare import sides
from bench.parity import certificate, gate
from bench.run import results
from pose.files import write_json

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "run"
TIMED = "torch-torch-eager-fp32-cpu-b1-t2-glibc-latency"
WHY = "rung 3 (Forward) failed: fp64 heatmaps, evaluation mode at layer1.0.conv1.weight"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run whose cells were timed with a certificate, and whose ladder failed afterwards."""
    shutil.copytree(GOLDEN, tmp_path / "run")
    parity = tmp_path / "run" / "parity.json"
    write_json(parity, ladder_files.failed(json.loads(parity.read_text())))
    return tmp_path / "run"


def test_before_the_climb_that_failed_every_timing_was_certified() -> None:
    assert certificate.doubts(certificate.read(GOLDEN), results.cells(GOLDEN)) == {}


def test_after_a_failed_climb_all_say_uncertified_for_one_reason(run: Path, say: Say) -> None:
    parity, [cell] = certificate.read(run), [one for one in results.cells(run) if one.id == TIMED]
    assert cell.certificate_id is not None
    assert set(certificate.doubts(parity, results.cells(run)).values()) == {WHY}
    assert gate.of_run(run).bars(cell.axes, cell.artifact_sha256) == ("uncertified", WHY)
    assert sides.read(run).measures[TIMED].uncertified == WHY
    row = {"status": "ok", "id": TIMED, "axes": asdict(cell.axes), "scenarios": []}
    row |= {"artifact_sha256": cell.artifact_sha256, "certificate_id": cell.certificate_id}
    assert f"{TIMED}  uncertified: {WHY}" in mlperf.text([row], parity)
    assert say("report", run).code == 0
    with open(run / "report" / "tables" / "runtime_comparison.csv", encoding="utf-8") as file:
        told = {row["id"]: row["parity"] for row in csv.DictReader(file)}
    assert told[TIMED] == "uncertified"
    assert WHY in (run / "report" / "report.html").read_text()
