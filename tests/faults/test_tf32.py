"""A9: TF32 is named where the switches allow it, and is never held against the peak of float32."""

from __future__ import annotations

from typing import Any

import pytest
import run_folders

from bench.ceilings import shares
from bench.cells.runtimes import read_back
from bench.run.bench_file import BenchFile, Ceilings, Peak

ON_A_GPU = {"precision": "float32", "device": "NVIDIA H200"}
OF_FLOAT32 = Ceilings(
    device="cuda",
    peaks=[Peak(precision="fp32", threads=2, gflops=5e4, kernel="conv", library="torch")],
)


@pytest.mark.parametrize(
    ("switches", "name"),
    [
        ({"cudnn.conv.fp32_precision": "tf32", "cuda.matmul.fp32_precision": "none"}, "tf32"),
        ({"cudnn.conv.fp32_precision": "none"}, "fp32"),
        ({"cudnn.conv.fp32_precision": "tf32", "NVIDIA_TF32_OVERRIDE": "0"}, "fp32"),
        ({"cudnn.conv.fp32_precision": "none", "NVIDIA_TF32_OVERRIDE": "1"}, "tf32"),
        ({"tensor_float_32_execution": True, "NVIDIA_TF32_OVERRIDE": None}, "tf32"),
        ({"tensor_float_32_execution": False}, "fp32"),
        ({"use_tf32": "1"}, "tf32"),
        ({"use_tf32": None}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_tf32_on_a_gpu_is_named_where_the_switches_allow_it(switches: dict[str, Any], name: str) -> None:
    assert read_back(ON_A_GPU | {"switches": switches}) == name


def test_a_switch_says_nothing_on_a_cpu_nor_of_another_type() -> None:
    allowed = {"tensor_float_32_execution": True}
    assert read_back({"precision": "float32", "device": "cpu", "switches": allowed}) == "fp32"
    assert read_back({"precision": "bfloat16", "device": "GPU:0", "switches": allowed}) == "bf16"


@pytest.mark.parametrize("precision", ["defaults", "fp32"])
def test_what_may_compute_in_tf32_has_no_share_of_the_float32_peak(precision: str) -> None:
    axes = run_folders.cell(precision=precision, device="cuda")
    switches = {"cudnn.conv.fp32_precision": "tf32"}
    for allowed, of_peak in (({}, True), (switches, False)):
        effective = ON_A_GPU | {"switches": allowed}
        one = run_folders.result(axes, [20.0], effective=effective, stats={"value": 20.0})
        [found] = shares.with_shares([one], BenchFile(limits_cuda=OF_FLOAT32), 10**9)
        assert ("share_of_peak" in found.stats) == of_peak
