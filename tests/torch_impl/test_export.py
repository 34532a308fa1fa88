"""Published torch checkpoints come in whole, under canonical names, or are refused by name."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import benching
import numpy as np
import pytest
import twins

torch = pytest.importorskip("torch")

import torchvision  # noqa: E402

from bench.artifacts import checkpoints  # noqa: E402
from bench.process import launch  # noqa: E402
from pose import architecture, recipe, weights  # noqa: E402
from pose.errors import UserError  # noqa: E402
from torch_impl import export, model  # noqa: E402


@pytest.fixture
def canonical() -> weights.Weights:
    return weights.initial(architecture.build(twins.tiny().model), 7)


def saved(path: Path, tensors: weights.Weights, prefix: str = "") -> Path:
    torch.save({prefix + name: torch.from_numpy(value) for name, value in tensors.items()}, path)
    return path


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read checkpoints in this process, which has torch already, and not in a child as `native` does."""
    monkeypatch.setattr(launch, "call", benching.call_here)


def test_the_official_naming_is_read_without_its_prefix(canonical: weights.Weights, tmp_path: Path) -> None:
    _comes_in_whole(canonical, tmp_path, "")


@pytest.mark.usefixtures("in_process")
def test_the_official_naming_is_read_with_its_prefix(canonical: weights.Weights, tmp_path: Path) -> None:
    _comes_in_whole(canonical, tmp_path, "module.")


def _comes_in_whole(canonical: weights.Weights, tmp_path: Path, prefix: str) -> None:
    out = tmp_path / "w.safetensors"
    made = checkpoints.import_weights(str(saved(tmp_path / "w.pth", canonical, prefix)), twins.tiny(), out)
    assert (made.tensors, made.channel_order) == (len(canonical), "bgr")
    assert weights.fingerprint(weights.read(out)) == weights.fingerprint(canonical)


def test_an_exported_state_dict_keeps_its_channel_order_and_loads_in_torch(
    canonical: weights.Weights, tmp_path: Path
) -> None:
    weights.save(tmp_path / "w.safetensors", canonical, {"channel_order": "bgr"})
    export.write_native(twins.tiny(), tmp_path / "w.safetensors", tmp_path / "w.pth")
    state = torch.load(tmp_path / "w.pth", weights_only=True)
    assert model.build(twins.tiny()).load_state_dict(state, strict=True)
    checkpoints.import_weights(str(tmp_path / "w.pth"), twins.tiny(), tmp_path / "back.safetensors")
    back, metadata = weights.read_with_metadata(tmp_path / "back.safetensors")
    assert metadata["channel_order"] == "bgr"
    assert weights.fingerprint(back) == weights.fingerprint(canonical)


def test_a_checkpoint_under_another_suffix_of_torch_is_read(
    canonical: weights.Weights, tmp_path: Path
) -> None:
    for name in ("w.PTH", "w.ckpt", "w.pth.tar"):
        path = saved(tmp_path / name, canonical)
        checkpoints.import_weights(str(path), twins.tiny(), tmp_path / "o.safetensors", "rgb")


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("layer3.0.conv1.weight"), "lacks the tensor 'layer3.0.conv1.weight'"),
        (lambda w: w.update(extra=np.zeros(3, np.float32)), "has the tensor 'extra'"),
        (lambda w: w.update({"bn1.bias": np.zeros(3, np.float32)}), "tensor 'bn1.bias' has shape (3,)"),
        (lambda w: w["bn1.bias"].fill(np.nan), "tensor 'bn1.bias' holds numbers that are not finite"),
    ],
)
def test_a_wrong_checkpoint_is_refused_by_the_tensors_name(
    canonical: weights.Weights, tmp_path: Path, change: object, said: str
) -> None:
    change(canonical)  # type: ignore[operator]
    out = tmp_path / "w.safetensors"
    with pytest.raises(UserError) as refused:
        checkpoints.import_weights(str(saved(tmp_path / "w.pth", canonical)), twins.tiny(), out)
    assert said in str(refused.value)
    assert not out.exists()


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float32", "float64"])
def test_floats_of_any_width_come_in_as_float32(tmp_path: Path, kind: str) -> None:
    value = torch.tensor([1 / 3, -2.5]).to(getattr(torch, kind))
    counts = torch.tensor([2**40, 3])
    state = {"w": torch.nn.Parameter(value), "counts": counts}
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    export.read_native(str(tmp_path / "w.pth"), twins.tiny().model, tmp_path / "raw.safetensors")
    read = weights.read(tmp_path / "raw.safetensors")
    assert read["w"].dtype == np.float32
    assert np.array_equal(read["w"], value.float().numpy())
    assert np.array_equal(read["counts"], counts.numpy())


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants:UserWarning")
def test_a_sparse_tensor_is_refused_by_its_name(tmp_path: Path) -> None:
    torch.save({"bn1.bias": torch.eye(3).to_sparse()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"tensor 'bn1\.bias' is no plain array \(torch.sparse_coo"):
        export.read_native(str(tmp_path / "w.pth"), twins.tiny().model, tmp_path / "raw.safetensors")


@pytest.mark.parametrize("error", [ValueError, TypeError])
def test_whatever_torch_cannot_read_is_the_users_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def load(*_: object, **__: object) -> None:
        raise error("a strange\nfile")

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(UserError, match=r"cannot read weights from w\.pth: a strange file; expected a torch"):
        export.read_native("w.pth", twins.tiny().model, tmp_path / "raw.safetensors")


class Payload:
    """What an attacker would pickle: unpickling it runs a command."""

    def __init__(self, touched: Path):
        self.touched = touched

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.touched}",)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    torch.save({"conv1.weight": Payload(touched)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="tensors alone"):
        export.read_native(str(tmp_path / "w.pth"), twins.tiny().model, tmp_path / "raw.safetensors")
    assert not touched.exists()


@pytest.fixture
def served_resnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, torch.Tensor]]:
    """Serve a ResNet-18 on the loopback under the name that torch's hub verifies."""
    state = torchvision.models.resnet18(weights=None).state_dict()
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save(state, folder / "w.pth")
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()
    name = f"resnet18-{digest[:8]}.pth"
    (folder / "w.pth").rename(folder / name)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        published = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.value
        url = f"http://127.0.0.1:{server.server_port}/{name}"
        before = published.url
        object.__setattr__(published, "url", url)
        monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
        yield state
        object.__setattr__(published, "url", before)
        server.shutdown()


def test_imagenet_weights_are_downloaded_verified_and_become_the_body(
    served_resnet: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    out = tmp_path / "body.safetensors"
    export.read_native("imagenet", twins.tiny().model, out)
    body, metadata = weights.read_with_metadata(out)
    assert metadata == {"channel_order": "rgb"}
    start = weights.initial(architecture.build(twins.tiny().model), 0)
    whole = weights.overlay(start, body, "imagenet")
    assert np.array_equal(whole["layer4.1.conv2.weight"], served_resnet["layer4.1.conv2.weight"].numpy())
    assert np.array_equal(whole["final_layer.weight"], start["final_layer.weight"])
    net = model.build(recipe.from_dict(twins.TINY))
    model.load_weights(net, whole)
    assert torch.equal(net.layer4[1].conv2.weight, served_resnet["layer4.1.conv2.weight"])
