"""twinpose doctor: each cause on a described machine, and the whole on this one."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bench.doctor import checks, clashes, doctor, neighbours
from bench.doctor.finding import NOTE, SPOILS, UNSUPPORTED, Finding
from bench.machine import nvml
from bench.process import environment, launch


def only(found: list[Finding], severity: str = SPOILS) -> Finding:
    assert [finding.severity for finding in found] == [severity]
    return found[0]


def test_a_quiet_machine_has_nothing_that_spoils(fake_system: Any) -> None:
    machine_checks = (checks.governor, checks.turbo, checks.load, checks.siblings, checks.quota)
    for check in (*machine_checks, checks.memory, checks.huge_pages, checks.virtual):
        assert check() == []


def test_a_governor_that_saves_power_is_found_on_any_core(fake_system: Any) -> None:
    path = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
    fake_system.write(path.format(0), "performance\n")
    assert checks.governor() == []
    fake_system.write(path.format(1), "powersave\n")
    assert "'powersave'" in only(checks.governor()).what


@pytest.mark.parametrize(
    ("path", "on", "off"), [("intel_pstate/no_turbo", "0", "1"), ("cpufreq/boost", "1", "0")]
)
def test_turbo_is_found_by_either_switch(fake_system: Any, path: str, on: str, off: str) -> None:
    fake_system.write(f"sys/devices/system/cpu/{path}", on + "\n")
    assert only(checks.turbo()).cure == f"echo {off} | sudo tee /sys/devices/system/cpu/{path}"
    fake_system.write(f"sys/devices/system/cpu/{path}", off + "\n")
    assert checks.turbo() == []


@pytest.mark.parametrize(("average", "count"), [("0.20", 0), ("1.50", 1)])
def test_other_work_is_found_by_the_load_average(fake_system: Any, average: str, count: int) -> None:
    fake_system.write("proc/loadavg", f"{average} 0 0 1/2 3\n")
    assert len(checks.load()) == count


def test_hardware_threads_of_one_core_are_found_with_one_of_each_as_cure(fake_system: Any) -> None:
    for cpu in range(2):
        fake_system.write(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", "0-1\n")
    assert "taskset -c 0 twinpose" in only(checks.siblings()).cure


@pytest.mark.parametrize(
    ("quota", "words"),
    [("150000", "1.5 of 2 cores, a fraction"), ("50000", "0.5 of 2"), ("100000", "1 of 2 cores: threads")],
)
def test_a_quota_below_the_cores_is_found(fake_system: Any, quota: str, words: str) -> None:
    fake_system.write("sys/fs/cgroup/cpu.max", f"{quota} 100000\n")
    assert words in only(checks.quota()).what


@pytest.mark.parametrize("quota", ["200000 100000", "250000 100000", "max 100000"])
def test_a_quota_of_all_cores_is_none(fake_system: Any, quota: str) -> None:
    fake_system.write("sys/fs/cgroup/cpu.max", quota + "\n")
    assert checks.quota() == []


def test_a_memory_limit_and_swap_in_use_are_found(fake_system: Any) -> None:
    fake_system.write("sys/fs/cgroup/memory.max", f"{2**30}\n")
    assert "1.0 of " in only(checks.memory(), NOTE).what
    fake_system.write("sys/fs/cgroup/memory.max", "max\n")
    header = "Filename Type Size Used Priority\n"
    fake_system.write("proc/swaps", header + "/dev/zram0 partition 4096000 0 100\n")
    assert checks.memory() == []
    fake_system.write("proc/swaps", header + "/dev/zram0 partition 4096000 20480 100\n")
    assert "20 MiB are swapped out" in only(checks.memory()).what


def test_huge_pages_for_all_and_a_virtual_machine_are_to_be_known(fake_system: Any) -> None:
    path = "sys/kernel/mm/transparent_hugepage/enabled"
    fake_system.write(path, "[always] madvise never\n")
    assert "huge pages" in only(checks.huge_pages(), NOTE).what
    fake_system.write(path, "always [madvise] never\n")
    assert checks.huge_pages() == []
    fake_system.write("proc/cpuinfo", "flags : fpu hypervisor avx2\n")
    assert "virtual machine" in only(checks.virtual(), NOTE).what


@pytest.mark.parametrize(("flags", "count"), [("avx2 fma", 1), ("avx2 avx_vnni", 0), ("avx512_vnni", 0)])
def test_a_processor_on_which_tensorflow_leaves_onednn_off_is_named(
    fake_system: Any, monkeypatch: pytest.MonkeyPatch, flags: str, count: int
) -> None:
    monkeypatch.setattr(checks.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(checks.runtimes, "versions", lambda: {"tensorflow": "2"})
    fake_system.write("proc/cpuinfo", f"flags : fpu {flags}\n")
    found = checks.tensorflow_kernels()
    assert [finding.severity for finding in found] == [NOTE] * count
    monkeypatch.setattr(checks.runtimes, "versions", lambda: {"tensorflow": None})
    assert checks.tensorflow_kernels() == []


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [n for n in clashes.os.environ if n.startswith((*clashes.STEERING, "MALLOC_"))]:
        monkeypatch.delenv(name)
    for name in ("LD_PRELOAD", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("LD_PRELOAD", SPOILS),
        ("MALLOC_ARENA_MAX", NOTE),
        ("GLIBC_TUNABLES", NOTE),
        ("OMP_WAIT_POLICY", SPOILS),
        ("KMP_BLOCKTIME", SPOILS),
        ("ONEDNN_MAX_CPU_ISA", SPOILS),
        ("TF_ENABLE_ONEDNN_OPTS", SPOILS),
    ],
)
def test_variables_that_steer_are_found(clean: pytest.MonkeyPatch, name: str, severity: str) -> None:
    clean.setenv(name, "libx.so")
    found = only(clashes.environment(), severity)
    assert name in found.what
    assert found.cure == f"unset {name}"


@pytest.mark.parametrize("name", [*environment.thread_environment(1), "TORCH_HOME", "PATH"])
def test_variables_that_every_cell_is_given_anew_are_no_finding(clean: Any, name: str) -> None:
    if name != "PATH":
        clean.setenv(name, "7")
    assert clashes.environment() == []


def test_two_distributions_of_one_module_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"opencv-python", "opencv-python-headless", "py-cpuinfo2"}
    monkeypatch.setattr(clashes, "installed", lambda name: "1" if name in there else None)
    found = only(clashes.twins_of_a_module())
    assert found.what.startswith("opencv-python-headless and opencv-python are both installed")
    assert "pip uninstall opencv-python;" in found.cure
    there.add("py-cpuinfo")
    assert len(clashes.twins_of_a_module()) == 2


@pytest.mark.parametrize(
    ("torch", "vision", "pair"),
    [
        ("2.14.1", "0.29.2", True),
        ("2.0.0", "0.15.1", True),
        ("2.15.0", "0.29.2", False),
        ("2.14.1+cpu", "0.29.2+cpu", True),
        ("2.14.1+cpu", "0.29.2", False),
        ("2.14.1+cu130", "0.29.2+cpu", False),
        ("3.0.0", "0.40.0", True),
        (None, "0.29.2", True),
    ],
)
def test_a_torchvision_of_another_torch_is_found(
    monkeypatch: pytest.MonkeyPatch, torch: str | None, vision: str, pair: bool
) -> None:
    monkeypatch.setattr(clashes, "installed", {"torch": torch, "torchvision": vision}.get)
    assert (clashes.torch_pair() == []) is pair


def test_two_cudnn_in_one_environment_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "torch": ["numpy", 'nvidia-cudnn-cu13==9.24.0.43; platform_system == "Linux"'],
        "tensorflow": ['nvidia-cudnn-cu12<10.0,>=9.3; extra == "and-cuda"'],
    }
    there = {"nvidia-cudnn-cu13"}
    monkeypatch.setattr(clashes, "requires", asked.get)
    monkeypatch.setattr(clashes, "installed", lambda name: "1" if name in there else None)
    assert clashes.cuda_libraries() == []
    there.add("nvidia-cudnn-cu12")
    assert "nvidia-cudnn-cu12 and nvidia-cudnn-cu13" in only(clashes.cuda_libraries()).what


def test_absent_frameworks_are_merely_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clashes, "installed", lambda name: None if name == "openvino" else "1")
    assert only(clashes.frameworks(), UNSUPPORTED).cure == "pip install 'twinpose[openvino]'"


def test_a_gpu_in_use_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.fingerprint, "gpus", list)
    monkeypatch.setattr(nvml, "users", list)
    assert "no NVIDIA GPU" in only(checks.gpu(), UNSUPPORTED).what
    monkeypatch.setattr(nvml, "users", lambda: [nvml.User(0, 7), SimpleNamespace(pid=checks.os.getpid())])
    assert "process 7 on GPU 0" in only(checks.gpu()).what


def test_the_whole_is_json_and_reads_well() -> None:
    found = doctor.examine(0.2)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {"machine", "findings", "noise"} == told.keys()
    assert all({"severity", "what", "cure"} == finding.keys() for finding in told["findings"])
    ranks = [(SPOILS, NOTE, UNSUPPORTED).index(finding.severity) for finding in found.findings]
    assert ranks == sorted(ranks)
    text = found.text()
    assert "slow blocks" in text
    for finding in found.findings:
        assert f"- {finding.what}\n    {finding.cure}" in text


def test_without_the_probe_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "probe", lambda seconds: pytest.fail("probed"))
    found = doctor.examine(0)
    assert found.noise is None
    assert "slow blocks" not in found.text()


def test_a_probe_that_fails_is_told_and_the_rest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(seconds: float) -> Any:
        raise launch.ChildFailed("no result after 31 s")

    monkeypatch.setattr(neighbours, "probe", fails)
    found = doctor.examine(1)
    assert found.noise is None
    assert any("no result after 31 s" in finding.what for finding in found.findings)


def test_a_machine_without_findings_says_so() -> None:
    assert "nothing found" in doctor.Diagnosis({"cpu": "x"}, [], None).text()
