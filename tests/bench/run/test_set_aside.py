"""Rounds of another protocol are put aside and come back; so do those that a killed process half put."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from benching import bench, one

from bench.cells import matrix
from bench.run import bench_file, folder, results, set_aside
from bench.run.results import CellResult
from bench.stages import measurement

pytestmark = pytest.mark.usefixtures("in_process")


def by(measured_s: float, rounds: int = 2) -> matrix.Matrix:
    return one(protocol={"measured_s": measured_s, "rounds": rounds})


def heard(run: Path, chosen: matrix.Matrix, **options: Any) -> tuple[CellResult, list[tuple[str, Any]]]:
    events: list[tuple[str, Any]] = []
    [result] = bench(run, chosen, on_event=lambda name, fields: events.append((name, fields)), **options)
    return result, events


def test_another_protocol_loses_no_round(run_folder: Path) -> None:
    short, _ = heard(run_folder, by(0.05))
    raw = results.samples(run_folder, short)["latency_ns"]
    long, events = heard(run_folder, by(0.06))
    assert events[0] == ("put_aside", {"profiles": {"standard": 1}})
    assert (long.hash == short.hash, len(long.rounds), long.protocol["measured_s"]) == (False, 2, 0.06)
    assert {one.pass_ for one in long.rounds}.isdisjoint(one.pass_ for one in short.rounds)
    assert set_aside.ids(run_folder) == {short.id}
    back, events = heard(run_folder, by(0.05))
    assert back == short
    assert results.samples(run_folder, back)["latency_ns"].tolist() == raw.tolist()
    assert "round_finished" not in [name for name, _ in events], "nothing was measured for it"
    assert results.cells(run_folder) == [short]
    more, _ = heard(run_folder, by(0.06, rounds=3))
    assert more.rounds[:2] == long.rounds


def test_rounds_of_other_weights_are_forgotten(run_folder: Path) -> None:
    heard(run_folder, by(0.05))
    (run_folder / "train/torch/best.safetensors").write_bytes(b"other weights")
    heard(run_folder, by(0.06))
    assert set_aside.ids(run_folder) == set()


def test_again_forgets_what_is_aside_too(run_folder: Path) -> None:
    short, _ = heard(run_folder, by(0.05))
    heard(run_folder, by(0.06))
    heard(run_folder, by(0.06), again=True)
    assert set_aside.ids(run_folder) == set()
    anew, _ = heard(run_folder, by(0.05))
    assert [one.pass_ for one in anew.rounds] != [one.pass_ for one in short.rounds]


@pytest.mark.parametrize("asked", [0.05, 0.06])
@pytest.mark.parametrize("until", ["copied", "moved", "taken"])
def test_a_process_killed_while_it_moves_a_cell_loses_nothing(
    run_folder: Path, asked: float, until: str
) -> None:
    short, _ = heard(run_folder, by(0.05))
    json, samples = results.folder(run_folder) / f"{short.id}.json", results.folder(run_folder) / short.id
    was = json.read_bytes()
    if until == "copied":
        shutil.copyfile(json, samples / set_aside.CELL)
    else:
        set_aside.put(run_folder, short.id, short.hash)
    if until == "moved":
        json.write_bytes(was)
    if until == "taken":
        [there] = (run_folder / "bench" / "aside").glob("*/*")
        there.rename(samples)
    first, _ = heard(run_folder, by(asked))
    back, events = heard(run_folder, by(0.05))
    assert back == short
    assert first.hash == short.hash if asked == 0.05 else first.hash != short.hash
    assert (first.protocol["measured_s"], len(first.rounds)) == (asked, 2)
    assert len(results.samples(run_folder, back)["latency_ns"]) == sum(one.count for one in short.rounds)
    assert "round_finished" not in [name for name, _ in events]


def test_a_profile_that_was_asked_for_holds_until_another_is(run_folder: Path) -> None:
    run = folder.opened(run_folder)

    def loaded(profile: str | None = None, name: str | None = "demo") -> matrix.Matrix:
        return measurement.load_matrix(run, name, profile=profile)

    assert (loaded().protocol.profile, loaded().options) == ("quick", ("--matrix", "demo"))
    asked = loaded("standard")
    assert asked.options == ("--matrix", "demo", "--profile", "standard")
    bench_file.note(run, profiles={"demo": asked.profile_given or ""})
    assert loaded() == asked, "as in the bench before"
    assert loaded(name="compiled").protocol.profile != "standard" or not loaded(name="compiled").profile_given
    assert loaded("quick").protocol.profile == "quick"
    assert loaded("matrix").options == ("--matrix", "demo")
    bench_file.note(run, profiles={"demo": ""})
    assert loaded().profile_given is None
