"""The OpenVINO runner on a small graph: layout, batches, precision and threads as asked, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lanes
import numpy as np
import pytest

from bench.contract import STRICT_ENVIRONMENT, OnDevice, RunnerSpec
from pose.errors import Unsupported, UserError

ov = pytest.importorskip("openvino")
opset = pytest.importorskip("openvino.opset13")
runner = pytest.importorskip("openvino_impl.runner")

KERNEL = np.random.default_rng(0).normal(size=(17, 3, 4, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an IR from uint8 images (1, 16, 12, 3) to heatmaps (1, 17, 4, 3): one 4x4 convolution."""
    images = opset.parameter([1, 16, 12, 3], np.uint8, name="images")
    floats = opset.convert(images, "f32") / opset.constant(np.float32(255))
    channels_first = opset.transpose(floats, [0, 3, 1, 2])
    maps = opset.convolution(channels_first, opset.constant(KERNEL), [4, 4], [0, 0], [0, 0], [1, 1])
    path = tmp_path_factory.mktemp("ir") / "model.xml"
    ov.save_model(ov.Model([maps], [images], "tiny"), path, compress_to_fp16=False)
    return str(path)


def make(artifact: str, **patch: Any) -> Any:
    spec = {"mode": "ir", "precision": "fp32", "device": "cpu", "threads": 2, "batch": 3}
    return runner.Runner(RunnerSpec(recipe={}, artifact=artifact, **(spec | patch)))


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([n, seed]).integers(0, 256, (n, 16, 12, 3), np.uint8)


def expected(images: np.ndarray) -> np.ndarray:
    tiles = (images / np.float32(255)).reshape(len(images), 4, 4, 3, 4, 3)
    return np.einsum("nyixjc,kcij->nkyx", tiles, KERNEL)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_batch_that_is_not_full_gives_as_many_heatmaps_as_images(artifact: str, n: int):
    images = pictures(n)
    found = make(artifact).infer(images)
    assert (found.shape, found.dtype) == ((n, 17, 4, 3), np.float32)
    np.testing.assert_allclose(found, expected(images), rtol=1e-4, atol=1e-4)


def test_a_result_outlives_the_next_inference(artifact: str):
    made = make(artifact)
    first = made.infer(pictures(3))
    kept = first.copy()
    made.infer(255 - pictures(3))
    np.testing.assert_array_equal(first, kept)


def test_what_was_asked_for_is_read_back(artifact: str):
    made = make(artifact)
    found = made.effective()
    assert (found["precision"], found["threads"], found["streams"], found["device"]) == ("f32", 2, 1, "CPU")
    assert found["convolutions"] == {"f32": 1}
    assert found["compile_s"] > 0
    assert found["runtime"].startswith("openvino 20")


def test_the_lane_of_defaults_asks_for_nothing_and_says_what_openvino_picked(artifact: str):
    found = make(artifact, precision="defaults").effective()
    picked = ov.Core().compile_model(artifact, "CPU").get_property("INFERENCE_PRECISION_HINT")
    assert found["switches"]["INFERENCE_PRECISION_HINT"] == picked.get_type_name()
    assert found["convolutions"] == {found["precision"]: 1}
    assert make(artifact).effective()["switches"]["INFERENCE_PRECISION_HINT"] == "f32"


def test_the_lane_of_defaults_is_bfloat16_where_the_processor_has_it(artifact: str):
    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    found = make(artifact, precision="defaults").effective()
    assert found["precision"] == ("bf16" if "BF16" in able else "f32")
    strict, shipped = (make(artifact, precision=name).infer(pictures(3)) for name in ("fp32", "defaults"))
    assert ("BF16" in able) == (np.abs(shipped - strict).max() > 1e-4 * np.abs(strict).max())


def test_strict_lanes_set_the_environment_of_onednn(artifact: str):
    specs = [RunnerSpec({}, artifact, "ir", name, "cpu", 1, 1) for name in ("fp32", "defaults")]
    strict, shipped = (lanes.effective("openvino", spec, env=lanes.LOOSE)["switches"] for spec in specs)
    assert {name: strict[name] for name in STRICT_ENVIRONMENT} == STRICT_ENVIRONMENT
    assert {name: shipped[name] for name in STRICT_ENVIRONMENT} == lanes.LOOSE


