"""A sitting of the bench: the null runner, the A/A pair, the ceilings, verdicts, and what it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from benching import TESTS, one

from bench.cells import matrix
from bench.compare import sides
from bench.machine import energy, fingerprint
from bench.rounds import null_cost, sitting
from bench.rounds import text as text_
from bench.rounds.sitting import Sat, Wanted
from bench.run import bench_file, folder, results
from bench.statistics import validity
from bench.verdicts import ap_differences, comparisons, noise_floor
from pose import architecture
from pose.errors import UserError

CEILINGS = {
    "device": "cpu",
    "peaks": [{"precision": "fp32", "threads": 2, "gflops": 100.0, "kernel": "3x3", "library": "torch"}],
    "kernels": [],
    "bandwidth_gb_s": {"2": 30.0},
    "reasons": {},
    "doubts": [],
}


pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(autouse=True)
def _a_busy_machine_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every cell for valid: an invalid one is not ranked, whatever this test is about."""
    monkeypatch.setattr(null_cost, "NULL_WINDOW_S", {"warmup_s": 0.01, "measured_s": 0.05})
    monkeypatch.setattr(validity, "cell_validity", lambda rounds: {"verdict": "VALID", "reasons": []})


def two_arms(rounds: int = 2, **patch: Any) -> matrix.Matrix:
    return one(mode=["eager", "compiled"], protocol={"rounds": rounds, "measured_s": 0.05}, **patch)


def sit(
    run: Path,
    chosen: matrix.Matrix,
    runner: str = "Sleeper",
    ceilings: Callable[[matrix.Matrix, str], dict[str, Any]] = lambda measured, device: CEILINGS,
    **wanted: Any,
) -> Sat:
    return sitting.sit(
        folder.opened(run),
        chosen,
        Wanted(uncertified=True, command="twinpose bench", **wanted),
        lambda name, fields: None,
        runners={"torch": f"fake_runners:{runner}"},
        env={"PYTHONPATH": TESTS},
        measure=ceilings,
    )


