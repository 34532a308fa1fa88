"""A bench as a whole: the ceilings, verdicts, and what it writes and says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from benching import one
from whole_benches import CEILINGS, facts, two_arms, whole_bench

from bench.cells import matrix
from bench.machine import energy, fingerprint
from bench.rounds import text as text_
from bench.run import bench_file, folder, results
from bench.run.bench_file import Ceilings, NoiseFloor
from bench.verdicts import ap_differences
from bench.verdicts.open_pairs import OpenPair, Outlook
from pose import architecture
from pose.errors import UserError

pytestmark = pytest.mark.usefixtures("in_process", "a_busy_machine_decides_nothing")


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
    pair = OpenPair(lane, "a", "b", rounds=10, counting=10, needed=15.2, family=3.0, within=0.08, asks=asks)
    text = text_.summary(replace(left, outlook=Outlook((pair,), {lane: 20.0})), run_folder)
    command = f"twinpose bench {run_folder} -k 'torch and latency' --uncertified --more"
    assert f"\n1 pair open; about 6 more passes, 2 minutes: {command}\n" in text
    assert "0 of 6 rounds measured again" in text
    assert "--more" not in text_.summary(replace(left, outlook=Outlook()), run_folder)
