"""What a measurement ran on: a fingerprint, and how many cores may be used. No framework is imported."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    *("twinpose", "tensorflow", "keras", "torch", "torchvision", "openvino", "onnx", "onnxruntime"),
    *("numpy", "opencv-python-headless", "pycocotools", "pydantic"),
)
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "asimd")
"""Instruction sets that decide which kernels and precisions a runtime picks."""

SYSTEM = Path("/")
"""Where /proc and /sys are looked for; tests put a folder here."""


def fingerprint() -> dict[str, Any]:
    """Return the machine as JSON: cpu, memory_bytes, os, python, packages, gpus; unknown is null."""
    return {
        "cpu": {
            "model": cpu_model(),
            "flags": [flag for flag in FLAGS if flag in cpu_flags()],
            "logical": os.cpu_count(),
            "usable_cores": usable_cores(),
            "quota_cores": quota_cores(),
        },
        "memory_bytes": memory_bytes(),
        "memory_limit_bytes": memory_limit_bytes(),
        "os": _os_name(),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
        "packages": packages(),
        "gpus": gpus(),
        "preload": os.environ.get("LD_PRELOAD") or None,
    }


def packages() -> dict[str, str | None]:
    """Return the installed version of each package of interest, null where it is absent."""
    return {name: _version(name) for name in PACKAGES}


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_model() -> str:
    """Return the processor's name, or its architecture where the system tells no more."""
    return _cpu_field("model name", "Model") or platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """Return the instruction sets and features of the first processor, in the kernel's names."""
    return _cpu_field("flags", "Features").split()


def _cpu_field(*names: str) -> str:
    for line in read("proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def cpuinfo_mhz(cpus: set[int]) -> list[float]:
    """Return the clocks that /proc/cpuinfo gives for these logical processors; [] where it gives none."""
    found, cpu = [], -1
    for line in read("proc/cpuinfo").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "processor" and value.isdigit():
            cpu = int(value)
        elif name == "cpu MHz" and cpu in cpus:
            found.append(float(value))
    return found


def read(path: str) -> str:
    """Return the text of a file under /proc, /sys or /etc (a path without the first slash), or ""."""
    try:
        return (SYSTEM / path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def usable_cores() -> int:
    """Return the physical cores that this process may use: its affinity, within the cgroup's quota."""
    cores = len(physical_cores(affinity()))
    quota = quota_cores()
    return max(1, cores if quota is None else min(cores, int(quota)))


def affinity() -> set[int]:
    """Return the logical processors on which this thread may run."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(psutil.cpu_count(logical=False) or 1))


def physical_cores(cpus: set[int]) -> dict[str, list[int]]:
    """Return which of the logical processors share a core, by the core's name."""
    siblings = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    cores: dict[str, list[int]] = {}
    for cpu in sorted(cpus):
        cores.setdefault(read(siblings.format(cpu)).strip() or f"cpu{cpu}", []).append(cpu)
    return cores


def last_cache_bytes() -> int:
    """Return the size of the first processor's last cache, or 0 where the system does not tell."""
    # Linux writes it as 32768K.
    sizes = [read(f"sys/devices/system/cpu/cpu0/cache/index{n}/size").strip() for n in range(5)]
    return max((int(size[:-1]) * 1024 for size in sizes if size[:-1].isdigit()), default=0)


def quota_cores() -> float | None:
    """Return the cgroup's processor quota in cores (version 2 or 1), or None without one."""
    for folder in _cgroup_folders():
        quota, _, period = read(f"{folder}/cpu.max").strip().partition(" ")
        if quota.isdigit() and period.isdigit():
            return int(quota) / int(period)
    quota, period = (read(f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def quota_throttled_s() -> float | None:
    """Return how long the cgroup's processor quota has held its tasks back, or None without a quota."""
    if quota_cores() is None:
        return None
    # Version 2 counts microseconds, version 1 nanoseconds; the cgroup that sets the quota counts.
    for path in [*(f"{folder}/cpu.stat" for folder in _cgroup_folders()), "sys/fs/cgroup/cpu/cpu.stat"]:
        fields = dict(line.split() for line in read(path).splitlines() if len(line.split()) == 2)
        for name, units in (("throttled_usec", 1e6), ("throttled_time", 1e9)):
            if name in fields:
                return int(fields[name]) / units
    return None


def memory_bytes() -> int:
    """Return the machine's memory."""
    return int(psutil.virtual_memory().total)


def memory_limit_bytes() -> int:
    """Return what processes here may hold together: the machine's memory, or the cgroup's smaller limit."""
    found = [read(f"{folder}/memory.max").strip() for folder in _cgroup_folders()]
    found.append(read("sys/fs/cgroup/memory/memory.limit_in_bytes").strip())
    return min([memory_bytes(), *(int(limit) for limit in found if limit.isdigit())])


def _cgroup_folders() -> list[str]:
    """Return this process's cgroup and its parents (version 2), innermost first: any may set a limit."""
    own = next((line[3:] for line in read("proc/self/cgroup").splitlines() if line.startswith("0::")), "/")
    parts = own.strip("/").split("/")
    return ["/".join(["sys/fs/cgroup", *parts[:n]]).rstrip("/") for n in range(len(parts), -1, -1)]


def _os_name() -> str:
    for line in read("etc/os-release").splitlines():
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
    rows = [[part.strip() for part in line.split(",")] for line in answer.splitlines() if line.strip()]
    return [
        {"name": name, "memory_mib": int(memory) if memory.isdigit() else None, "driver": driver}
        for name, memory, driver in rows
    ]
