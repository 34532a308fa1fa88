"""The TensorFlow runner: lanes of numerics, threads and the device's memory, as TensorFlow itself says."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import lanes
import numpy as np
import pytest
from twins import noisy_batch, tiny

from bench.contract import STRICT_ENVIRONMENT, OnDevice
from bench.parity.rungs import trajectory
from bench.process import environment
from pose.errors import Unsupported

tf = pytest.importorskip("tensorflow")
runner = pytest.importorskip("tf_impl.runner")

LOOSEN = """
import tensorflow as tf
tf.config.experimental.enable_tensor_float_32_execution(True)
tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
"""


@pytest.mark.parametrize(("precision", "threads"), [("fp32", 1), ("bf16", 2)])
def test_strict_lanes_turn_off_whatever_shortens_float32(tmp_path: Path, precision: str, threads: int):
    spec = lanes.twin(tmp_path, precision=precision, threads=threads)
    found = lanes.effective("tf", spec, LOOSEN, lanes.LOOSE)
    off = dict.fromkeys(("tensor_float_32_execution", *runner.AUTOMATIC), False)
    assert found["switches"] == off | STRICT_ENVIRONMENT
    assert found["precision"] == {"fp32": "float32", "bf16": "bfloat16"}[precision]
    assert (found["threads"], found["interop_threads"]) == (threads, 1)


def test_the_lane_of_defaults_touches_no_switch(tmp_path: Path):
    spec = lanes.twin(tmp_path, precision="defaults")
    found = lanes.effective("tf", spec, LOOSEN, lanes.LOOSE)
    switches = found["switches"]
    assert {name: switches[name] for name in STRICT_ENVIRONMENT} == lanes.LOOSE
    assert switches["auto_mixed_precision_onednn_bfloat16"] is True
    assert found["precision"] == "float32"
    shipped = lanes.effective("tf", spec)["switches"]
    assert shipped["tensor_float_32_execution"] is True
    assert [shipped[name] for name in runner.AUTOMATIC] == [None, None]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="TensorFlow has oneDNN there alone")
def test_whether_onednn_computes_is_read_back_and_a_training_switches_it_on(tmp_path: Path):
    spec = lanes.twin(tmp_path)
    assert lanes.effective("tf", spec, env=environment.ONEDNN)["onednn"] is True
    assert lanes.effective("tf", spec, env=trajectory.OTHER_LAYOUT)["onednn"] is False


def test_lanes_of_float32_compute_the_same_on_the_cpu(tmp_path: Path):
    images = noisy_batch(tiny(), 2)[0]
    strict, shipped, half = (
        runner.Runner(lanes.twin(tmp_path, "graph", precision=name)).infer(images)
        for name in ("fp32", "defaults", "bf16")
    )
    np.testing.assert_allclose(shipped, strict, rtol=1e-4, atol=1e-5 * np.abs(strict).max())
    assert np.abs(half - strict).max() > 1e-4 * np.abs(strict).max()


def test_int8_is_refused_with_what_is_missing(tmp_path: Path):
    with pytest.raises(Unsupported, match=r"TensorFlow has no int8 network here.*TensorFlow Lite's"):
        runner.Runner(lanes.twin(tmp_path, precision="int8"))


def test_the_cpu_has_no_clock_and_no_memory_of_its_own(tmp_path: Path):
    made = runner.Runner(lanes.twin(tmp_path))
    assert isinstance(made, OnDevice)
    assert made.device_timer() is None
    assert made.device_memory_bytes() is None
    assert made.effective()["device_clock"] == "none: on the CPU the host's clock is the device's"


def test_a_gpu_says_its_peak_memory_and_why_it_has_no_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    made: Any = runner.Runner(lanes.twin(tmp_path))
    made.spec = replace(made.spec, device="cuda")
    facts = {"GPU:0": {"current": 1, "peak": 123}}
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", facts.__getitem__)
    devices = [type("Device", (), {"name": "gpu"})()]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices)
    assert made.device_memory_bytes() == 123
    assert made.device_timer() is None
    assert made.effective()["device_clock"] == "none: TensorFlow hands out no CUDA events"
