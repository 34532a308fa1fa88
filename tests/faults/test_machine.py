"""What a machine says of itself: every level of the own cgroup counts, and what is not told is no crash."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ceilings import bandwidth
from bench.doctor import checks
from bench.doctor.finding import NOTE
from bench.machine import cgroup, conditions, fingerprint, procfs
from bench.process import launch, parallel
from bench.rounds import start_round
from bench.scenarios import round as round_

UNLIMITED = "9223372036854771712"
GARBLED = ("", "\0\1\2", "no numbers here", "² ³", "cpu0 a b c d e f g h\ncpu1\nbtime x\nMemTotal: many kB")


def write(root: Path, **files: str) -> None:
    """Write files, given as path=text without the first slash."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that stands for / ; four processors are the affinity's."""
    monkeypatch.setattr(procfs, "SYSTEM", tmp_path)
    monkeypatch.setattr(fingerprint.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    return tmp_path


def version_1(root: Path, folder: str, quota_us: int, throttled_ns: int = 0) -> None:
    """Write the cpu controller's files of one cgroup."""
    files = {"cpu.cfs_quota_us": f"{quota_us}", "cpu.cfs_period_us": "100000"}
    files["cpu.stat"] = f"nr_periods 42\nnr_throttled 40\nthrottled_time {throttled_ns}"
    write(root, **{f"{folder}/{name}": text for name, text in files.items()})


def test_the_quota_of_the_own_group_of_version_1_is_seen(system: Path) -> None:
    home = "sys/fs/cgroup/cpu,cpuacct"
    version_1(system, home, -1)
    version_1(system, f"{home}/slurm/job_1", 50000, throttled_ns=1_500_000_000)
    (system / "sys/fs/cgroup/cpu").symlink_to("cpu,cpuacct")
    write(system, **{"proc/self/cgroup": "4:cpu,cpuacct:/slurm/job_1"})
    assert (cgroup.quota_cores(), fingerprint.usable_cores()) == (0.5, 1)
    assert cgroup.throttled_s() == 1.5, "counted once, by whichever of its two names"


def test_the_memory_limit_of_the_own_group_of_version_1_is_seen(system: Path) -> None:
    home = "sys/fs/cgroup/memory"
    write(system, **{"proc/self/cgroup": "9:memory:/slurm/job_1", "proc/meminfo": "MemTotal: 8388608 kB"})
    write(system, **{f"{home}/memory.limit_in_bytes": UNLIMITED, f"{home}/slurm/job_1/x": ""})
    assert fingerprint.memory_limit_bytes() == fingerprint.memory_bytes() == 2**33
    write(system, **{f"{home}/slurm/job_1/memory.limit_in_bytes": "3221225472"})
    assert fingerprint.memory_limit_bytes() == 3221225472


def test_an_outer_quota_that_is_tighter_binds_and_its_throttling_counts(system: Path) -> None:
    home = "sys/fs/cgroup/pod"
    write(system, **{"proc/self/cgroup": "0::/pod/container"})
    write(system, **{f"{home}/container/cpu.max": "400000 100000", f"{home}/cpu.max": "100000 100000"})
    assert (cgroup.quota_cores(), fingerprint.usable_cores()) == (1.0, 1)
    write(system, **{f"{home}/container/cpu.stat": "throttled_usec 0"})
    write(system, **{f"{home}/cpu.stat": "nr_throttled 3\nthrottled_usec 2500000"})
    assert cgroup.throttled_s() == 2.5


@given(st.lists(st.one_of(st.none(), st.integers(1, 64)), min_size=1, max_size=5), st.sampled_from([1, 2]))
def test_the_tightest_of_all_levels_wins(
    tmp_path_factory: pytest.TempPathFactory, limits: list[int | None], version: int
) -> None:
    """limits: of each level from the mount inward, cores of a quota and GiB of memory; None is no limit."""
    root = tmp_path_factory.mktemp("system")
    levels = ["".join(f"/level{n}" for n in range(1, depth + 1)) for depth in range(len(limits))]
    one, two = f"3:cpu:{levels[-1]}/\n2:memory:{levels[-1]}/", f"0::{levels[-1]}/"
    write(root, **{"proc/self/cgroup": one if version == 1 else two})
    home = "sys/fs/cgroup"
    for level, limit in zip(levels, limits, strict=True):
        quota_us, bytes_ = (limit * 100000, limit * 2**30) if limit else (None, None)
        if version == 1:
            version_1(root, f"{home}/cpu{level}", quota_us or -1)
            write(root, **{f"{home}/memory{level}/memory.limit_in_bytes": str(bytes_ or UNLIMITED)})
        else:
            write(root, **{f"{home}{level}/cpu.max": f"{quota_us or 'max'} 100000"})
            write(root, **{f"{home}{level}/memory.max": str(bytes_ or "max")})
    tightest = min(filter(None, limits), default=None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(procfs, "SYSTEM", root)
        assert cgroup.quota_cores() == tightest
        assert cgroup.memory_limit_bytes() == (tightest * 2**30 if tightest else None)


def test_a_system_of_both_versions_is_read_by_both(system: Path) -> None:
    write(system, **{"proc/self/cgroup": "5:cpu:/job\n1:name=systemd:/other\n0::/box"})
    version_1(system, "sys/fs/cgroup/cpu/job", 300000)
    write(system, **{"sys/fs/cgroup/unified/box/memory.max": "1048576"})
    assert (cgroup.quota_cores(), fingerprint.memory_limit_bytes()) == (3.0, 2**20)
    write(system, **{"sys/fs/cgroup/unified/box/cpu.max": "200000 100000"})
    assert cgroup.quota_cores() == 2.0


def mountinfo(root: str, point: str, kind: str, options: str) -> str:
    return f"42 30 0:28 {root} {point} rw,relatime shared:9 - {kind} {kind} {options}"


def test_a_hierarchy_is_found_where_it_is_mounted(system: Path) -> None:
    rows = (mountinfo("/", "/cgroup/both", "cgroup", "rw,cpu,cpuacct"), "no mount", "1 2 3 4 5 - cgroup")
    write(system, **{"proc/self/mountinfo": "\n".join(rows), "proc/self/cgroup": "4:cpuacct,cpu:/job"})
    version_1(system, "cgroup/both/job", 200000)
    version_1(system, "sys/fs/cgroup/cpu/job", 100000)
    assert cgroup.quota_cores() == 2.0, "the folder below /sys is no mount"


@pytest.mark.parametrize("told", [True, False])
def test_a_container_with_the_hosts_path_is_limited_by_what_its_mount_shows(system: Path, told: bool) -> None:
    """Docker without a cgroup namespace: the path is the host's, the mount begins at the container."""
    write(system, **{"proc/self/cgroup": "0::/docker/4f1c/inner/most"})
    if told:
        row = mountinfo("/docker/4f1c", "/sys/fs/cgroup", "cgroup2", "rw,nsdelegate")
        write(system, **{"proc/self/mountinfo": row})
    home = "sys/fs/cgroup"
    write(system, **{f"{home}/cpu.max": "300000 100000", f"{home}/inner/most/cpu.max": "max 100000"})
    assert cgroup.quota_cores() == 3.0
    write(system, **{f"{home}/inner/cpu.max": "200000 100000"})
    assert cgroup.quota_cores() == 2.0


def test_a_path_out_of_the_namespace_is_not_followed(system: Path) -> None:
    write(system, **{"proc/self/cgroup": "0::/../other", "sys/fs/cgroup/memory.max": "1048576"})
    write(system, **{"sys/fs/other/cpu.max": "100000 100000"})
    assert (cgroup.quota_cores(), fingerprint.memory_limit_bytes()) == (None, 2**20)


def test_a_memory_limit_above_what_is_mounted_is_told_by_version_1(system: Path) -> None:
    write(system, **{"proc/self/cgroup": "9:memory:/docker/4f1c"})
    write(system, **{"sys/fs/cgroup/memory/memory.stat": "cache 5\nhierarchical_memory_limit 1073741824"})
    assert fingerprint.memory_limit_bytes() == 2**30


@pytest.mark.parametrize(
    ("own", "path"),
    [("0::/box", "box/cpuset.cpus.effective"), ("2:cpuset:/box", "cpuset/box/cpuset.effective_cpus")],
)
def test_cpusets_of_all_levels_leave_what_all_allow(system: Path, own: str, path: str) -> None:
    write(system, **{"proc/self/cgroup": own, f"sys/fs/cgroup/{path}": "1-2,7"})
    assert fingerprint.affinity() == {1, 2}
    write(system, **{f"sys/fs/cgroup/{path.replace('box/', '')}": "0,2-3"})
    assert fingerprint.affinity() == {2}
    write(system, **{f"sys/fs/cgroup/{path}": "8-9"})
    assert fingerprint.affinity() == {0, 1, 2, 3}, "what cannot be is not believed"


@pytest.mark.parametrize("text", [*GARBLED, "0 0", "100000 0", "-1 100000", "3-1", "1-2-3"])
def test_garbled_files_of_a_cgroup_are_no_limit(system: Path, text: str) -> None:
    names = ("cpu.max", "memory.max", "cpu.stat", "cpuset.cpus.effective")
    older = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "memory/memory.stat", "cpuset/cpuset.cpus")
    write(system, **{f"sys/fs/cgroup/{name}": text for name in (*names, *older)})
    write(system, **{"proc/self/cgroup": text, "proc/self/mountinfo": text})
    assert cgroup.quota_cores() is None
    assert cgroup.throttled_s() is None
    assert cgroup.processors() is None


@pytest.mark.parametrize("text", GARBLED)
def test_what_a_garbled_system_does_not_tell_is_null_and_no_doubt(system: Path, text: str) -> None:
    names = ("stat", "meminfo", "cpuinfo", "vmstat", "loadavg", "swaps", "self/status", "self/task/1/stat")
    cpu = "sys/devices/system/cpu/cpu0"
    write(system, **{f"proc/{name}": text for name in names})
    write(system, **{f"{cpu}/cache/index0/size": text, f"{cpu}/cpufreq/scaling_cur_freq": text})
    write(system, **{f"{cpu}/thermal_throttle/core_throttle_count": text})
    before, after = conditions.read(), conditions.read()
    told = (after.steal_s, after.busy_s, after.load_average, after.throttle_events, after.clock_mhz)
    assert told == (None,) * 5
    assert conditions.doubts(before, after) == []
    assert conditions.tasks() is None
    assert (fingerprint.cpu_flags(), fingerprint.last_cache_bytes(), launch.oom_kills()) == ([], 0, None)
    assert (checks.load(), checks.memory(), checks.virtual(), checks.tensorflow_kernels()) == ([], [], [], [])
    assert round_.peak_rss_bytes() > 0
    [finding] = checks.untold()
    assert finding.severity == NOTE
    for path in ("/proc/stat", "/proc/loadavg", "/proc/cpuinfo", "/proc/vmstat"):
        assert path in finding.what


def test_memory_that_nothing_tells_is_null(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint.os, "sysconf", lambda name: -1 if name == "SC_PHYS_PAGES" else 4096)
    assert (
        fingerprint.memory_bytes()
        is fingerprint.memory_limit_bytes()
        is start_round.memory_limit_bytes()
        is None
    )
    assert bandwidth.array_bytes() == bandwidth.LEAST_BYTES
    assert checks.memory() == []
    assert "/proc/meminfo" in checks.untold()[0].what
    write(system, **{"sys/fs/cgroup/memory.max": "1073741824"})
    assert fingerprint.memory_limit_bytes() == 2**30
    assert "1.0 GiB" in checks.memory()[0].what


@pytest.fixture
def started() -> Iterator[psutil.Popen]:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with psutil.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        yield process
        process.stdin.close()


@pytest.mark.parametrize("error", [RuntimeError("line 'btime' not found in /proc/stat"), ValueError("x")])
def test_descendants_are_found_without_the_time_of_the_boot(
    monkeypatch: pytest.MonkeyPatch, started: psutil.Popen, error: Exception
) -> None:
    def untold(*_: object, **__: object) -> list[psutil.Process]:
        raise error

    end = time.monotonic() + 30
    while not started.children() and time.monotonic() < end:
        pass
    wanted = {started.pid, *(process.pid for process in started.children())}
    monkeypatch.setattr(psutil.Process, "children", untold)
    assert len(wanted) == 2
    assert wanted <= {process.pid for process in fingerprint.descendants()}
    assert {process.pid for process in fingerprint.descendants(started.pid)} == wanted - {started.pid}


def test_an_interrupt_ends_a_child_that_starts_only_then() -> None:
    interrupted = threading.Event()

    def late() -> int:
        interrupted.wait(30)
        time.sleep(0.05)
        return subprocess.run(["sleep", "600"]).returncode

    def first() -> int:
        interrupted.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parallel.together([first, late], 2)


def test_an_interrupt_ends_the_probe_of_noise_at_once() -> None:
    # What a shell puts into the background ignores SIGINT, and so do its children.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from bench.doctor import neighbours; print('begun', flush=True); neighbours.probe(60, [0])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as probe:
        assert probe.stdout is not None
        probe.stdout.readline()
        time.sleep(0.5)
        sent_s = time.monotonic()
        probe.send_signal(signal.SIGINT)
        assert probe.wait(30) != 0
        assert time.monotonic() - sent_s < 10, "the probe takes 60 s"