def test_a_graph_that_was_not_quantised_is_no_int8(artifact: str):
    with pytest.raises(Unsupported, match=r"asked for int8, OpenVINO runs no convolution of .*model\.xml"):
        make(artifact, precision="int8")


def test_the_compiled_graph_tells_no_clock_and_no_memory_of_a_device(artifact: str):
    made = make(artifact)
    assert isinstance(made, OnDevice)
    assert (made.device_timer(), made.device_memory_bytes()) == (None, None)
    assert made.effective()["device_clock"] == "none: on the CPU the host's clock is the device's"


def test_throughput_is_openvino_s_own_mode_and_every_heatmap_is_kept(artifact: str):
    made = make(artifact, scenario="throughput")
    found = made.effective()
    assert (found["hint"], found["threads"]) == ("THROUGHPUT", 2)
    assert 1 <= found["streams"] <= found["requests"]
    assert make(artifact).effective()["hint"] == "LATENCY"
    batches = [pictures(3, seed) for seed in range(4 * found["requests"] + 1)]
    made.submit_all(batches)
    made.synchronize()
    assert len(made.heatmaps) == len(batches)
    for images, heatmaps in zip(batches, made.heatmaps, strict=True):
        np.testing.assert_allclose(heatmaps, expected(images), rtol=1e-4, atol=1e-4)
    made.submit_all(batches[:1])
    assert len(made.heatmaps) == 1


def test_a_lower_precision_is_executed_or_refused(artifact: str):
    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for precision, name in (("bf16", "BF16"), ("fp16", "FP16")):
        if name in able:
            found = make(artifact, precision=precision).effective()
            assert found["convolutions"] == {found["precision"]: 1}
        else:
            with pytest.raises(Unsupported, match=f"cannot run {precision} on CPU here; it can: .*FP32"):
                make(artifact, precision=precision)


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"device": "cuda"}, "no device for 'cuda'.*available: CPU"),
        ({"mode": "eager"}, "no mode 'eager'; it has ir"),
    ],
)
def test_what_openvino_cannot_do_is_refused_with_the_reason(artifact: str, patch: dict[str, Any], words: str):
    with pytest.raises(Unsupported, match=words):
        make(artifact, **patch)


def test_an_absent_intel_gpu_is_refused_with_what_there_is(artifact: str):
    if any(name.startswith("GPU") for name in ov.Core().available_devices):
        pytest.skip("this machine has an Intel GPU")
    with pytest.raises(Unsupported, match=r"no device for 'intel-gpu'.*available: CPU"):
        make(artifact, device="intel-gpu")


@pytest.mark.parametrize("content", [None, "", "no XML\n", "<net/>", "whole"])
def test_what_is_no_whole_ir_is_the_users_error(artifact: str, tmp_path: Path, content: str | None):
    path = tmp_path / "model.xml"
    if content is not None:
        path.write_text(Path(artifact).read_text() if content == "whole" else content)
    with pytest.raises(UserError, match=r"cannot read .*model\.xml \(.+\); expected an IR") as refused:
        make(str(path))
    assert "\n" not in str(refused.value)


def test_a_foreign_or_an_empty_network_is_refused_by_what_it_takes(tmp_path: Path):
    planes = opset.parameter([-1, 3, 96, 64], np.float32, name="images")
    ov.save_model(ov.Model([opset.relu(planes)], [planes], "foreign"), tmp_path / "foreign.xml")
    with pytest.raises(UserError, match=r"takes float32 of \?x3x96x64; expected uint8 of \?x\?x\?x3, as a"):
        make(str(tmp_path / "foreign.xml"))
    (tmp_path / "empty.xml").write_text("<?xml version='1.0'?><net name='a' version='11'><layers/></net>")
    with pytest.raises(UserError, match=r"empty\.xml takes nothing; expected uint8"):
        make(str(tmp_path / "empty.xml"))
