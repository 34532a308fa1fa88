"""The ONNX Runtime runner on a small graph: layout, batches and threads as asked, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.contract import OnDevice, RunnerSpec
from pose.errors import Unsupported, UserError

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
runner = pytest.importorskip("onnx_impl.runner")

KERNEL = np.random.default_rng(0).normal(size=(17, 3, 4, 4)).astype(np.float32)


def write(path: Path, batch: int | str) -> str:
    """Write a graph from uint8 images (batch, 16, 12, 3) to heatmaps (batch, 17, 4, 3): one convolution."""
    node, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT),
        node("Div", ["floats", "white"], ["scaled"]),
        node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "kernel"], ["heatmaps"], strides=[4, 4]),
    ]
    arrays = {"white": np.array(255, np.float32), "kernel": KERNEL}
    graph = onnx.helper.make_graph(
        nodes,
        "tiny",
        [info("images", onnx.TensorProto.UINT8, [batch, 16, 12, 3])],
        [info("heatmaps", onnx.TensorProto.FLOAT, [batch, 17, 4, 3])],
        [onnx.numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    return str(path)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("onnx") / "model.onnx", "batch")


def make(artifact: str, **patch: Any) -> Any:
    spec = {"mode": "ir", "precision": "fp32", "device": "cpu", "threads": 2, "batch": 3}
    return runner.Runner(RunnerSpec(recipe={}, artifact=artifact, **(spec | patch)))


@pytest.mark.parametrize("n", [1, 3])
def test_a_batch_gives_as_many_heatmaps_as_images(artifact: str, n: int):
    images = np.random.default_rng(n).integers(0, 256, (n, 16, 12, 3), np.uint8)
    made = make(artifact)
    found = made.infer(images)
    assert (found.shape, found.dtype) == ((n, 17, 4, 3), np.float32)
    tiles = (images / np.float32(255)).reshape(n, 4, 4, 3, 4, 3)
    np.testing.assert_allclose(found, np.einsum("nyixjc,kcij->nkyx", tiles, KERNEL), rtol=1e-4, atol=1e-4)
    made.submit_all([images, images])
    made.synchronize()


def test_what_was_asked_for_is_read_back(artifact: str):
    found = make(artifact, threads=1).effective()
    assert (found["precision"], found["threads"], found["device"]) == ("float", 1, "CPUExecutionProvider")
    assert found["interop_threads"] == 1
    assert found["runtime"] == f"onnxruntime {ort.__version__}"
    assert found["compile_s"] > 0


def test_float32_is_strict_but_in_the_lane_of_defaults(artifact: str):
    strict, shipped = (make(artifact, precision=name) for name in ("fp32", "defaults"))
    assert strict.effective()["switches"][runner.FAST_GEMM] == "0"
    assert shipped.effective()["switches"] == {runner.FAST_GEMM: None, runner.TF32: None}
    images = np.random.default_rng(3).integers(0, 256, (3, 16, 12, 3), np.uint8)
    np.testing.assert_allclose(shipped.infer(images), strict.infer(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("precision", "asked"), [("fp32", {"use_tf32": "0"}), ("defaults", {})])
def test_on_a_gpu_strict_float32_turns_tf32_off(
    monkeypatch: pytest.MonkeyPatch, precision: str, asked: dict[str, str]
):
    given: list[Any] = []
    session = lambda path, options, providers: given.append(providers)  # noqa: E731
    monkeypatch.setattr(runner.ort, "InferenceSession", session)
    spec = RunnerSpec({}, "model.onnx", "ir", precision, "cuda", 1, 1)
    runner._session(spec, "CUDAExecutionProvider")
    assert given == [[("CUDAExecutionProvider", asked)]]


def test_the_session_tells_no_clock_and_no_memory_of_a_device(artifact: str):
    made = make(artifact)
    assert isinstance(made, OnDevice)
    assert (made.device_timer(), made.device_memory_bytes()) == (None, None)
    assert made.effective()["device_clock"] == "none: on the CPU the host's clock is the device's"


def test_a_static_batch_is_never_changed_silently(tmp_path: Path):
    path = write(tmp_path / "model.onnx", 1)
    make(path, batch=1)
    with pytest.raises(UserError, match="static batch of 1, not 3"):
        make(path)


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"precision": "bf16"}, "graph is fp32"),
        ({"precision": "int8"}, "graph is fp32; int8 needs a graph of its own.*does not write"),
        ({"mode": "compiled"}, "no mode 'compiled'; it has ir"),
        ({"device": "intel-gpu"}, "no provider for 'intel-gpu' here; available: .*CPUExecutionProvider"),
    ],
)
def test_what_onnx_runtime_cannot_do_is_refused_with_the_reason(
    artifact: str, patch: dict[str, Any], words: str
):
    with pytest.raises(Unsupported, match=words):
        make(artifact, **patch)


def test_an_absent_gpu_is_refused_with_what_there_is(artifact: str):
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(Unsupported, match="no provider for 'cuda' here"):
        make(artifact, device="cuda")


@pytest.mark.parametrize("content", [None, b"", b"no protobuf\n", "half"])
def test_what_is_no_onnx_file_is_the_users_error(artifact: str, tmp_path: Path, content: bytes | str | None):
    path = tmp_path / "model.onnx"
    whole = Path(artifact).read_bytes()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    with pytest.raises(
        UserError, match=r"cannot read .*model\.onnx \(.+\); expected an ONNX file"
    ) as refused:
        make(str(path))
    assert "\n" not in str(refused.value)


def foreign(path: Path, kind: int, shape: list[Any]) -> str:
    """Write a graph of one Identity, as of another program."""
    node, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    ends = [info("x", kind, shape)], [info("y", kind, shape)]
    graph = onnx.helper.make_graph([node("Identity", ["x"], ["y"])], "g", *ends)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return str(path)


def test_a_foreign_network_is_refused_by_what_it_takes_and_gives(tmp_path: Path, artifact: str):
    floats = foreign(tmp_path / "f.onnx", onnx.TensorProto.FLOAT, ["n", 3, 96, 64])
    with pytest.raises(UserError, match=r"takes float32 of \?x3x96x64; expected uint8 of \?x\?x\?x3, as a"):
        make(floats)
    images = foreign(tmp_path / "u.onnx", onnx.TensorProto.UINT8, ["n", 96, 64, 3])
    with pytest.raises(UserError, match=r"gives uint8 of \?x96x64x3; expected float32 of \?x17x\?x\?"):
        make(images)
    spec = RunnerSpec({"model": {"input_size": [64, 96]}}, artifact, "ir", "fp32", "cpu", 1, 1)
    with pytest.raises(UserError, match=r"takes uint8 of \?x16x12x3; expected uint8 of \?x96x64x3"):
        runner.Runner(spec)
