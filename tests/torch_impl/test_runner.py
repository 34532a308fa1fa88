"""The PyTorch runner: lanes of numerics, threads and the device's clock, as torch itself says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import lanes
import numpy as np
import pytest
from twins import noisy_batch, tiny

from bench.contract import STRICT_ENVIRONMENT, OnDevice
from pose.errors import Unsupported

torch = pytest.importorskip("torch")
runner = pytest.importorskip("torch_impl.runner")

LOOSEN = """
import torch
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.mkldnn.conv.fp32_precision = torch.backends.mkldnn.matmul.fp32_precision = "bf16"
"""
LOOSE = {"cuda.matmul": "tf32", "cudnn.conv": "tf32", "mkldnn.conv": "bf16", "mkldnn.matmul": "bf16"}


@pytest.mark.parametrize(("precision", "threads"), [("fp32", 1), ("bf16", 2)])
def test_strict_lanes_turn_off_whatever_shortens_float32(tmp_path: Path, precision: str, threads: int):
    spec = lanes.twin(tmp_path, precision=precision, threads=threads)
    found = lanes.effective("torch", spec, LOOSEN, lanes.LOOSE)
    switches = found["switches"]
    assert {name: switches[name] for name in STRICT_ENVIRONMENT} == STRICT_ENVIRONMENT
    # torch says `none` where nothing but IEEE float32 was allowed.
    assert {value for name, value in switches.items() if "fp32_precision" in name} <= {"ieee", "none"}
    assert found["precision"] == {"fp32": "float32", "bf16": "bfloat16"}[precision]
    assert (found["threads"], found["interop_threads"] >= 1) == (threads, True)


def test_the_lane_of_defaults_touches_no_switch(tmp_path: Path):
    spec = lanes.twin(tmp_path, precision="defaults")
    found = lanes.effective("torch", spec, LOOSEN, lanes.LOOSE)
    switches = found["switches"]
    assert {name: switches[name] for name in STRICT_ENVIRONMENT} == lanes.LOOSE
    assert {name: switches[f"{name}.fp32_precision"] for name in LOOSE} == LOOSE
    assert found["precision"] == "float32"
    shipped = lanes.effective("torch", spec)["switches"]
    assert shipped["cudnn.conv.fp32_precision"] == "tf32"


def test_whether_onednn_computes_is_read_back(tmp_path: Path):
    spec = lanes.twin(tmp_path)
    there = torch.backends.mkldnn.is_available()
    assert lanes.effective("torch", spec)["onednn"] is there
    assert (
        lanes.effective("torch", spec, "import torch; torch.backends.mkldnn.enabled = False")["onednn"]
        is False
    )


def test_lanes_of_float32_compute_the_same_on_the_cpu(tmp_path: Path):
    images = noisy_batch(tiny(), 2)[0]
    strict, shipped, half = (
        runner.Runner(lanes.twin(tmp_path, precision=name)).infer(images)
        for name in ("fp32", "defaults", "bf16")
    )
    np.testing.assert_allclose(shipped, strict, rtol=1e-4, atol=1e-5 * np.abs(strict).max())
    assert np.abs(half - strict).max() > 1e-4 * np.abs(strict).max()


def test_int8_is_refused_with_what_is_missing(tmp_path: Path):
    with pytest.raises(Unsupported, match=r"torch has no int8 network here.*quantised copy of the module"):
        runner.Runner(lanes.twin(tmp_path, precision="int8"))


def test_the_cpu_has_no_clock_and_no_memory_of_its_own(tmp_path: Path):
    made = runner.Runner(lanes.twin(tmp_path))
    assert isinstance(made, OnDevice)
    assert made.device_timer() is None
    assert made.device_memory_bytes() is None
    assert made.effective()["device_clock"] == "none: on the CPU the host's clock is the device's"


class FakeEvent:
    """A CUDA event whose stream reaches it 1.5 ms after the one before."""

    log: ClassVar[list[str]] = []
    reached_ms = 0.0

    def __init__(self, enable_timing: bool):
        assert enable_timing
        self.at_ms: float | None = None

    def record(self) -> None:
        FakeEvent.reached_ms += 1.5
        self.at_ms = FakeEvent.reached_ms
        self.log.append("record")

    def synchronize(self) -> None:
        self.log.append("wait")

    def elapsed_time(self, later: FakeEvent) -> float:
        self.log.append("read")
        return later.at_ms - self.at_ms


def test_cuda_events_are_awaited_before_they_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    made: Any = runner.Runner(lanes.twin(tmp_path))
    made.device = torch.device("cuda")
    timer = made.device_timer()
    for _ in range(2):
        FakeEvent.log.clear()
        timer.start()
        assert timer.stop() == 1_500_000
        assert FakeEvent.log == ["record", "record", "wait", "read"]


def test_the_peak_of_device_memory_is_torchs_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: {"cuda": 123}[device.type])
    made: Any = runner.Runner(lanes.twin(tmp_path))
    made.device = torch.device("cuda")
    assert made.device_memory_bytes() == 123
