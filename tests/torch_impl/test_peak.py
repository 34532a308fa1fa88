"""The layers by which the ceiling is measured run in torch, here and in a child of bench.ceilings.peak."""

from __future__ import annotations

from typing import Any

import pytest

from bench.ceilings import kernels
from bench.ceilings import peak as peak_
from pose.errors import Unsupported

pytest.importorskip("torch")
peak = pytest.importorskip("torch_impl.peak")


@pytest.mark.parametrize("kernel", kernels.kernels("cpu", 1), ids=lambda kernel: kernel["name"])
def test_every_layer_runs(kernel: dict[str, Any]) -> None:
    call = peak.prepare(kernel, "fp32", "cpu", 1)
    assert call() is None
    assert call() is None


@pytest.mark.parametrize(("precision", "device"), [("int8", "cpu"), ("fp32", "cuda")])
def test_what_is_not_there_is_unsupported(precision: str, device: str) -> None:
    with pytest.raises(Unsupported):
        peak.prepare(kernels.kernels("cpu", 1)[0], precision, device, 1)


def test_a_child_measures_a_peak_within_a_tiny_budget() -> None:
    found = peak_.measure([1], ["fp32"], 0.5, libraries={"torch": peak_.LIBRARIES["torch"]})
    assert found.reasons == {}
    row = found.peaks[0]
    assert (row.library, row.precision, row.threads) == ("torch", "fp32", 1)
    assert 0 < peak_.share(10**6, 1, 1.0, row.gflops) < 1
