"""The layers by which the ceiling is measured run in OpenVINO in the precision that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from bench.ceilings import kernels
from bench.ceilings import peak as peak_
from pose.errors import Unsupported

ov = pytest.importorskip("openvino")
peak = pytest.importorskip("openvino_impl.peak")


@pytest.mark.parametrize("kernel", kernels.kernels("cpu", 1), ids=lambda kernel: kernel["name"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_layer_runs(kernel: dict[str, Any], precision: str) -> None:
    peak.prepare(kernel, precision, "cpu", 1)()


def test_int8_is_read_back_from_the_compiled_graph() -> None:
    core = ov.Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    for precision in ("fp32", "int8"):
        network = peak._network(kernels.kernels("cpu", 1)[0], precision)
        ran = peak.executed(core.compile_model(network, "CPU", hint))
        assert ran
        assert ran <= peak.EXECUTED[precision]


def test_a_graph_that_runs_in_another_precision_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a processor without the instructions: the hint is not followed.
    monkeypatch.setattr(peak, "HINTS", {"bf16": "f32"})
    with pytest.raises(Unsupported, match="asked for bf16, OpenVINO would run f32"):
        peak.prepare(kernels.kernels("cpu", 1)[0], "bf16", "cpu", 1)


def test_a_device_that_is_not_there_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="no device for 'cuda'"):
        peak.prepare(kernels.kernels("cpu", 1)[0], "fp32", "cuda", 1)


def test_a_child_measures_a_peak_within_a_tiny_budget() -> None:
    found = peak_.measure([1], ["fp32"], 0.5, libraries={"openvino": peak_.LIBRARIES["openvino"]})
    assert found.reasons == {}
    assert found.peaks[0].gflops > 0
