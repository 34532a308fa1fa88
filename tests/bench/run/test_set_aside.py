"""Rounds of another protocol stay under a key of their own and come back, whatever was killed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benching import bench, call_here, one

from bench.cells import matrix
from bench.process import launch
from bench.run import bench_file, folder, results, set_aside
from bench.run.bench_file import BenchFile
from bench.run.results import CellResult
from bench.stages import measurement
from pose.errors import UserError

pytestmark = pytest.mark.usefixtures("in_process")


def by(measured_s: float, rounds: int = 2) -> matrix.Matrix:
    return one(protocol={"measured_s": measured_s, "rounds": rounds})


def aside(run: Path) -> set[str]:
    """Return the IDs of cells of which another protocol's rounds are kept."""
    return {name for name, one in set_aside.stored(run).items() if one.others}


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
    assert results.samples(run_folder, short)["latency_ns"].tolist() == raw.tolist(), "nothing moved"
    assert {one.pass_ for one in long.rounds}.isdisjoint(one.pass_ for one in short.rounds)
    assert aside(run_folder) == {short.id}
    back, events = heard(run_folder, by(0.05))
    assert back == short
    assert results.samples(run_folder, back)["latency_ns"].tolist() == raw.tolist()
    assert "round_finished" not in [name for name, _ in events], "nothing was measured for it"
    assert results.cells(run_folder) == [short]
    more, _ = heard(run_folder, by(0.06, rounds=3))
    assert more.rounds[:2] == long.rounds


def test_rounds_of_other_weights_come_back_with_them(run_folder: Path) -> None:
    weights = run_folder / "train/torch/best.safetensors"
    before, was = heard(run_folder, by(0.05))[0], weights.read_bytes()
    weights.unlink()
    absent, _ = heard(run_folder, by(0.05))
    assert (absent.status, absent.rounds) == ("failed", [])
    weights.write_bytes(b"other weights")
    other, _ = heard(run_folder, by(0.05))
    assert {one.pass_ for one in other.rounds}.isdisjoint(one.pass_ for one in before.rounds)
    weights.write_bytes(was)
    require_both(run_folder, 0.06, before)


def test_again_forgets_what_is_aside_too(run_folder: Path) -> None:
    short, _ = heard(run_folder, by(0.05))
    heard(run_folder, by(0.06))
    heard(run_folder, by(0.06), again=True)
    assert aside(run_folder) == set()
    anew, _ = heard(run_folder, by(0.05))
    assert [one.pass_ for one in anew.rounds] != [one.pass_ for one in short.rounds]


@pytest.mark.parametrize("asked", [0.05, 0.06])
def test_a_process_killed_while_it_changes_a_cell_s_place_loses_nothing(
    run_folder: Path, asked: float
) -> None:
    """What was written under its hash is still in its place: the process was killed between the two."""
    short, _ = heard(run_folder, by(0.05))
    was = results.path_of(run_folder, short.id).read_bytes()
    set_aside.switch(run_folder, short.id, short, None)
    results.path_of(run_folder, short.id).write_bytes(was)
    require_both(run_folder, asked, short)


@pytest.mark.parametrize("asked", [0.05, 0.06])
@pytest.mark.parametrize("current", ["another", "none", "itself"])
def test_what_an_older_version_put_aside_comes_back(run_folder: Path, asked: float, current: str) -> None:
    """It moved a cell's folder to bench/aside/HASH/ID, its JSON in it; `itself`: and was killed half-way."""
    short, _ = heard(run_folder, by(0.05))
    stored, raw = results.path_of(run_folder, short.id), results.samples_path(run_folder, short.id, 1).parent
    there = run_folder / "bench" / "aside" / short.hash[:16] / short.id
    shutil.copyfile(stored, raw / "cell.json")
    there.parent.mkdir(parents=True)
    raw.rename(there)
    if current != "itself":
        stored.unlink()
    if current == "another":
        heard(run_folder, by(0.07))
    require_both(run_folder, asked, short)
    assert not there.exists()


@pytest.mark.parametrize("dies_in", ["copyfile", "rmtree"])
def test_an_adoption_that_was_killed_ends_in_the_next_bench(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    short, _ = heard(run_folder, by(0.05))
    raw = results.samples_path(run_folder, short.id, 1).parent
    there = run_folder / "bench" / "aside" / short.hash[:16] / short.id
    results.path_of(run_folder, short.id).rename(raw / "cell.json")
    there.parent.mkdir(parents=True)
    raw.rename(there)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, dies_in, killed)
        with pytest.raises(KeyboardInterrupt):
            set_aside.stored(run_folder)
    require_both(run_folder, 0.06, short)


