"""parity.md: every bound with its reason, every note, and words where an AP says nothing."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bench.parity import certificate
from bench.parity.certificate import Certificate, Check
from pose.files import write_json
from reports.page import ladder

AXES = {"twin": "tf", "runtime": "openvino", "mode": "ir", "precision": "fp32", "device": "cpu"}
NUMBERS = {"ap": 0.3, "dap": 0.0, "dap_low": -0.001}
ARM = Certificate(
    id="5a" * 32, subject="tf", through="tf", **AXES, artifact_sha256="ab" * 32, status="pass", **NUMBERS
)
LOST = Check("|AP - source's AP|", None, None, False, "a reason", "probe 3", "a note")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def page(folder: Path, *checks: Check, arms: tuple[Certificate, ...] = (), **rung: Any) -> str:
    """Return the page of a ladder of one rung, as `twinpose parity --out` writes it."""
    status = "fail" if any(check.passed is False for check in checks) else "pass"
    found: dict[str, Any] = {
        "schema": certificate.SCHEMA,
        "id": "5a" * 32,
        "recipe": "demo",
        "status": status,
        "command": "twinpose parity",
        "started": "2026-01-02T00:00:00+00:00",
        "wall_s": 1.0,
        "first_failure": None,
        "rungs": [
            {"number": 3, "name": "Forward", "status": status, "reason": None}
            | {"checks": [asdict(check) for check in checks]}
            | rung
        ],
        "runtimes": [asdict(arm) for arm in arms],
        "versions": {"torch": "2.14.1"},
        "weights": {},
    }
    if status == "fail":
        found["first_failure"] = {"rung": 3, "name": "Forward", "check": "gradients", "where": "bn1.weight"}
    write_json(folder / "parity.json", found)
    return ladder.write(folder).read_text()


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("| ", "- "))]


def test_the_page_begins_with_what_failed_first_and_where(folder: Path) -> None:
    assert page(folder, LOST).startswith(
        "# The twins are not proven equal: rung 3 (Forward) failed first, in “gradients”, at bn1.weight."
    )


def test_a_rung_of_an_earlier_climb_says_which(folder: Path) -> None:
    check = Check("fp64 heatmaps", 1e-15, 1e-12, True, "float64 rounds at 1.1e-16")
    text = page(folder, check, kept=True, command="twinpose parity r", started="2026-01-01T10:00:00+00:00")
    assert "3. Forward: pass, kept from 'twinpose parity r' of 2026-01-01 10:00 UTC" in text


def test_each_bound_leads_to_its_reason_and_a_reason_stands_once_a_rung(folder: Path) -> None:
    first = Check("fp64 heatmaps", 1e-15, 1e-12, True, "float64 rounds at 1.1e-16", None, "8 probes")
    second = replace(first, name="fp64 statistics", note=None)
    assert lines(page(folder, first, second))[2:] == [
        "| 3. Forward: pass | fp64 heatmaps<sup>a</sup> | 1e-15 | 1e-12<sup>b</sup> | pass | — |",
        "| 3. Forward: pass | fp64 statistics | 1e-15 | 1e-12<sup>b</sup> | pass | — |",
        "- a: 8 probes",
        "- b: float64 rounds at 1.1e-16",
    ]


def test_what_is_no_number_is_said_and_a_bar_in_a_name_ends_no_cell(folder: Path) -> None:
    row, *notes = lines(page(folder, LOST))[2:]
    name = r"3. Forward: fail | \|AP - source's AP\|"
    assert row == f"| {name}<sup>a</sup> | —<sup>a</sup> | —<sup>b</sup> | fail | `probe 3` |"
    assert notes == ["- a: a note", "- b: a reason"]


def test_where_ap_says_nothing_words_stand_beside_a_difference(folder: Path) -> None:
    low = replace(ARM, ap=0.1507, dap=0.001, dap_low=-0.01, dap_high=0.01)
    high = replace(ARM, ap=0.2, dap=-0.0, dap_low=-0.01, dap_high=0.01)
    said, printed, note = lines(page(folder, arms=(low, high)))[-3:]
    assert "| 0.151 | +0.001<sup>a</sup> |" in said
    assert note == "- a: AP says nothing: the source's is below 0.2"
    assert "| 0.200 | 0.000 | −0.010 to +0.010 |" in printed


def test_a_source_at_the_limit_is_not_lost_to_rounding() -> None:
    assert not certificate.says_nothing(0.3, 0.3 - 0.2)
    assert not certificate.says_nothing(0.2 + 1e-3, 1e-3)
    assert certificate.says_nothing(0.2, 1e-3)


def test_a_runtime_that_failed_keeps_its_difference_and_says_why(folder: Path) -> None:
    failed = replace(ARM, status="fail", reason="rmse is 1, bound 1e-7", dap=-0.2, dap_high=0.0, ap=0.3)
    row, note = lines(page(folder, arms=(failed,)))[-2:]
    assert "| −0.200 | −0.001 to 0.000 | fail<sup>a</sup> |" in row
    assert note == "- a: rmse is 1, bound 1e-7"
