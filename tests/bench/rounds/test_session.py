"""A bench as a whole: the null runner, the A/A pair, the ceilings, verdicts, and what it writes."""

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
from bench.process.launch import OnEvent
from bench.rounds import null_cost, session
from bench.rounds import text as text_
from bench.rounds.plan import BESIDE
from bench.rounds.session import BenchRequest, BenchResult
from bench.run import bench_file, folder, results
from bench.run.bench_file import Ceilings, NoiseFloor
from bench.statistics import validity
from bench.verdicts import ap_differences, comparisons, noise_floor
from bench.verdicts.open_pairs import OpenPair, Outlook
from pose import architecture
from pose.errors import UserError

CEILINGS = msgspec.convert(
    {
        "device": "cpu",
        "peaks": [{"precision": "fp32", "threads": 2, "gflops": 100.0, "kernel": "3x3", "library": "torch"}],
        "kernels": [],
        "bandwidth_gb_s": {"2": 30.0},
        "reasons": {},
        "doubts": [],
    },
    Ceilings,
)


pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(autouse=True)
def _a_busy_machine_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every cell for valid: an invalid one is not ranked, whatever this test is about."""
    monkeypatch.setattr(null_cost, "NULL_WINDOW_S", {"warmup_s": 0.01, "measured_s": 0.05})
    monkeypatch.setattr(validity, "cell_validity", lambda *_: validity.Validity())


def two_arms(rounds: int = 2, **patch: Any) -> matrix.Matrix:
    return one(mode=["eager", "compiled"], protocol={"rounds": rounds, "measured_s": 0.05}, **patch)


def whole_bench(
    run: Path,
    chosen: matrix.Matrix,
    runner: str = "Sleeper",
    ceilings: Callable[[matrix.Matrix, str], Ceilings] = lambda measured, device: CEILINGS,
    tell: OnEvent = lambda name, fields: None,
    **wanted: Any,
) -> BenchResult:
    return session.run(
        folder.opened(run),
        chosen,
        BenchRequest(uncertified=True, command="twinpose bench", **wanted),
        tell,
        runners={"torch": f"fake_runners:{runner}"},
        env={"PYTHONPATH": TESTS},
        ceilings=ceilings,
    )


def facts(run: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((run / "bench" / "bench.json").read_text())
    return read


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


def test_where_no_round_is_due_nothing_is_measured_and_what_was_is_told(run_folder: Path):
    first = whole_bench(run_folder, two_arms())
    written = facts(run_folder)
    second = whole_bench(run_folder, two_arms(), ceilings=never)
    assert second == first
    kept = {name: facts(run_folder)[name] for name in ("null", "limits", "noise")}
    assert kept == {name: written[name] for name in kept}
    with pytest.raises(AssertionError, match="ceilings were measured"):
        whole_bench(run_folder, two_arms(rounds=3), ceilings=never)


def test_a_percentile_that_is_asked_for_later_is_of_the_rounds_that_are_there(run_folder: Path):
    first = whole_bench(run_folder, two_arms())
    protocol = two_arms().protocol
    asked = replace(two_arms(), protocol=protocol.model_copy(update={"percentiles": (50.0, 75.0)}))
    second = whole_bench(run_folder, asked, ceilings=never)
    for before, after in zip(first.cells, second.cells, strict=True):
        assert after.rounds == before.rounds
        known = after.stats["latency_ms"]
        assert known["p50"] <= known["p75"] <= known["max"]
        assert "p90" not in known
        same = {name: value for name, value in before.stats.items() if name not in {"latency_ms", "nulls"}}
        assert same.items() <= after.stats.items()
        assert results.read(results.path_of(run_folder, after.id)) == after
    assert whole_bench(run_folder, asked, ceilings=never).cells == second.cells
    assert whole_bench(run_folder, two_arms(), ceilings=never).cells == first.cells


def test_where_nothing_can_be_timed_the_machine_is_not_measured(run_folder: Path):
    """Not for cells without an artifact, nor for those whose scenario does not exist for them."""
    nowhere = replace(one(), cells=one(runtime="openvino", mode="ir").cells)
    unknown = replace(one(), cells=tuple(replace(cell, scenario="train") for cell in nowhere.cells))
    for chosen, status in ((nowhere, "failed"), (unknown, "unsupported")):
        left = whole_bench(run_folder, chosen, ceilings=never)
        assert {row.status for row in left.cells} == {status}
        assert "null" not in facts(run_folder)


def never(measured: matrix.Matrix, device: str) -> Ceilings:
    raise AssertionError("ceilings were measured")


def test_each_cell_states_its_share_of_the_measured_peak(run_folder: Path):
    left = whole_bench(run_folder, two_arms(rounds=1))
    macs = architecture.build(folder.opened(run_folder).recipe.model).macs
    for result in left.cells:
        per_s = 2 * macs / (result.stats["value"] / 1e3)
        assert result.stats["share_of_peak"] == pytest.approx(per_s / 100e9)
        assert results.read(results.folder(run_folder) / f"{result.id}.json") == result


def test_a_gpu_s_cells_are_held_against_the_gpu_s_own_peak(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def ceilings(measured: matrix.Matrix, device: str) -> Ceilings:
        asked.append(device)
        peak = msgspec.structs.replace(CEILINGS.peaks[0], gflops={"cpu": 100.0, "cuda": 4000.0}[device])
        return msgspec.structs.replace(CEILINGS, device=device, peaks=[peak])

    monkeypatch.setattr(fingerprint, "gpus", lambda: [{"name": "a GPU", "driver": "1"}])
    monkeypatch.setattr(energy, "idle_power_w", lambda: (None, "no counter"))
    cells = (*one().cells, *one(device="cuda").cells)
    left = whole_bench(run_folder, replace(one(), cells=cells), ceilings=ceilings)
    assert asked == ["cpu", "cuda"]
    macs = architecture.build(folder.opened(run_folder).recipe.model).macs
    shares = {r.axes.device: r.stats["share_of_peak"] * r.stats["value"] for r in left.cells[:2]}
    assert shares["cpu"] == pytest.approx(2 * macs / 1e-3 / 100e9)
    assert shares["cuda"] == pytest.approx(2 * macs / 1e-3 / 4000e9)
    monkeypatch.setattr(fingerprint, "gpus", list)
    whole_bench(run_folder, replace(one(), cells=cells), again=True, ceilings=ceilings)
    assert asked == ["cpu", "cuda", "cpu"], "a GPU that is not here has no peak"


def test_comparisons_are_written_as_they_are_returned(run_folder: Path):
    left = whole_bench(run_folder, two_arms())
    written = json.loads((run_folder / "bench" / "comparisons.json").read_text())
    assert written["comparisons"] == json.loads(json.dumps(msgspec.to_builtins(left.comparisons)))
    assert sum(written["counts"].values()) == len(left.comparisons) - 1


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


def asked_in(run: Path) -> dict[str, str]:
    return bench_file.required(run).profiles_asked


def test_only_a_bench_of_all_cells_decides_a_run_s_profile(run_folder: Path):
    asked = replace(two_arms(), profile_given="official")
    whole_bench(run_folder, asked, only="compiled")
    assert asked_in(run_folder) == {}
    whole_bench(run_folder, asked)
    assert asked_in(run_folder) == {"t": "official"}
    whole_bench(run_folder, two_arms(), only="compiled")
    assert asked_in(run_folder) == {"t": "official"}
    whole_bench(run_folder, two_arms())
    assert asked_in(run_folder) == {}


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


def test_rounds_of_another_machine_are_not_added_to(run_folder: Path):
    whole_bench(run_folder, two_arms())
    path = run_folder / "bench" / "bench.json"
    there = facts(run_folder)
    there["machine"]["cpu"]["model"] = "Another Processor"
    path.write_text(json.dumps(there))
    with pytest.raises(UserError, match=r"another machine \(CPU: Another Processor there, .*--again"):
        whole_bench(run_folder, two_arms(rounds=3))
    assert facts(run_folder) == there
    with pytest.raises(UserError, match="another machine"):
        whole_bench(run_folder, two_arms(), only="compiled", again=True)
    whole_bench(run_folder, two_arms(), again=True)
    assert facts(run_folder)["machine"]["cpu"]["model"] != "Another Processor"


def test_a_bench_without_a_timed_cell_has_no_noise_floor(run_folder: Path):
    left = whole_bench(run_folder, one("accuracy", batch=4), "Oracle")
    assert (left.noise, left.null, left.comparisons) == (NoiseFloor(), None, [])
    assert "noise" not in facts(run_folder)


def test_a_bench_leaves_what_each_accuracy_lost(run_folder: Path):
    cells = (*one("accuracy", batch=4).cells, *one("accuracy", batch=4, mode="compiled").cells)
    left = whole_bench(run_folder, replace(one("accuracy", batch=4), cells=cells), "Oracle")
    [pair] = left.accuracies
    assert (pair.b, pair.verdict) == (cells[0].id, "equal")
    assert ap_differences.differences(run_folder) == left.accuracies
    assert "AP: +0.0000 [+0.0000, +0.0000] equal" in text_.summary(left, run_folder)


def test_what_is_printed_names_the_noise_floor_and_every_verdict(run_folder: Path):
    left = whole_bench(run_folder, two_arms())
    text = text_.summary(left, run_folder)
    assert "null runner" in text
    assert "noise floor: " in text
    assert left.uncertified.keys() == {cell.id for cell in results.cells(run_folder)}
    assert "uncertified: timed without a certificate (--uncertified)" in text
    pair = msgspec.structs.replace(
        left.comparisons[0], set="as_shipped", speedup=1.5, speedup_interval=(1.4, 1.6), verdict="faster"
    )
    assert "1.500x [1.400, 1.600] faster" in text_.comparison(pair)
    assert "(uncertified)" not in text_.comparison(pair)
    assert "(flagged)" not in text_.comparison(msgspec.structs.replace(pair, reason=None))
    doubted = replace(left, flagged={pair.a: ["IQR is 12%", "drift"]}, comparisons=[pair])
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


def test_a_failed_cell_is_a_row_and_the_bench_goes_on(run_folder: Path):
    left = whole_bench(run_folder, two_arms(), "Raises")
    assert {result.status for result in left.cells} == {"failed"}
    assert left.noise == NoiseFloor(), "where nothing is timed there is no floor"


def test_a_bench_ends_with_what_is_open_what_it_would_cost_and_what_to_type(run_folder: Path):
    left = whole_bench(run_folder, two_arms(), only="torch and latency")
    lane = two_arms().cells[0].lane.id
    asks = bench_file.required(run_folder).sessions[-1].asks
    pair = OpenPair(lane, "a", "b", rounds=10, needed=15.2, family=3.0, within=0.08, asks=asks)
    text = text_.summary(replace(left, outlook=Outlook((pair,), {lane: 20.0})), run_folder)
    command = f"twinpose bench {run_folder} -k 'torch and latency' --uncertified --more"
    assert f"\n1 pair open; about 6 more passes, 2 minutes: {command}\n" in text
    assert "0 of 6 rounds measured again" in text
    assert "--more" not in text_.summary(left, run_folder)