def killed(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["{hash} (conflicted copy).json", "cell.json", "0123456789abcdef.json"])
@pytest.mark.parametrize("whole", [True, False])
def test_what_lies_among_a_cell_s_samples_and_is_not_its_own_is_nobody_s(
    run_folder: Path, name: str, whole: bool
) -> None:
    short, _ = heard(run_folder, by(0.05))
    copy = results.samples_path(run_folder, short.id, 1).with_name(name.format(hash=short.hash[:16]))
    text = results.path_of(run_folder, short.id).read_bytes()
    heard(run_folder, by(0.06))
    copy.write_bytes(text if whole else text[:99])
    (run_folder / "bench" / "aside" / "damaged").mkdir(parents=True)
    (run_folder / "bench" / "aside" / "damaged" / ".DS_Store").touch()
    more, _ = heard(run_folder, by(0.05, rounds=3))
    heard(run_folder, by(0.06))
    back, _ = heard(run_folder, by(0.05, rounds=3))
    assert back == more
    assert [one.value for one in back.rounds[:2]] == [one.value for one in short.rounds]


def test_a_round_that_failed_leaves_no_samples(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **options: Any) -> launch.Outcome:
        return replace(call_here(*arguments, **options), status="failed", reason="in its end", value=None)

    heard(run_folder, by(0.05))
    monkeypatch.setattr(launch, "call", fails)
    failed, _ = heard(run_folder, by(0.05, rounds=3))
    assert (failed.status, len(failed.rounds)) == ("failed", 2)
    assert len([*results.samples_path(run_folder, failed.id, 1).parent.iterdir()]) == 2


def test_what_refuses_a_bench_comes_before_again_forgets(run_folder: Path) -> None:
    short, _ = heard(run_folder, by(0.05))
    facts = json.loads((run_folder / "run.json").read_text())
    (run_folder / "run.json").write_text(json.dumps(facts | {"boxes": "gone.json"}))
    with pytest.raises(UserError, match=r"gone\.json"):
        heard(run_folder, by(0.05), again=True)
    assert results.cells(run_folder) == [short]


def require_both(run: Path, asked: float, short: CellResult) -> None:
    """Assert that a bench by `asked` seconds measures what it asks, and `short` is whole after it."""
    first, _ = heard(run, by(asked))
    back, events = heard(run, by(0.05))
    assert back.hash == short.hash
    assert [one.value for one in back.rounds] == [one.value for one in short.rounds]
    assert first.hash == short.hash if asked == 0.05 else first.hash != short.hash
    assert (first.protocol["measured_s"], len(first.rounds)) == (asked, 2)
    assert len(results.samples(run, back)["latency_ns"]) == sum(one.count for one in short.rounds)
    assert len(results.samples(run, first)["latency_ns"]) == sum(one.count for one in first.rounds)
    assert "round_finished" not in [name for name, _ in events]


def test_a_damaged_cell_is_measured_again_and_one_too_new_is_left_alone(run_folder: Path) -> None:
    short, _ = heard(run_folder, by(0.05))
    path = results.path_of(run_folder, short.id)
    newer = path.read_bytes().replace(b'"schema": 2', b'"schema": 3')
    path.write_bytes(newer)
    with pytest.raises(UserError, match="upgrade twinpose"):
        heard(run_folder, by(0.05))
    assert path.read_bytes() == newer
    path.write_bytes(newer[:100])
    with pytest.raises(UserError, match="it measures a damaged one again"):
        heard(run_folder, one("throughput"))
    again, _ = heard(run_folder, by(0.05))
    assert [one.number for one in again.rounds] == [1, 2]


def test_a_profile_that_was_asked_for_holds_until_another_is(run_folder: Path) -> None:
    run = folder.opened(run_folder)

    def loaded(profile: str | None = None, name: str | None = "demo") -> matrix.Matrix:
        return measurement.load_matrix(run, name, profile=profile)

    assert (loaded().protocol.profile, loaded().options) == ("quick", ("--matrix", "demo"))
    asked = loaded("standard")
    assert asked.options == ("--matrix", "demo", "--profile", "standard")
    bench_file.write(run.path, BenchFile(profiles={"demo": asked.profile_given or ""}))
    assert loaded() == asked, "as in the bench before"
    assert loaded(name="compiled").protocol.profile != "standard" or not loaded(name="compiled").profile_given
    assert loaded("quick").protocol.profile == "quick"
    assert loaded("matrix").options == ("--matrix", "demo")
    bench_file.write(run.path, BenchFile(profiles={"demo": ""}))
    assert loaded().profile_given is None
