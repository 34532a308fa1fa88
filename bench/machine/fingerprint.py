"""What a measurement ran on: a fingerprint, and how many cores may be used. No framework is imported."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from bench.machine import cgroup, procfs

PACKAGES = ("twinpose", "onnx", "numpy", "opencv-python-headless", "pycocotools", "pydantic")
"""What has a part in figures of every runtime; what a runtime is made of, its row in the table says."""
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "asimd")
"""Instruction sets that decide which kernels and precisions a runtime picks."""


def fingerprint(further: Iterable[str] = ()) -> dict[str, Any]:
    """Return the machine as JSON: cpu, memory_bytes, os, python, packages, gpus; unknown is null.

    further: packages of interest beside `PACKAGES`.
    """
    return {
        "cpu": {
            "model": _cpu_field("model name", "Model") or platform.processor() or platform.machine(),
            "flags": [flag for flag in FLAGS if flag in cpu_flags()],
            "logical": os.cpu_count(),
            "usable_cores": usable_cores(),
            "quota_cores": cgroup.quota_cores(),
        },
        "memory_bytes": memory_bytes(),
        "memory_limit_bytes": memory_limit_bytes(),
        "os": _os_name(),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
        "packages": packages(further),
        "gpus": gpus(),
        "preload": os.environ.get("LD_PRELOAD") or None,
    }


def packages(further: Iterable[str] = ()) -> dict[str, str | None]:
    """Return the installed version of each of `PACKAGES` and of further ones, null where it is absent."""
    return {name: installed(name) for name in (*PACKAGES, *further)}


@cache
def installed(package: str) -> str | None:
    """Return the version of a distribution; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_flags() -> list[str]:
    """Return the instruction sets and features of the first processor, in the kernel's names."""
    return _cpu_field("flags", "Features").split()


def _cpu_field(*names: str) -> str:
    for line in procfs.read("proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def cpuinfo_mhz(cpus: set[int]) -> list[float]:
    """Return the clocks that /proc/cpuinfo gives for these logical processors; [] where it gives none."""
    found: list[float | None] = []
    cpu: int | None = None
    for line in procfs.read("proc/cpuinfo").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "processor":
            cpu = procfs.whole(value)
        elif name == "cpu MHz" and cpu in cpus:
            found.append(procfs.number(value))
    return [clock for clock in found if clock is not None]


def usable_cores() -> int:
    """Return the physical cores that this process may use: its affinity, within the cgroups' quota."""
    cores = len(physical_cores(affinity()))
    quota = cgroup.quota_cores()
    return max(1, cores if quota is None else min(cores, int(quota)))


def affinity() -> set[int]:
    """Return the logical processors on which this thread may run, within the cgroups' cpusets."""
    if not hasattr(os, "sched_getaffinity"):
        return set(range(psutil.cpu_count(logical=False) or 1))
    # Linux has the cpuset in the affinity; a sandbox's kernel need not.
    asked = os.sched_getaffinity(0)
    return asked & (cgroup.processors() or asked) or asked


def physical_cores(cpus: set[int]) -> dict[str, list[int]]:
    """Return which of the logical processors share a core, by the core's name."""
    siblings = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    cores: dict[str, list[int]] = {}
    for cpu in sorted(cpus):
        cores.setdefault(procfs.read(siblings.format(cpu)).strip() or f"cpu{cpu}", []).append(cpu)
    return cores


def last_cache_bytes() -> int:
    """Return the size of the first processor's last cache, or 0 where the system does not tell."""
    # Linux writes it as 32768K.
    sizes = [procfs.read(f"sys/devices/system/cpu/cpu0/cache/index{n}/size") for n in range(5)]
    return max(procfs.whole(size[:-1]) or 0 for size in sizes) * 1024


def memory_bytes() -> int | None:
    """Return the machine's memory, or None where the system does not tell."""
    told_kib = procfs.fields(procfs.read("proc/meminfo")).get("MemTotal")
    if told_kib:
        return told_kib * 1024
    try:
        pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    return pages * page_bytes if pages > 0 else None


def memory_limit_bytes() -> int | None:
    """Return what processes here may hold together: the machine's memory, or the cgroups' smaller limit.

    None where the system tells neither.
    """
    told = (memory_bytes(), cgroup.memory_limit_bytes())
    return min((limit for limit in told if limit is not None), default=None)


def descendants(pid: int | None = None) -> list[psutil.Process]:
    """Return the processes that this one (or `pid`) started, and those that they did, as far as listed."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except (psutil.Error, OSError):
        return []
    except (RuntimeError, ValueError, IndexError):
        # psutil wants to know when the system booted, which /proc/stat need not tell.
        return _below(os.getpid() if pid is None else pid)


def _below(pid: int) -> list[psutil.Process]:
    started = defaultdict(list)
    for process in psutil.process_iter(["ppid"]):
        started[process.info["ppid"]].append(process)
    found = started.pop(pid, [])
    for process in found:
        found += started.pop(process.pid, [])
    return found


def _os_name() -> str:
    for line in procfs.read("etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.platform()


def gpus() -> list[dict[str, Any]]:
    """Return [{"name", "memory_mib", "driver"}] of the NVIDIA GPUs that nvidia-smi sees; [] without it."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in answer.splitlines()]
    return [
        {"name": name, "memory_mib": procfs.whole(memory), "driver": driver}
        for name, memory, driver in (row for row in rows if len(row) == 3)
    ]
