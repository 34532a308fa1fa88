"""Two runs of different machines, packages or protocols, and the exit codes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import run_folders
from compared import LATENCY, THROUGHPUT, around, found

from bench.compare import text as text_
from bench.compare.records import MACHINES_DIFFER, NOT_MEASURED, REGRESSED


def changed(**patch: Any) -> dict[str, Any]:
    machine = copy.deepcopy(run_folders.MACHINE)
    machine["cpu"].update(patch.pop("cpu", {}))
    return machine | patch


@pytest.mark.parametrize(
    ("machine", "what"),
    [
        (changed(cpu={"model": "Other CPU"}), "CPU"),
        (changed(cpu={"flags": ["avx2", "avx512f"]}), "CPU features"),
        (changed(cpu={"usable_cores": 1}), "usable cores"),
        (changed(memory_limit_bytes=2**30), "memory"),
        (changed(gpus=[{"name": "Example GPU", "driver": "1.2", "memory_mib": 8}]), "GPUs"),
        (changed(kernel="6.2.0"), "kernel"),
        (changed(arch="aarch64"), "architecture"),
    ],
)
def test_another_machine_has_an_exit_code_of_its_own(
    tmp_path: Path, machine: dict[str, Any], what: str
) -> None:
    a, b = run_folders.result(LATENCY, around(20)), run_folders.result(LATENCY, around(30))
    both = found(tmp_path, [a], [b], machine=machine)
    assert [one["what"] for one in both.machine] == [what]
    assert both.exit_code() == MACHINES_DIFFER
    assert both.exit_code(across_machines=True) == REGRESSED
    assert f"machines differ:\n  {what}: " in text_.text(both)


def test_another_package_is_listed_and_is_no_other_machine(tmp_path: Path) -> None:
    packages = {"torch": "2.15.0", "openvino": None, "keras": "3.15.1"}
    same = run_folders.result(LATENCY, around(20))
    both = found(tmp_path, [same], [same], machine=changed(packages=packages, python="3.12.0"))
    assert (both.machine, both.exit_code()) == ([], 0)
    listed = {one["what"]: (one["a"], one["b"]) for one in both.environment}
    assert listed == {
        "torch": ("2.14.1", "2.15.0"), "Python": ("3.11.9", "3.12.0"), "keras": (None, "3.15.1"),
    }  # fmt: skip
    assert "torch: 2.14.1 -> 2.15.0" in text_.text(both)


def test_other_rules_of_measuring_are_listed(tmp_path: Path) -> None:
    same = run_folders.result(LATENCY, around(20))
    both = found(tmp_path, [same], [same], protocol={**run_folders.PROTOCOL, "rounds": 3, "profile": "quick"})
    assert {one["what"] for one in both.protocol} == {"rounds", "profile"}


def test_codes_take_precedence_machine_then_regression_then_gaps(tmp_path: Path) -> None:
    a = [run_folders.result(LATENCY, around(20)), run_folders.result(THROUGHPUT, around(20))]
    slower = [run_folders.result(LATENCY, around(30))]
    other = changed(kernel="6.2.0")
    assert found(tmp_path / "1", a, slower, machine=other).exit_code() == MACHINES_DIFFER == 6
    assert found(tmp_path / "2", a, slower).exit_code() == REGRESSED == 4
    assert found(tmp_path / "3", a, a[:1]).exit_code() == NOT_MEASURED == 5
    assert found(tmp_path / "4", a, a).exit_code() == 0
