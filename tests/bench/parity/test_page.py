"""parity.md: every bound with its reason, every note, and words where an AP says nothing."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from bench.parity import page as page_
from bench.parity.rungs import deployment
from bench.parity.rungs.base import Check
from bench.parity.rungs.deployment import Fact

ARM = Fact("tf", "tf", "tf", "openvino", "ir", "fp32", "cpu", "ab" * 32, ap=0.3, dap=0.0, dap_low=-0.001)
LOST = Check("|AP - source's AP|", None, None, False, "a reason", "probe 3", "a note")


def page(*checks: Check, arms: tuple[Fact, ...] = ()) -> str:
    """Return the page of a ladder of one rung."""
    rung = {"number": 3, "name": "Forward", "status": "pass", "reason": None}
    found: dict[str, Any] = {
        "id": "5a" * 32,
        "recipe": "demo",
        "status": "pass",
        "command": "twinpose parity",
        "started": "2026-01-02T00:00:00+00:00",
        "wall_s": 1.0,
        "first_failure": None,
        "rungs": [rung | {"checks": [asdict(check) for check in checks]}],
        "runtimes": [{"id": "5a" * 32, **asdict(arm)} for arm in arms],
        "versions": {"torch": "2.14.1"},
    }
    return page_.markdown(found)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("| ", "- "))]


def test_each_bound_leads_to_its_reason_and_a_reason_stands_once_a_rung() -> None:
    first = Check("fp64 heatmaps", 1e-15, 1e-12, True, "float64 rounds at 1.1e-16", None, "8 probes")
    second = replace(first, name="fp64 statistics", note=None)
    assert lines(page(first, second))[1:] == [
        "| fp64 heatmaps<sup>1</sup> | 1e-15 | 1e-12<sup>2</sup> | pass |  |",
        "| fp64 statistics | 1e-15 | 1e-12<sup>2</sup> | pass |  |",
        "- 1: 8 probes",
        "- 2: float64 rounds at 1.1e-16",
    ]


def test_what_is_no_number_is_said_and_a_bar_in_a_name_ends_no_cell() -> None:
    [row, *_] = lines(page(LOST))[1:]
    assert row == r"| \|AP - source's AP\|<sup>1</sup> | no number | none<sup>2</sup> | **fail** | probe 3 |"


def test_where_ap_says_nothing_words_stand_in_place_of_a_difference() -> None:
    low = replace(ARM, ap=0.1507, dap=0.001, dap_low=-0.01, dap_high=0.01)
    high = replace(ARM, ap=0.2, dap=-0.0, dap_low=-0.01, dap_high=0.01)
    said, printed = lines(page(arms=(low, high)))[-2:]
    assert said.endswith("| 0.151 | AP says nothing: the source's is below 0.2 |")
    assert "+0.001" not in said
    assert printed.endswith("| 0.200 | -0.0000 [-0.010, +0.010] |")


def test_a_source_at_the_limit_is_not_lost_to_rounding() -> None:
    assert not deployment.says_nothing(0.3, 0.3 - 0.2)
    assert not deployment.says_nothing(0.2 + 1e-3, 1e-3)
    assert deployment.says_nothing(0.2, 1e-3)


def test_a_runtime_that_failed_keeps_its_difference_and_says_why() -> None:
    failed = replace(ARM, status="fail", reason="rmse is 1, bound 1e-7", dap=-0.2, dap_high=0.0, ap=0.3)
    row, note = lines(page(arms=(failed,)))[-2:]
    assert "| fail<sup>1</sup> |" in row
    assert row.endswith("| -0.2000 [-0.001, +0.000] |")
    assert note == "- 1: rmse is 1, bound 1e-7"
