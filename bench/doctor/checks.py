"""What this machine has that would spoil a measurement, or leaves cells unsupported: a function a cause."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable

from bench.cells import runtimes
from bench.doctor import clashes
from bench.doctor import neighbours as neighbours_
from bench.doctor.finding import NOTE, SPOILS, UNSUPPORTED, Finding
from bench.machine import cgroup, conditions, fingerprint, nvml, procfs
from bench.process import launch

BUSY_SHARE = 0.15
"""Load average per processor from which other work is reported."""

ONEDNN_FLAGS = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
"""TensorFlow switches oneDNN on by itself where a processor has one of these.

Source: tensorflow/core/util/port.cc of TensorFlow.
"""


def everything() -> list[Finding]:
    """Return every finding but the probe's; what spoils comes first."""
    found = [finding for check in CHECKS for finding in check()]
    order = (SPOILS, NOTE, UNSUPPORTED)
    return sorted(found, key=lambda finding: order.index(finding.severity))


def governor() -> list[Finding]:
    """The clock's policy, where it is not `performance`."""
    path = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
    found = {procfs.read(path.format(cpu)).strip() for cpu in fingerprint.affinity()} - {"", "performance"}
    cure = "sudo cpupower frequency-set -g performance"
    return [Finding(SPOILS, f"the frequency governor is '{name}'", cure) for name in sorted(found)]


def turbo() -> list[Finding]:
    """Turbo, by either of its switches."""
    for path, on in (
        ("sys/devices/system/cpu/intel_pstate/no_turbo", "0"),
        ("sys/devices/system/cpu/cpufreq/boost", "1"),
    ):
        if procfs.read(path).strip() == on:
            cure = f"echo {1 - int(on)} | sudo tee /{path}"
            return [Finding(SPOILS, "turbo is on: the clock follows heat and neighbours", cure)]
    return []


def load() -> list[Finding]:
    """Other work, by the load average."""
    busy = conditions.load_average()
    if busy is None or busy < BUSY_SHARE * len(fingerprint.affinity()):
        return []
    what = f"the load average is {busy:.1f}: other work shares these cores, or just ended"
    return [Finding(SPOILS, what, "end it (top shows it), or measure later")]


def siblings() -> list[Finding]:
    """Two logical processors of one core among those that may be used."""
    cores = fingerprint.physical_cores(fingerprint.affinity())
    if all(len(cpus) == 1 for cpus in cores.values()):
        return []
    one_each = ",".join(str(cpus[0]) for cpus in cores.values())
    return [
        Finding(
            SPOILS,
            "several hardware threads of a core may be used: two threads of a cell can land on one core",
            f"taskset -c {one_each} twinpose ..., or switch SMT off: "
            "echo off | sudo tee /sys/devices/system/cpu/smt/control",
        )
    ]


def quota() -> list[Finding]:
    """A cgroup's processor quota below the cores or of no whole number of them."""
    cores, limit = len(fingerprint.physical_cores(fingerprint.affinity())), cgroup.quota_cores()
    if limit is None or limit >= cores:
        return []
    whole = int(limit)
    if limit != whole:
        what = (
            f"the cgroup's quota is {limit:g} of {cores} cores, a fraction: threads are stopped in mid-work"
        )
        return [Finding(SPOILS, what, f"give the container whole cores, such as --cpus {max(1, whole)}")]
    what = f"the cgroup's quota is {limit:g} of {cores} cores: threads wander, and stop when it is used up"
    return [Finding(SPOILS, what, f"pin instead: taskset, or docker run --cpuset-cpus 0-{whole - 1}")]


def memory() -> list[Finding]:
    """A memory limit below the machine's, and swap in use."""
    limit, total = fingerprint.memory_limit_bytes(), fingerprint.memory_bytes()
    found = []
    if limit is not None and limit != total:
        whole = f"of {total / 2**30:.1f} GiB" if total else "GiB of an unknown whole"
        what = f"the cgroup allows {limit / 2**30:.1f} {whole}: cells may end as oom"
        found.append(Finding(NOTE, what, "raise it (docker run --memory), or measure smaller batches"))
    rows = [line.split() for line in procfs.read("proc/swaps").splitlines()[1:]]
    used_kib = sum(procfs.whole(row[3]) or 0 for row in rows if len(row) > 3)
    if used_kib:
        what = f"{used_kib / 2**10:.0f} MiB are swapped out: a page that returns stalls what is measured"
        found.append(Finding(SPOILS, what, "end what needs the memory, then: sudo swapoff -a"))
    return found


