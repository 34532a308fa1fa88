"""Files of weights: what they hold, what they say of themselves, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import twins

from bench.artifacts import checkpoints
from bench.run.folder import Settings
from bench.stages import preparing
from pose import architecture, channel_order, checkpoint, recipe, training, weights
from pose.errors import UserError
from twinpose import data, score

MODEL = twins.tiny()
ARCHITECTURE = architecture.build(MODEL.model)
MADE = weights.generic(ARCHITECTURE, 1)


NAMES = {"bfloat16": "BF16", "int8": "I8", "int64": "I64", "uint8": "U8", "bool": "BOOL"}


def stored_as(path: Path, dtype: str, tensors: weights.Weights = MADE) -> Path:
    """Write a safetensors file as another program does, its tensors of `dtype`."""
    header, body = {}, b""
    for name, value in tensors.items():
        if dtype == "bfloat16":
            data = (value.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        else:
            data = value.astype(dtype).tobytes()
        kind = NAMES.get(dtype, dtype.replace("float", "F"))
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": offsets}
        body += data
    packed = json.dumps(header).encode()
    path.write_bytes(len(packed).to_bytes(8, "little") + packed + body)
    return path


def predict(weights_file: Path, **changed: Any) -> None:
    """Predict as the verb does, with the tiny recipe."""
    named = weights_file.parent / "tiny.yaml"
    named.write_text(MODEL.to_yaml())
    asked = {"coco": Path("c"), "out": weights_file.parent / "o.json"} | changed
    score.predict("torch", weights_file, str(named), **asked)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_floats_of_every_width_become_the_same_float32(tmp_path: Path, dtype: str) -> None:
    path, out = stored_as(tmp_path / "given.safetensors", dtype), tmp_path / "o.safetensors"
    assert checkpoints.import_weights(str(path), MODEL, out, "rgb").tensors == len(MADE)
    for name, value in weights.load(out, ARCHITECTURE).items():
        if dtype == "bfloat16":
            expected = (MADE[name].view(np.uint32) & 0xFFFF0000).view(np.float32)
        else:
            expected = MADE[name].astype(dtype).astype(np.float32)
        assert np.array_equal(value, expected), name


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "bool"])
def test_weights_that_are_no_floats_are_refused_by_name(tmp_path: Path, dtype: str) -> None:
    path = stored_as(tmp_path / "q.safetensors", dtype)
    with pytest.raises(UserError, match=rf"tensor 'conv1\.weight' is of {dtype}; expected floating-point"):
        checkpoints.import_weights(str(path), MODEL, tmp_path / "o.safetensors", "rgb")


def test_a_type_that_numpy_has_not_is_refused_by_name(tmp_path: Path) -> None:
    header = b'{"conv1.weight":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    (tmp_path / "f8.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    with pytest.raises(UserError, match=r"f8\.safetensors: tensor 'conv1\.weight' is of F8_E4M3, expected"):
        weights.read(tmp_path / "f8.safetensors")


def test_a_number_too_large_for_float32_is_not_finite(tmp_path: Path) -> None:
    huge = MADE | {"bn1.bias": np.full(64, 1e300)}
    path = stored_as(tmp_path / "huge.safetensors", "float64", huge)
    with pytest.raises(UserError, match=r"'bn1\.bias' holds numbers that are not finite"):
        checkpoints.import_weights(str(path), MODEL, tmp_path / "o.safetensors", "rgb")


def test_imported_weights_say_their_channel_order_from_then_on(tmp_path: Path) -> None:
    path, out = stored_as(tmp_path / "w.safetensors", "float32"), tmp_path / "o.safetensors"
    assert checkpoints.import_weights(str(path), MODEL, out, "bgr").channel_order == "bgr"
    assert channel_order.of(weights.read_with_metadata(out)[1]) == "bgr"
    again = checkpoints.import_weights(str(out), MODEL, tmp_path / "again.safetensors")
    assert (again.channel_order, again.by) == ("bgr", "the file says so")
    assert channel_order.of(weights.read_with_metadata(tmp_path / "again.safetensors")[1]) == "bgr"
    with pytest.raises(UserError, match="says that it is bgr; --channel-order rgb contradicts it"):
        checkpoints.import_weights(str(out), MODEL, tmp_path / "rgb.safetensors", "rgb")


@pytest.mark.parametrize("order", channel_order.ORDERS)
def test_safetensors_that_do_not_say_their_order_have_the_recipes_and_import_tells_it(
    tmp_path: Path, order: str
) -> None:
    path = stored_as(tmp_path / "w.safetensors", "float32")
    resolved = recipe.from_dict(twins.TINY | {"data": {"channel_order": order}})
    found = checkpoints.import_weights(str(path), resolved, tmp_path / "o.safetensors")
    assert found.channel_order == order
    assert "as the recipe" in found.by


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["conv1.weight", "deconv_layers.0.weight", "final_layer.weight"], "bgr"),
        (["module.conv1.weight", "module.deconv_layers.0.weight"], "bgr"),
        (["backbone.conv1.weight", "keypoint_head.deconv_layers.0.weight"], "rgb"),
        (["backbone.conv1.weight", "head.deconv_layers.0.weight"], "rgb"),
        (["conv1.weight", "layer1.0.conv1.weight", "fc.weight"], "rgb"),
    ],
)
def test_published_checkpoints_have_the_channel_order_of_their_publisher(
    names: list[str], order: str
) -> None:
    assert channel_order.of_layout(names) == order


@pytest.mark.parametrize("overrides", [[], ["training.epochs=1"]])
def test_the_recipe_follows_the_channel_order_of_its_weights(tmp_path: Path, overrides: list[str]) -> None:
    path = tmp_path / "bgr.safetensors"
    weights.save(path, MADE, {"imported_from": "pose_resnet_50.pth.tar", "channel_order": "bgr"})
    followed = channel_order.followed(path, MODEL, overrides)
    assert followed == recipe.from_dict(twins.TINY | {"data": {"channel_order": "bgr"}})
    channel_order.require(path, followed)


@pytest.mark.parametrize("override", ["data.channel_order=rgb", "data.channel_order =rgb", "data={}"])
def test_an_order_that_the_weights_contradict_is_refused(tmp_path: Path, override: str) -> None:
    path = tmp_path / "bgr.safetensors"
    weights.save(path, MADE, {"channel_order": "bgr"})
    with pytest.raises(UserError, match=r"bgr images; --set data\.channel_order=rgb contradicts it"):
        channel_order.followed(path, MODEL, [override])
    with pytest.raises(UserError, match=r"bgr images, .* gives rgb; give --set data\.channel_order=bgr"):
        channel_order.require(path, MODEL)


@pytest.mark.parametrize("metadata", [{}, {"imported_from": "pose_resnet_50.pth.tar"}])
def test_weights_that_do_not_say_their_channel_order_are_run_as_the_recipe_says(
    tmp_path: Path, metadata: Any
) -> None:
    weights.save(tmp_path / "w.safetensors", MADE, metadata)
    assert channel_order.followed(tmp_path / "w.safetensors", MODEL, ["data.channel_order=rgb"]) is MODEL
    channel_order.require(tmp_path / "w.safetensors", MODEL)


def test_weights_trained_before_the_order_was_written_down_are_their_recipes(tmp_path: Path) -> None:
    weights.save(tmp_path / "best.safetensors", MADE, {"epoch": 3, "ap": 0.5})
    channel_order.require(tmp_path / "best.safetensors", MODEL)


def test_a_training_writes_its_channel_order_beside_its_weights(tmp_path: Path) -> None:
    coco = twins.dataset(tmp_path / "coco")
    bgr = recipe.from_dict(twins.TINY | {"data": {"channel_order": "bgr"}})
    made = preparing.prepare(tmp_path / "r", bgr, Settings(coco, None, "cpu", 1, 0))
    progress = training.TrainingProgress(
        epoch=1, lr=1e-3, lines=[{"epoch": 1, "ap": 0.1}], best_ap=0.1, best_epoch=1
    )
    checkpoint.commit(tmp_path / "t", checkpoint.State(progress, MADE, {}, "bgr"), "me")
    resumed = checkpoint.resume(tmp_path / "t", "me")
    assert resumed is not None
    assert resumed.channel_order == "bgr"
    trained = [tmp_path / "t" / f"{name}.safetensors" for name in ("best", "last")]
    for path in (made.initial_weights, *trained):
        assert channel_order.of(weights.read_with_metadata(path)[1]) == "bgr", path


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_names_of_mmpose_are_read(tmp_path: Path, prefix: str) -> None:
    def mmpose(name: str) -> str:
        part = "keypoint_head" if name.startswith(("deconv_layers", "final_layer")) else "backbone"
        return f"{prefix}{part}.{name}"

    path = stored_as(tmp_path / "m.safetensors", "float32", {mmpose(n): v for n, v in MADE.items()})
    checkpoints.import_weights(str(path), MODEL, tmp_path / "o.safetensors", "rgb")
    read = weights.load(tmp_path / "o.safetensors", ARCHITECTURE)
    assert weights.fingerprint(read) == weights.fingerprint(MADE)


def test_names_of_another_network_are_said(tmp_path: Path) -> None:
    other = {"stem.conv.weight": np.zeros((2, 2), np.float32), "stem.bias": np.zeros(2, np.float32)}
    path = stored_as(tmp_path / "other.safetensors", "float32", other)
    with pytest.raises(UserError, match=r"lacks the tensor 'conv1\.weight' \(it has 2: ste"):
        checkpoints.import_weights(str(path), MODEL, tmp_path / "o.safetensors", "rgb")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.pth", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer; 'git lfs"),
        ("w.PTH", b"<!DOCTYPE html>", "is HTML or XML"),
        ("w.ckpt", b"\x89HDF\r\n", "is HDF5, as Keras writes; expected a ZIP"),
        ("w.weights.h5", b"PK\x03\x04", "is a ZIP archive, as torch.save writes; expected HDF5"),
        ("w.pth", weights.to_bytes({"a": np.zeros(2)}), "is safetensors; expected a ZIP archive"),
        ("w.safetensors", b"PK\x03\x04" + bytes(20), r"a ZIP archive.*'twinpose weights import"),
        ("w.h5", b"\x89HDF\r\n", r"no known kind of weights \(it is HDF5.*expected .*\.weights\.h5"),
    ],
)  # fmt: skip
def test_what_a_file_is_in_truth_is_said(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as refused:
        checkpoints.import_weights(str(tmp_path / name), MODEL, tmp_path / "o.safetensors", "rgb")
    assert "\n" not in str(refused.value)


def test_a_torch_file_given_to_predict_is_sent_to_weights_import(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04" + bytes(20))
    with pytest.raises(UserError, match=r"'twinpose weights import \S*w\.pth --recipe NAME --out NEW"):
        predict(tmp_path / "w.pth")


def test_export_names_what_it_writes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a file ending in \.pth, \.pt, \.tar, \.ckpt, \.weights\.h5$"):
        checkpoints.write(MODEL, tmp_path / "w.safetensors", tmp_path / "b.safetensors")


def test_no_verb_writes_over_what_it_reads(tmp_path: Path) -> None:
    coco = twins.dataset(tmp_path / "coco")
    annotations = coco / "annotations" / "person_keypoints_val2017.json"
    path = tmp_path / "w.safetensors"
    weights.save(path, MADE, {"channel_order": "rgb"})
    (tmp_path / "link.safetensors").symlink_to(path)
    (tmp_path / "w.pth").write_bytes(path.read_bytes())
    before = {p: p.read_bytes() for p in (path, annotations)}
    for write in (
        lambda: checkpoints.import_weights(str(path), MODEL, path),
        lambda: checkpoints.import_weights(str(path), MODEL, tmp_path / "link.safetensors"),
        lambda: checkpoints.write(MODEL, tmp_path / "w.pth", tmp_path / "w.pth"),
        lambda: predict(path, coco=coco, out=path),
        lambda: predict(path, coco=coco, out=annotations),
        lambda: predict(path, coco=coco, heatmaps=annotations),
        lambda: data.split("smoke", coco, annotations),
    ):
        with pytest.raises(
            UserError, match="is read by this command, which would overwrite it; expected another path"
        ):
            write()
    with pytest.raises(UserError, match=r"w\.pth would hold safetensors; expected a name ending in"):
        checkpoints.import_weights(str(tmp_path / "w.pth"), MODEL, tmp_path / "w.pth")
    assert {p: p.read_bytes() for p in before} == before