def facts(run: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((run / "bench" / "bench.json").read_text())
    return read


def test_a_sitting_measures_an_a_a_pair_and_says_what_the_harness_costs(run_folder: Path, in_children):
    sat = sit(run_folder, two_arms())
    ids = [result.id for result in sat.cells]
    assert ids == [cell.id for cell in two_arms().cells] + [f"{two_arms().cells[0].id}-again"]
    [floor] = [one for one in sat.comparisons if one.set == comparisons.NOISE_FLOOR]
    assert (floor.a, floor.b, floor.n) == (ids[2], ids[0], 2)
    written = facts(run_folder)
    [entry] = written["noise"]["history"]
    assert entry["interval"] == list(floor.interval or ())
    assert written["noise"]["verdict"] in {"VALID", "FLAGGED"}
    assert 0 < written["null"]["latency_us"]["p50"] < 1000
    [peak] = written["limits"]["peaks"]
    assert peak.items() >= CEILINGS["peaks"][0].items()
    assert written["matrix"]["cells"] == [cell.id for cell in two_arms().cells]
    assert written["machine"]["cpu"]["usable_cores"] >= 1
    [sitting_] = written["sittings"]
    assert sitting_["ended"]
    assert sitting_["seed"] is not None


def test_where_no_round_is_due_nothing_is_measured_and_what_was_is_told(run_folder: Path):
    first = sit(run_folder, two_arms())
    written = facts(run_folder)
    second = sit(run_folder, two_arms(), ceilings=never)
    assert second == first
    kept = {name: facts(run_folder)[name] for name in ("null", "limits", "noise")}
    assert kept == {name: written[name] for name in kept}
    with pytest.raises(AssertionError, match="ceilings were measured"):
        sit(run_folder, two_arms(rounds=3), ceilings=never)


def never(measured: matrix.Matrix, device: str) -> dict[str, Any]:
    raise AssertionError("ceilings were measured")


def test_each_cell_states_its_share_of_the_measured_peak(run_folder: Path):
    sat = sit(run_folder, two_arms(rounds=1))
    macs = architecture.build(folder.opened(run_folder).recipe.model).macs
    for result in sat.cells:
        per_s = 2 * macs / (result.stats["value"] / 1e3)
        assert result.stats["share_of_peak"] == pytest.approx(per_s / 100e9)
        assert results.read(results.folder(run_folder) / f"{result.id}.json") == result


def test_a_gpu_s_cells_are_held_against_the_gpu_s_own_peak(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def ceilings(measured: matrix.Matrix, device: str) -> dict[str, Any]:
        asked.append(device)
        peaks = [{**CEILINGS["peaks"][0], "gflops": {"cpu": 100.0, "cuda": 4000.0}[device]}]
        return {**CEILINGS, "device": device, "peaks": peaks}

    monkeypatch.setattr(fingerprint, "gpus", lambda: [{"name": "a GPU", "driver": "1"}])
    monkeypatch.setattr(energy, "idle_power_w", lambda: (None, "no counter"))
    cells = (*one().cells, *one(device="cuda").cells)
    sat = sit(run_folder, replace(one(), cells=cells), ceilings=ceilings)
    assert asked == ["cpu", "cuda"]
    macs = architecture.build(folder.opened(run_folder).recipe.model).macs
    shares = {r.axes.device: r.stats["share_of_peak"] * r.stats["value"] for r in sat.cells[:2]}
    assert shares["cpu"] == pytest.approx(2 * macs / 1e-3 / 100e9)
    assert shares["cuda"] == pytest.approx(2 * macs / 1e-3 / 4000e9)
    monkeypatch.setattr(fingerprint, "gpus", list)
    sit(run_folder, replace(one(), cells=cells), again=True, ceilings=ceilings)
    assert asked == ["cpu", "cuda", "cpu"], "a GPU that is not here has no peak"


def test_comparisons_are_written_as_they_are_returned(run_folder: Path):
    sat = sit(run_folder, two_arms())
    written = json.loads((run_folder / "bench" / "comparisons.json").read_text())
    assert written["comparisons"] == json.loads(json.dumps(comparisons.to_json(sat.comparisons)))
    assert sum(written["counts"].values()) == len(sat.comparisons) - 1


def test_two_equal_arms_are_never_said_to_differ_by_much(run_folder: Path, in_children):
    chosen = one(mode="eager", protocol={"rounds": 3, "measured_s": 0.1})
    [floor] = sit(run_folder, chosen).comparisons
    assert floor.speedup == pytest.approx(1, abs=0.5)


def test_prolonging_a_pair_is_one_look_and_measuring_it_anew_is_another(run_folder: Path):
    sit(run_folder, two_arms(rounds=2))
    sit(run_folder, two_arms(rounds=3))
    [prolonged] = facts(run_folder)["noise"]["history"]
    assert prolonged["n"] == 3
    sit(run_folder, two_arms(rounds=2), again=True)
    assert [entry["n"] for entry in facts(run_folder)["noise"]["history"]] == [3, 2]
    assert len(facts(run_folder)["sittings"]) == 3


def test_two_missed_pairs_in_succession_invalidate_the_run(run_folder: Path):
    sit(run_folder, two_arms())
    path = run_folder / "bench" / "bench.json"
    written = facts(run_folder)
    missed = {**written["noise"]["history"][0], "interval": [1.1, 1.2], "began": "before"}
    path.write_text(json.dumps(written | {"noise": {"history": [missed]}}))
    sat = sit(run_folder, two_arms())
    assert [entry["began"] == "before" for entry in sat.noise["history"]] == [True, False]
    last = sat.noise["history"][-1]["interval"]
    assert (sat.noise["verdict"] == "INVALID") == (not last[0] <= 1 <= last[1])


def test_an_invalid_run_ranks_nothing(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    said = {"verdict": "INVALID", "reasons": ["a cell against itself is not itself"]}
    monkeypatch.setattr(noise_floor, "noise_validity", lambda floors: said)
    sat = sit(run_folder, two_arms())
    ranked = [one for one in sat.comparisons if one.set != comparisons.NOISE_FLOOR]
    assert {one.verdict for one in ranked} <= {None}
    written = json.loads((run_folder / "bench" / "comparisons.json").read_text())["comparisons"]
    assert {one["verdict"] for one in written if one["set"] != comparisons.NOISE_FLOOR} <= {None}
    measures = sides.read(run_folder).measures.values()
    assert {one.trouble for one in measures} == {"the run is INVALID: a cell against itself is not itself"}


def test_only_a_bench_of_all_cells_decides_a_run_s_profile(run_folder: Path):
    asked = replace(two_arms(), profile_given="official")
    sit(run_folder, asked, only="compiled")
    assert bench_file.profiles(run_folder) == {}
    sit(run_folder, asked)
    assert bench_file.profiles(run_folder) == {"t": "official"}
    sit(run_folder, two_arms(), only="compiled")
    assert bench_file.profiles(run_folder) == {"t": "official"}
    sit(run_folder, two_arms())
    assert bench_file.profiles(run_folder) == {}


def test_selected_cells_that_are_measured_get_an_a_a_pair_of_their_own(run_folder: Path):
    sit(run_folder, two_arms())
    sat = sit(run_folder, two_arms(), only="compiled")
    [floor] = [
        one for one in sat.comparisons if one.a.endswith("compiled-fp32-cpu-b1-t2-glibc-latency-again")
    ]
    assert (floor.n, floor.set) == (2, comparisons.NOISE_FLOOR)
    first, second = sat.noise["history"]
    assert [one["a"] for one in (first, second)] != [floor.a, floor.a]
    assert second["a"] == floor.a


def test_the_history_of_one_pair_is_not_mixed_with_anothers(run_folder: Path):
    sit(run_folder, two_arms())
    sit(run_folder, two_arms(), only="compiled")
    history = facts(run_folder)["noise"]["history"]
    assert sit(run_folder, two_arms()).noise["history"] == history, "no stale interval is another bench"
    path = run_folder / "bench" / "bench.json"
    missed = [{**one, "interval": [1.1, 1.2], "began": "before"} for one in history[1:]]
    path.write_text(json.dumps(facts(run_folder) | {"noise": {"history": missed}}))
    sat = sit(run_folder, two_arms())
    assert sat.noise["history"][0] == missed[0]
    assert f"{missed[0]['b']} against itself gives 1.1000 to 1.2000" in "; ".join(sat.noise["reasons"])


def test_a_run_that_is_invalid_stays_so_where_nothing_timed_is_selected(run_folder: Path):
    chosen = replace(two_arms(), cells=(*two_arms().cells, *one("accuracy", batch=4).cells))
    sit(run_folder, chosen, only="latency")
    path = run_folder / "bench" / "bench.json"
    noise = {**facts(run_folder)["noise"], "verdict": "INVALID", "reasons": ["noise"]}
    path.write_text(json.dumps(facts(run_folder) | {"noise": noise}))
    withheld: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparisons, "withheld", lambda found, reason: withheld.append(reason) or found)
        sat = sit(run_folder, chosen, "Oracle", only="accuracy")
    assert sat.noise == noise
    assert withheld == ["the run is INVALID: noise"]


def test_where_the_first_cell_cannot_be_measured_another_is_measured_twice(run_folder: Path):
    absent = one("train", mode="compiled", batch=4).cells
    chosen = replace(two_arms(), cells=(*absent, *two_arms().cells))
    sat = sit(run_folder, chosen)
    [floor] = [one for one in sat.comparisons if one.set == comparisons.NOISE_FLOOR and one.interval]
    assert floor.b == two_arms().cells[0].id
    assert floor.n == two_arms().protocol.rounds
    [entry] = sat.noise["history"]
    assert (entry["b"], sat.noise["verdict"] is None) == (floor.b, False)
    assert [result.id for result in sat.cells][-1] == floor.a


def test_rounds_of_another_machine_are_not_added_to(run_folder: Path):
    sit(run_folder, two_arms())
    path = run_folder / "bench" / "bench.json"
    there = facts(run_folder)
    there["machine"]["cpu"]["model"] = "Another Processor"
    path.write_text(json.dumps(there))
    with pytest.raises(UserError, match=r"another machine \(CPU: Another Processor there, .*--again"):
        sit(run_folder, two_arms(rounds=3))
    assert facts(run_folder) == there
    with pytest.raises(UserError, match="another machine"):
        sit(run_folder, two_arms(), only="compiled", again=True)
    sit(run_folder, two_arms(), again=True)
    assert facts(run_folder)["machine"]["cpu"]["model"] != "Another Processor"


def test_a_sitting_without_a_timed_cell_has_no_noise_floor(run_folder: Path):
    sat = sit(run_folder, one("accuracy", batch=4), "Oracle")
    assert (sat.noise, sat.null, sat.comparisons) == ({}, {}, [])
    assert "noise" not in facts(run_folder)


def test_a_sitting_leaves_what_each_accuracy_lost(run_folder: Path):
    cells = (*one("accuracy", batch=4).cells, *one("accuracy", batch=4, mode="compiled").cells)
    sat = sit(run_folder, replace(one("accuracy", batch=4), cells=cells), "Oracle")
    [pair] = sat.accuracies
    assert (pair.b, pair.verdict) == (cells[0].id, "equal")
    assert ap_differences.differences(run_folder) == sat.accuracies
    assert "AP: +0.0000 [+0.0000, +0.0000] equal" in text_.summary(sat, run_folder)


def test_what_is_printed_names_the_noise_floor_and_every_verdict(run_folder: Path):
    sat = sit(run_folder, two_arms())
    text = text_.summary(sat, run_folder)
    assert "null runner" in text
    assert "noise floor: " in text
    assert sat.uncertified.keys() == {cell.id for cell in results.cells(run_folder)}
    assert "uncertified: timed without a certificate (--uncertified)" in text
    pair = msgspec.structs.replace(
        sat.comparisons[0], set="as_shipped", speedup=1.5, speedup_interval=(1.4, 1.6), verdict="faster"
    )
    assert "1.500x [1.400, 1.600] faster" in text_.comparison(pair)
    assert "(uncertified)" not in text_.comparison(pair)
    assert "(flagged)" not in text_.comparison(msgspec.structs.replace(pair, reason=None))
    doubted = replace(sat, flagged={pair.a: ["IQR is 12%", "drift"]}, comparisons=[pair])
    assert f"flagged:\n  {pair.a}: IQR is 12%; drift\n" in text_.summary(doubted, run_folder)
    assert "flagged:" not in text_.summary(replace(doubted, flagged={"another": ["x"]}), run_folder)
    assert text_.comparison(msgspec.structs.replace(pair, reason="x")).endswith("faster (flagged)")
    corrected = msgspec.structs.replace(pair, verdict="inconclusive", p_holm=0.21, reason=None)
    assert text_.comparison(corrected).endswith("inconclusive (p 0.21 by Holm, over the whole matrix)")
    astride = msgspec.structs.replace(corrected, speedup_interval=(0.9, 1.6))
    assert text_.comparison(astride).endswith("[0.900, 1.600] inconclusive")
    marked = text_.comparison(pair, {pair.a})
    assert marked.startswith(f"{'-'.join(pair.a.split('-')[:3])} (uncertified) against ")
    assert marked.count("(uncertified)") == 1
    unranked = msgspec.structs.replace(pair, verdict=None, speedup=None, reason="it is INVALID: noise")
    assert "no verdict (it is INVALID: noise)" in text_.comparison(unranked)


def test_a_failed_cell_is_a_row_and_the_sitting_goes_on(run_folder: Path):
    sat = sit(run_folder, two_arms(), "Raises")
    assert {result.status for result in sat.cells} == {"failed"}
    assert sat.noise == {}, "where nothing is timed there is no floor"