def huge_pages() -> list[Finding]:
    """Transparent huge pages for every allocation."""
    if "[always]" not in procfs.read("sys/kernel/mm/transparent_hugepage/enabled"):
        return []
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    what = "transparent huge pages are on for every allocation: figures of another machine may differ by that"
    return [Finding(NOTE, what, f"echo madvise | sudo tee {path}")]


def virtual() -> list[Finding]:
    """A virtual machine, which sees neither its clock nor its heat."""
    if "hypervisor" not in fingerprint.cpu_flags():
        return []
    what = (
        "this is a virtual machine: clock and throttling are hidden, neighbours show as steal or not at all"
    )
    return [Finding(NOTE, what, "trust the noise floor of each bench; measure on bare metal for publication")]


def untold() -> list[Finding]:
    """What this system does not tell, and so cannot raise a doubt; `virtual` has what a machine hides."""
    now = conditions.read()
    told = {
        "steal time and other work (/proc/stat)": now.busy_s,
        "the load average (/proc/loadavg)": now.load_average,
        "the processor's features (/proc/cpuinfo)": fingerprint.cpu_flags() or None,
        "the memory (/proc/meminfo)": fingerprint.memory_bytes(),
        "what the kernel ended for want of memory (/proc/vmstat)": launch.oom_kills(),
        "what the quota held back (cpu.stat)": now.quota_throttled_s if cgroup.quota_cores() else 0.0,
    }
    missing = [what for what, value in told.items() if value is None]
    if not missing:
        return []
    what = f"the system does not tell {', nor '.join(missing)}: null in a record, and no round is flagged"
    return [Finding(NOTE, what, "trust the noise floor of each bench, or measure where they are told")]


def tensorflow_kernels() -> list[Finding]:
    """A processor on which TensorFlow leaves oneDNN off, as it is shipped."""
    flags = fingerprint.cpu_flags()
    absent = flags and ONEDNN_FLAGS.isdisjoint(flags)
    if not absent or platform.machine() != "x86_64" or not runtimes.versions()["tensorflow"]:
        return []
    what = "TensorFlow leaves oneDNN off on this processor: its cells are of Eigen's kernels, as shipped"
    cure = "interpreters: {tf: {env: {TF_ENABLE_ONEDNN_OPTS: '1'}}} in a matrix measures it with oneDNN"
    return [Finding(NOTE, what, cure)]


def gpu() -> list[Finding]:
    """No NVIDIA GPU, or others that compute on it."""
    users = [user for user in nvml.users() if user.pid != os.getpid()]
    if users:
        whose = ", ".join(f"process {user.pid} on GPU {user.gpu}" for user in users)
        return [Finding(SPOILS, f"the GPU is in use: {whose}", "end it, or measure later")]
    if fingerprint.gpus():
        return []
    what = "no NVIDIA GPU: cells with device cuda are unsupported"
    return [Finding(UNSUPPORTED, what, "none is needed; run them elsewhere")]


def neighbours(probed: neighbours_.Noise) -> list[Finding]:
    """Return what a probe of noise found."""
    if not probed.noisy:
        return []
    slow = max(core.slow_share for core in probed.cores)
    worst = max(core.worst_slowdown for core in probed.cores)
    steal = f", steal {probed.steal_share:.1%}" if probed.steal_share else ""
    what = (
        f"noisy neighbours: {slow:.0%} of a core's blocks took over {neighbours_.SLOW:g} times the best, "
        f"the worst {worst:.1f} times{steal}"
    )
    return [Finding(SPOILS, what, "end other work, take another machine or hour, or add rounds (official)")]


CHECKS: tuple[Callable[[], Iterable[Finding]], ...] = (
    *(governor, turbo, load, siblings, quota, memory, huge_pages, virtual, untold, tensorflow_kernels, gpu),
    *(clashes.environment, clashes.twins_of_a_module, clashes.torch_pair, clashes.cuda_libraries),
    *(clashes.compiler, clashes.frameworks),
)
