"""What the Keras twin hands to a converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf

from bench.contract import Source
from pose import architecture, recipe, weights
from pose.errors import UserError
from pose.files import replacing
from tf_impl import model, train


def source(recipe_: recipe.Recipe, weights_path: Path, batch: int) -> Source:
    """Return the live model with trained weights and its own inference.

    `batch` images of the recipe's input size, uint8 NHWC. Raises UserError for wrong weights.
    """
    net = model.build(recipe_)
    model.load_weights(net, weights.load(weights_path, architecture.build(recipe_.model)))
    return Source("keras-direct", net, {}, train.make_infer(net))


def to_onnx(recipe_: recipe.Recipe, weights_path: Path, batch: int, out: Path) -> dict[str, Any]:
    """Write the twin as ONNX, input `images` and output `heatmaps`, by tf2onnx; return route and opset."""
    import tf2onnx  # a slow import that the direct route does not need

    net = source(recipe_, weights_path, batch).model
    function = tf.function(lambda images: {"heatmaps": net(images, training=False)})
    with replacing(out) as temporary:
        tf2onnx.convert.from_function(
            function, input_signature=[_example(recipe_, batch)], opset=18, output_path=str(temporary)
        )
    return {"route": "keras-tf2onnx", "opset": 18}


def read_native(source_: str, backbone: str, out: Path) -> None:
    """Write the tensors of an HDF5 file, by canonical name, as safetensors to `out`.

    `source_` is a .weights.h5 file that `write_native` made. Raises UserError for anything else.
    """
    tensors: weights.Weights = {}
    try:
        with h5py.File(source_, "r") as file:
            file.visititems(lambda name, node: _collect(tensors, name, node))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"cannot read weights from {source_}: {reason}; expected a .weights.h5 file that "
            "'twinpose weights export' wrote"
        ) from error
    weights.save(out, weights.canonical_names(tensors))


def _collect(tensors: weights.Weights, name: str, node: object) -> None:
    if isinstance(node, h5py.Dataset):
        if node.shape is None or node.dtype.kind not in "fiu":
            raise ValueError(f"'{name}' holds no numbers ({node.dtype})")
        tensors[name.replace("/", ".")] = model._to_canonical(node[()])


def write_native(recipe_: recipe.Recipe, weights_path: Path, out: Path) -> None:
    """Write weights as HDF5 (.weights.h5): kernels in Keras's layout, groups named by canonical layers.

    The format is this suite's own, for h5py and `read_native`: `keras.Model.load_weights` names its
    groups otherwise and does not read it.
    """
    net = source(recipe_, weights_path, 1).model
    with replacing(out) as temporary, h5py.File(temporary, "w") as file:
        for variable in net.weights:
            name = model._canonical_name(variable)
            file.create_dataset(name.replace(".", "/"), data=variable.numpy())


def _example(recipe_: recipe.Recipe, batch: int) -> tf.TensorSpec:
    width, height = recipe_.model.input_size
    return tf.TensorSpec((batch, height, width, 3), tf.uint8, name="images")
