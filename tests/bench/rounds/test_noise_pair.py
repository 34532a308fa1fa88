"""A bench's A/A pair: which cell is measured twice, and what that says of the run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from benching import one
from whole_benches import facts, two_arms, whole_bench

from bench.cells import matrix
from bench.compare import sides
from bench.rounds.plan import BESIDE
from bench.run import results
from bench.run.bench_file import NoiseFloor
from bench.verdicts import comparisons, noise_floor

pytestmark = pytest.mark.usefixtures("in_process", "a_busy_machine_decides_nothing")


def test_a_bench_measures_an_a_a_pair_and_says_what_the_harness_costs(run_folder: Path, in_children):
    left = whole_bench(run_folder, two_arms())
    ids = [result.id for result in left.cells]
    assert ids == [cell.id for cell in two_arms().cells] + [f"{two_arms().cells[0].id}-again"]
    [floor] = [one for one in left.comparisons if one.set == comparisons.NOISE_FLOOR]
    assert (floor.a, floor.b, floor.n) == (ids[2], ids[0], 2)
    written = facts(run_folder)
    [entry] = written["noise"]["history"]
    # None where other work has made a round invalid.
    assert entry["interval"] == (floor.interval and list(floor.interval))
    assert written["noise"]["verdict"] in {"VALID", "FLAGGED", None}
    assert written["null"]["latency_us"]["p50"] > 0
    [peak] = written["limits"]["peaks"]
    assert peak.items() >= {"gflops": 100.0, "kernel": "3x3", "library": "torch"}.items()
    assert written["matrix"]["cells"] == [cell.id for cell in two_arms().cells]
    assert written["machine"]["cpu"]["usable_cores"] >= 1
    [begun] = written["sittings"]
    assert begun["ended"]
    assert begun["seed"] is not None


def test_two_equal_arms_are_never_said_to_differ_by_much(run_folder: Path, in_children):
    chosen = one(mode="eager", protocol={"rounds": 3, "measured_s": 0.1})
    [floor] = whole_bench(run_folder, chosen).comparisons
    assert floor.speedup == pytest.approx(1, abs=0.5)


def test_prolonging_a_pair_is_one_look_and_measuring_it_anew_is_another(run_folder: Path):
    whole_bench(run_folder, two_arms(rounds=2))
    whole_bench(run_folder, two_arms(rounds=3))
    [prolonged] = facts(run_folder)["noise"]["history"]
    assert prolonged["n"] == 3
    whole_bench(run_folder, two_arms(rounds=2), again=True)
    assert [entry["n"] for entry in facts(run_folder)["noise"]["history"]] == [3, 2]
    assert len(facts(run_folder)["sittings"]) == 3


def test_two_missed_pairs_in_succession_invalidate_the_run(run_folder: Path):
    whole_bench(run_folder, two_arms())
    path = run_folder / "bench" / "bench.json"
    written = facts(run_folder)
    missed = {**written["noise"]["history"][0], "interval": [1.1, 1.2], "began": "before"}
    path.write_text(json.dumps(written | {"noise": {"history": [missed]}}))
    left = whole_bench(run_folder, two_arms())
    assert [look.began == "before" for look in left.noise.history] == [True, False]
    low, high = left.noise.history[-1].interval or (0.0, 0.0)
    assert (left.noise.verdict == "INVALID") == (not low <= 1 <= high)


def test_an_invalid_run_ranks_nothing(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    said = ("INVALID", ["a cell against itself is not itself"])
    monkeypatch.setattr(noise_floor, "noise_validity", lambda floors: said)
    left = whole_bench(run_folder, two_arms())
    ranked = [one for one in left.comparisons if one.set != comparisons.NOISE_FLOOR]
    assert {one.verdict for one in ranked} <= {None}
    written = json.loads((run_folder / "bench" / "comparisons.json").read_text())["comparisons"]
    assert {one["verdict"] for one in written if one["set"] != comparisons.NOISE_FLOOR} <= {None}
    [trouble] = {one.trouble for one in sides.read(run_folder).measures.values()}
    assert trouble is not None
    # Beside others' work the bench has more to say.
    assert trouble.partition(";")[0] == "the run is INVALID: a cell against itself is not itself"


def test_selected_cells_that_are_measured_get_an_a_a_pair_of_their_own(run_folder: Path):
    whole_bench(run_folder, two_arms())
    left = whole_bench(run_folder, two_arms(), only="compiled")
    [floor] = [
        one for one in left.comparisons if one.a.endswith("compiled-fp32-cpu-b1-t2-glibc-latency-again")
    ]
    assert (floor.n, floor.set) == (2, comparisons.NOISE_FLOOR)
    first, second = left.noise.history
    assert [one.a for one in (first, second)] != [floor.a, floor.a]
    assert second.a == floor.a


def test_the_history_of_one_pair_is_not_mixed_with_anothers(run_folder: Path):
    whole_bench(run_folder, two_arms())
    whole_bench(run_folder, two_arms(), only="compiled")
    history = facts(run_folder)["noise"]["history"]
    whole_bench(run_folder, two_arms())
    assert facts(run_folder)["noise"]["history"] == history, "no stale interval is another bench"
    path = run_folder / "bench" / "bench.json"
    missed = [{**one, "interval": [1.1, 1.2], "began": "before"} for one in history[1:]]
    path.write_text(json.dumps(facts(run_folder) | {"noise": {"history": missed}}))
    left = whole_bench(run_folder, two_arms())
    assert facts(run_folder)["noise"]["history"][0] == missed[0]
    assert f"{missed[0]['b']} against itself gives 1.1000 to 1.2000" in "; ".join(left.noise.reasons)


def test_a_run_that_is_invalid_stays_so_where_nothing_timed_is_selected(run_folder: Path):
    chosen = replace(two_arms(), cells=(*two_arms().cells, *one("accuracy", batch=4).cells))
    whole_bench(run_folder, chosen, only="latency")
    path = run_folder / "bench" / "bench.json"
    noise = {**facts(run_folder)["noise"], "verdict": "INVALID", "reasons": ["noise"]}
    path.write_text(json.dumps(facts(run_folder) | {"noise": noise}))
    withheld: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparisons, "withheld", lambda found, reason: withheld.append(reason) or found)
        left = whole_bench(run_folder, chosen, "Oracle", only="accuracy")
    assert left.noise == msgspec.convert(noise, NoiseFloor)
    assert withheld == ["the run is INVALID: noise"]


def test_where_the_first_cell_cannot_be_measured_another_is_measured_twice(run_folder: Path):
    absent = one("train", mode="compiled", batch=4).cells
    chosen = replace(two_arms(), cells=(*absent, *two_arms().cells))
    left = whole_bench(run_folder, chosen)
    [floor] = [one for one in left.comparisons if one.set == comparisons.NOISE_FLOOR and one.interval]
    assert floor.b == two_arms().cells[0].id
    assert floor.n == two_arms().protocol.rounds
    [look] = left.noise.history
    assert (look.b, left.noise.verdict is None) == (floor.b, False)
    assert [result.id for result in left.cells][-1] == floor.a


def test_a_stand_in_takes_no_number_of_another_protocol_s_samples(run_folder: Path) -> None:
    """The bench by the first protocol was ended in its A/A part, so both of its arms lack rounds."""
    absent = one("train", mode="compiled", batch=4).cells

    def by(measured_s: float) -> matrix.Matrix:
        lane = one(protocol={"rounds": 2, "measured_s": measured_s})
        return replace(lane, cells=(*absent, *lane.cells))

    def stop(name: str, fields: dict[str, Any]) -> None:
        if name == "pass_started" and BESIDE in fields["why"]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole_bench(run_folder, by(0.03), tell=stop)
    other = whole_bench(run_folder, by(0.06)).cells[1]
    counts = [len(results.round_samples(run_folder, other.id, r.number)["latency_ns"]) for r in other.rounds]
    assert counts == [made.count for made in other.rounds]
    whole_bench(run_folder, by(0.03))
    again = [len(results.round_samples(run_folder, other.id, r.number)["latency_ns"]) for r in other.rounds]
    assert again == counts


def test_a_bench_without_a_timed_cell_has_no_noise_floor(run_folder: Path):
    left = whole_bench(run_folder, one("accuracy", batch=4), "Oracle")
    assert (left.noise, left.null, left.comparisons) == (NoiseFloor(), None, [])
    assert "noise" not in facts(run_folder)
