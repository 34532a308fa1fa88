"""A3: a noise floor vouches for a run only where its interval is narrow enough to say something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import run_folders

from bench.cells.protocol import SIGHT
from bench.compare import text as compare_text
from bench.compare.records import ComparedRuns
from bench.rounds import text
from bench.rounds.session import BenchResult
from bench.run.bench_file import NoiseFloor, NoiseLook
from bench.run.results import CellResult
from bench.statistics.validity import Validity
from bench.verdicts import comparisons, noise_floor
from bench.verdicts.noise_floor import difference, judged

FIRST = run_folders.cell()
AGAIN = replace(FIRST, replica=1)
USELESS, NARROW = [7.0, 7.1, 553.0], [7.0, 7.02, 6.99]


def look(low: float, high: float, profile: str | None = "quick", **patch: Any) -> NoiseLook:
    return NoiseLook(
        a="x-again", b="x", n=3, ratio=1.0, interval=(low, high), within=SIGHT.get(profile or ""), **patch
    )


def after_a_bench(first: list[float], again: list[float], **patch: Any) -> NoiseFloor:
    """Return the noise floor of a run whose A/A pair has these rounds; `patch` is of the second arm."""
    protocol = {"profile": "quick"}
    stored: dict[str, CellResult] = {
        FIRST.id: run_folders.result(FIRST, first, protocol=protocol),
        AGAIN.id: run_folders.result(AGAIN, again, protocol=protocol, **patch),
    }
    found = comparisons.compare_lanes(stored.values())
    return noise_floor.renewed(NoiseFloor(), found, (FIRST, AGAIN), stored, "now")


def test_an_interval_from_nothing_to_a_hundred_is_not_valid() -> None:
    floor = after_a_bench(NARROW, USELESS)
    assert floor.history[-1].interval
    low, high = floor.history[-1].interval
    assert low < 1 < high
    assert floor.verdict == "FLAGGED"
    assert floor.resolution == pytest.approx(max(high, 1 / low) - 1)
    assert floor.resolution
    [reason] = floor.reasons
    assert reason.startswith(f"this bench cannot see differences below {difference(floor.resolution)}")
    assert "its profile asks for 10 %" in reason


def test_a_narrow_one_is_valid_and_says_how_narrow() -> None:
    floor = after_a_bench(NARROW, NARROW[::-1])
    assert (floor.verdict, floor.reasons) == ("VALID", [])
    assert floor.resolution
    assert floor.resolution < 0.02


@pytest.mark.parametrize(("profile", "bound"), [("quick", 0.10), ("standard", 0.05), ("official", 0.02)])
def test_the_bound_is_the_profile_s_in_either_direction(profile: str, bound: float) -> None:
    for ends in ((1 / (1 + bound), 1.001), (0.999, 1 + bound)):
        inside = look(*ends, profile)
        assert judged([inside]).resolution == pytest.approx(bound)
        low, high = ends[0] * 0.999, ends[1] * 1.001
        assert judged([look(low, high, profile)]).verdict == "FLAGGED"
        assert judged([look(low**0.9, high**0.9, profile)]).verdict == "VALID"


def test_the_widest_of_the_pairs_last_looks_is_the_run_s_resolution() -> None:
    other = msgspec.structs.replace(look(0.99, 1.01), a="y-again", b="y")
    assert judged([look(0.9, 1.3), other]).resolution == pytest.approx(0.3)
    assert judged([look(0.9, 1.3), other, look(0.99, 1.02)]).resolution == pytest.approx(0.02)


def test_a_pair_that_another_profile_put_aside_says_nothing_of_the_rounds_there_are() -> None:
    """One cell by `quick` is coarse, then all by `standard` see well: its second arm has the old rounds."""
    coarse = after_a_bench([7.0, 7.8, 7.1], [7.2, 7.0, 7.9])
    assert coarse.verdict == "FLAGGED"
    other = replace(FIRST, runtime="onnxruntime", mode="ir")
    pair = (other, replace(other, replica=1))
    standard = {"protocol": {"profile": "standard"}}
    stored = {
        FIRST.id: run_folders.result(FIRST, NARROW, **standard),
        AGAIN.id: run_folders.result(AGAIN, [7.2, 7.0, 7.9], protocol={"profile": "quick"}),
        **{cell.id: run_folders.result(cell, NARROW, **standard) for cell in pair},
    }
    apart = [msgspec.structs.replace(one, pass_=f"quick/{one.number}") for one in stored[AGAIN.id].rounds]
    elsewhere = {**stored, AGAIN.id: msgspec.structs.replace(stored[AGAIN.id], rounds=apart)}
    floors = [
        noise_floor.renewed(coarse, comparisons.compare_lanes(now.values()), pair, now, "now")
        for now in (stored, elsewhere)
    ]
    assert [floor.verdict for floor in floors] == ["FLAGGED", "VALID"]
    assert [floor.resolution for floor in floors] == [coarse.resolution, pytest.approx(0, abs=0.02)]
    assert len(floors[1].history) == 2, "what was seen stays on record"


def test_a_doubt_about_either_arm_counts() -> None:
    floor = after_a_bench(NARROW, NARROW, validity=Validity("FLAGGED", ["1 of 3 rounds: the governor"]))
    assert floor.verdict == "FLAGGED"
    assert floor.reasons == [f"the A/A pair is doubtful: {AGAIN.id}: 1 of 3 rounds: the governor"]


def test_what_an_older_version_called_valid_is_judged_by_the_widest_bound() -> None:
    older = NoiseFloor([look(0.0001, 116.4, None)], "VALID", [])
    read = noise_floor.with_sight(older)
    assert read.verdict == "FLAGGED"
    assert read.reasons[0].startswith("this bench cannot see differences below a factor of 1e+04")
    assert noise_floor.with_sight(read) == read
    kept = NoiseFloor([look(0.95, 1.05, None)], "VALID", [])
    assert noise_floor.with_sight(kept).verdict == "VALID"


def test_compare_says_what_each_side_sees() -> None:
    made = ComparedRuns(
        a="A", b="B", kind="run", fail_over=0, machine=[], environment=[], protocol=[], recipe=[], rows=[],
        only_in_b=[], turned=[], resolution={"a": 0.031, "b": 1.5},
    )  # fmt: skip
    assert "Sees nothing: A below 3.1 %, B below a factor of 2.5." in compare_text.text(made)
    unknown = msgspec.structs.replace(made, resolution={"a": None, "b": None})
    assert "Sees nothing" not in compare_text.text(unknown)


def test_the_bench_s_closing_lines_say_what_it_sees() -> None:
    floor = judged([look(0.98, 1.031)])
    said = text.summary(BenchResult([], [], floor, None), Path("runs/x"))
    assert "sees differences from 3.1 %" in said
