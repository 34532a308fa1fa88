"""What the Keras twin hands to a converter."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf

from bench.contract import Source
from pose import architecture, channel_order, recipe, weights
from pose.errors import UserError
from pose.files import replacing, write_bytes
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


def read_native(source_: str, model_: recipe.Model, out: Path) -> None:
    """Write the tensors of a .weights.h5 file of Keras, by canonical name, as safetensors to `out`.

    Keras knows layers by their class and order alone: the file must be of a model with the layers of
    `model._plain`. The channel order is written too where the file is `write_native`'s. Raises UserError for
    anything else.
    """
    net = model._plain(model_)
    try:
        with h5py.File(source_, "r") as file:
            order = file.attrs.get(channel_order.KEY)
            if "layers" not in file:
                raise ValueError(
                    "it has no group 'layers', as files of an early twinpose; export the .safetensors again"
                )
            # Keras leaves a layer that the file has not as it was made, or one that the model has not unread.
            found, wanted = _count(file["layers"]), len(net.weights)
            if found != wanted:
                raise ValueError(f"it holds {found} tensors, the recipe's model {wanted}")
        net.load_weights(source_)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"cannot read weights from {source_}: {reason}; expected a .weights.h5 file of the recipe's "
            "model, as 'twinpose weights export' writes"
        ) from error
    weights.save(out, model.read_weights(net), {channel_order.KEY: str(order)} if order else {})


def _count(group: h5py.Group) -> int:
    held: list[str] = []
    group.visititems(lambda name, node: held.append(name) if isinstance(node, h5py.Dataset) else None)
    return len(held)


def write_native(recipe_: recipe.Recipe, weights_path: Path, out: Path) -> None:
    """Write weights as Keras does (.weights.h5), for `keras.Model.load_weights` of a model of plain layers.

    An attribute of the file names their channel order.
    """
    net = model._plain(recipe_.model)
    model.load_weights(net, weights.load(weights_path, architecture.build(recipe_.model)))
    order = channel_order.of(weights.read_with_metadata(weights_path)[1]) or recipe_.data.channel_order
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.weights.h5"
        net.save_weights(made)
        with h5py.File(made, "a") as file:
            file.attrs[channel_order.KEY] = order
        write_bytes(out, made.read_bytes())


def _example(recipe_: recipe.Recipe, batch: int) -> tf.TensorSpec:
    width, height = recipe_.model.input_size
    return tf.TensorSpec((batch, height, width, 3), tf.uint8, name="images")
