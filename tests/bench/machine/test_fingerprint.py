"""The machine's fingerprint, on this machine and on described ones."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.machine import cgroup, fingerprint, procfs


def test_a_fingerprint_is_json_and_quick():
    started = time.perf_counter()
    found = fingerprint.fingerprint()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["cpu"]["usable_cores"] >= 1
    assert found["memory_bytes"] > 0
    assert found["packages"]["numpy"] is not None
    if not found["gpus"]:
        assert time.perf_counter() - started < 1


def test_a_fingerprint_imports_no_framework():
    code = "from bench.machine import fingerprint; fingerprint.fingerprint(); import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "tensorflow", "keras", "openvino", "onnxruntime"} & set(loaded.split())


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for / : four logical processors, two of them on each core."""
    for cpu in range(4):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    monkeypatch.setattr(procfs, "SYSTEM", tmp_path)
    monkeypatch.setattr(fingerprint, "affinity", lambda: {0, 1, 2, 3})
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_sibling_threads_count_as_one_core(system: Path):
    assert cgroup.quota_cores() is None
    assert fingerprint.usable_cores() == 2


@pytest.mark.parametrize(("quota", "cores"), [("150000 100000", 1), ("50000 100000", 1), ("max 100000", 2)])
def test_a_quota_of_cgroup_2_bounds_the_cores(system: Path, quota: str, cores: int):
    write(system / "sys/fs/cgroup/cpu.max", quota)
    assert fingerprint.usable_cores() == cores


def test_a_quota_and_a_limit_of_the_own_cgroup_are_found(system: Path):
    write(system / "proc/self/cgroup", "0::/pod/box\n")
    write(system / "sys/fs/cgroup/pod/cpu.max", "100000 100000\n")
    write(system / "sys/fs/cgroup/pod/box/memory.max", "1048576\n")
    assert cgroup.quota_cores() == 1
    assert fingerprint.memory_limit_bytes() == 2**20


def test_a_quota_of_cgroup_1_bounds_the_cores(system: Path):
    write(system / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n")
    write(system / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert fingerprint.usable_cores() == 1
    write(system / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    assert fingerprint.usable_cores() == 2


def test_gpus_are_what_nvidia_smi_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA X1, 81559, 550.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert fingerprint.gpus() == [{"name": "NVIDIA X1", "memory_mib": 81559, "driver": "550.1"}]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert fingerprint.gpus() == []
