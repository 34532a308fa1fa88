"""Post-training quantization of a small graph: integers run, and heatmaps stay where they were."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.contract import RunnerSpec

ov = pytest.importorskip("openvino")
opset = pytest.importorskip("openvino.opset13")
quantize = pytest.importorskip("openvino_impl.quantize")
runner = pytest.importorskip("openvino_impl.runner")

CHANNELS = (3, 16, 16)


def smooth(seed: int, count: int = 32) -> np.ndarray:
    """Return pictures (count, 32, 32, 3) uint8 of one bright spot each, which a heatmap has to find."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(6, 26, (2, count, 1, 1))
    across, down = np.arange(32)[None, None, :], np.arange(32)[None, :, None]
    spot = np.exp(-((across - x) ** 2 + (down - y) ** 2) / 18)[..., None]
    noise = rng.uniform(0, 0.1, (count, 32, 32, 3))
    return (255 * np.clip(0.9 * spot + noise, 0, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an IR from uint8 images (1, 32, 32, 3) to 17 heatmaps: three convolutions and ReLUs between."""
    rng = np.random.default_rng(0)
    images = opset.parameter([1, 32, 32, 3], np.uint8, name="images")
    x = opset.transpose(opset.convert(images, "f32") / opset.constant(np.float32(255)), [0, 3, 1, 2])
    for before, after in pairwise(CHANNELS):
        kernel = np.abs(rng.normal(size=(after, before, 3, 3))).astype(np.float32) / (9 * before)
        x = opset.relu(opset.convolution(x, opset.constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1]))
    last = np.abs(rng.normal(size=(17, CHANNELS[-1], 1, 1))).astype(np.float32)
    maps = opset.convolution(x, opset.constant(last), [1, 1], [0, 0], [0, 0], [1, 1])
    path = tmp_path_factory.mktemp("ir") / "model.xml"
    ov.save_model(ov.Model([maps], [images], "tiny"), path, compress_to_fp16=False)
    return path


def run(path: Path, precision: str) -> Any:
    return runner.Runner(RunnerSpec({}, str(path), "ir", precision, "cpu", 1, 8))


def test_convolutions_run_in_integers_and_peaks_stay(ir: Path):
    out = ir.with_name("model.int8.xml")
    facts = quantize.to_int8(ir, smooth(0), out)
    assert facts["route"] == "nncf-int8"
    made, images = run(out, "int8"), smooth(1, 8)
    found = made.effective()
    assert found["precision"] == "int8"
    assert sum(found["convolutions"].get(name, 0) for name in runner.INTEGERS) == 3
    strict, whole = made.infer(images).copy(), run(ir, "fp32").infer(images)
    assert strict.shape == (8, 17, 32, 32)
    assert np.abs(strict - whole).max() > 0
    assert np.corrcoef(strict.ravel(), whole.ravel())[0, 1] > 0.999
    # Where integers tie, the first of equals wins: the peak of the spot lies within two pixels.
    apart = np.array(peaks(strict)) - np.array(peaks(whole))
    assert np.abs(apart).max() <= 2


def peaks(maps: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return rows and columns (N, K) of the largest values of heatmaps (N, K, h, w)."""
    return np.unravel_index(maps.reshape(*maps.shape[:2], -1).argmax(-1), maps.shape[2:])


def test_the_same_calibration_set_gives_the_same_file_and_another_set_another(ir: Path, tmp_path: Path):
    out = [tmp_path / f"{number}.xml" for number in range(3)]
    for path, images in zip(out, (smooth(0), smooth(0), smooth(0) // 2), strict=True):
        quantize.to_int8(ir, images, path)
    first, same, other = (path.with_suffix(".bin").read_bytes() for path in out)
    assert first == same
    assert first != other


def test_nncf_was_told_to_send_no_statistics():
    from nncf.telemetry.wrapper import NNCFTelemetryStub, telemetry

    assert isinstance(telemetry, NNCFTelemetryStub)
