"""The whole network in Keras: a hand-written ResNet with torchvision's names, Simple Baselines' head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pose import architecture, recipe, weights
from pose.errors import Unsupported
from pose.skeleton import NUM_JOINTS


class Normalise(layers.Layer):
    """uint8 images (N, H, W, 3) RGB -> normalised floats of the policy's compute type."""

    def __init__(self, channel_order: str = "rgb", **options: object):
        super().__init__(**options)
        self.swap = channel_order == "bgr"

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Return (images / 255 - mean) / std, in the variables' type before the compute type."""
        dtype = self.variable_dtype
        x = tf.cast(images, dtype) / tf.constant(255, dtype)
        if self.swap:
            x = tf.reverse(x, [3])
        x = (x - tf.constant(architecture.IMAGENET_MEAN, dtype)) / tf.constant(
            architecture.IMAGENET_STD, dtype
        )
        return tf.cast(x, self.compute_dtype)


def _total(x: tf.Tensor) -> tf.Tensor:
    """Return the sum (C,) over all positions of x (N, H, W, C), an axis at a time.

    TensorFlow adds the rows of one sum one after another: over 98,304 positions that loses a hundred
    times the digits that three short sums lose.
    """
    for _ in range(3):
        x = tf.reduce_sum(x, 0)
    return x


def _normalise_batch(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return x (N, H, W, C) normalised by its own mean and variance, and those two (C,), the variance biased.

    The gradient is the closed form (Ioffe and Szegedy 2015, section 3), whose sums are as careful as the
    forward pass's: what automatic differentiation makes of a broadcast is one long sum again. No gradient
    goes through the mean and the variance that are returned.
    """

    @tf.custom_gradient
    def normalised(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        count = tf.cast(tf.size(x) // tf.shape(x)[-1], x.dtype)
        mean = _total(x) / count
        variance = _total(tf.math.squared_difference(x, mean)) / count
        inverse = tf.math.rsqrt(variance + tf.constant(epsilon, x.dtype))
        scale = gamma * inverse

        def gradient(upstream: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            of_beta = _total(upstream)
            of_gamma = _total(upstream * (x - mean)) * inverse
            # scale * (upstream - of_beta / count - normalised x * of_gamma / count), in three passes over x.
            slope = -scale * inverse * of_gamma / count
            return (
                upstream * scale + (x * slope - (scale * of_beta / count + slope * mean)),
                of_gamma,
                of_beta,
            )

        return (x * scale + (beta - mean * scale), mean, variance), gradient

    return normalised(x, gamma, beta)


class BatchNorm(layers.BatchNormalization):
    """Keras's batch norm with Bessel's correction of the running variance, as torch has it."""

    def __init__(self, **options: object):
        super().__init__(momentum=architecture.BN_MOMENTUM, epsilon=architecture.BN_EPSILON, **options)

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """Return the normalised (N, H, W, C); training updates the running mean and unbiased variance."""
        if not training:
            return super().call(inputs, training=False)
        wide = inputs.dtype if inputs.dtype == tf.float64 else tf.float32
        x, gamma, beta = (tf.cast(t, wide) for t in (inputs, self.gamma, self.beta))
        y, mean, variance = _normalise_batch(x, gamma, beta, self.epsilon)
        count = tf.cast(tf.size(x) // tf.shape(x)[-1], wide)
        unbiased = variance * (count / (count - 1))
        for running, batch in ((self.moving_mean, mean), (self.moving_variance, unbiased)):
            running.assign(running + (tf.cast(batch, running.dtype) - running) * (1 - self.momentum))
        return tf.cast(y, self.compute_dtype)


NormLayer = type[layers.BatchNormalization]


def _conv(x: tf.Tensor, channels: int, kernel: int, stride: int, name: str) -> tf.Tensor:
    """Return a convolution without bias, padded on both sides as torch does."""
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}.pad")(x)
    return layers.Conv2D(channels, kernel, stride, "valid", use_bias=False, name=name)(x)


def _shortcut(x: tf.Tensor, norm: NormLayer, channels: int, stride: int, prefix: str) -> tf.Tensor:
    if stride == 1 and x.shape[-1] == channels:
        return x
    x = _conv(x, channels, 1, stride, f"{prefix}.downsample.0")
    return norm(name=f"{prefix}.downsample.1")(x)


def _block(x: tf.Tensor, norm: NormLayer, kind: str, planes: int, stride: int, prefix: str) -> tf.Tensor:
    """Return a basic (3x3, 3x3) or bottleneck (1x1, 3x3, 1x1) block; the stride sits in a 3x3."""
    if kind == "basic":
        convs = [(planes, 3, stride), (planes, 3, 1)]
    else:
        convs = [(planes, 1, 1), (planes, 3, stride), (4 * planes, 1, 1)]
    shortcut = _shortcut(x, norm, convs[-1][0], stride, prefix)
    for number, (channels, kernel, step) in enumerate(convs, 1):
        x = norm(name=f"{prefix}.bn{number}")(_conv(x, channels, kernel, step, f"{prefix}.conv{number}"))
        if number < len(convs):
            x = layers.ReLU(name=f"{prefix}.relu{number}")(x)
    x = layers.Add(name=f"{prefix}.add")([x, shortcut])
    return layers.ReLU(name=f"{prefix}.relu")(x)


def _network(model: recipe.Model, channel_order: str, norm: NormLayer) -> keras.Model:
    width, height = model.input_size
    images = keras.Input((height, width, 3), dtype="uint8", name="images")
    x = Normalise(channel_order, name="normalise")(images)  # (N, H, W, 3)
    x = layers.ReLU(name="relu")(norm(name="bn1")(_conv(x, 64, 7, 2, "conv1")))  # (N, H/2, W/2, 64)
    # After a ReLU nothing is below zero, so padding by zeros equals torch's padding by -inf.
    x = layers.MaxPooling2D(3, 2, "valid", name="maxpool")(layers.ZeroPadding2D(1, name="maxpool.pad")(x))
    kind, depths = architecture.BLOCKS[model.backbone]
    for stage, depth in enumerate(depths, 1):  # H/4, H/8, H/16, H/32
        for index in range(depth):
            stride = 2 if stage > 1 and index == 0 else 1
            x = _block(x, norm, kind, 64 * 2 ** (stage - 1), stride, f"layer{stage}.{index}")
    for i in range(0, 3 * model.deconv_layers, 3):  # (N, H/4, W/4, C)
        name = f"deconv_layers.{i}"
        x = layers.Conv2DTranspose(model.deconv_channels, 4, 2, "same", use_bias=False, name=name)(x)
        x = layers.ReLU(name=f"deconv_layers.{i + 2}")(norm(name=f"deconv_layers.{i + 1}")(x))
    x = layers.Conv2D(NUM_JOINTS, 1, name="final_layer")(x)
    heatmaps = layers.Permute((3, 1, 2), name="heatmaps")(x)  # (N, K, H/4, W/4)
    return keras.Model(images, heatmaps, name="pose_net")


def build(recipe_: recipe.Recipe, device: str = "cpu", precision: str = "float32") -> keras.Model:
    """Return the twin of a recipe on `device`.

    `precision` float32 or mixed_bfloat16 is that of training; parameters are float32 in both.
    float64, parameters included, is what the parity ladder proves the mathematics in. A recipe
    with `optimizer: stock` gets Keras's own batch norm, with Keras's constants.

    Raises Unsupported when the device is absent.
    """
    if device == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise Unsupported("no CUDA device is visible to TensorFlow")
    with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"), _policy(precision):
        stock = recipe_.training.optimizer == "stock"
        norm = layers.BatchNormalization if stock else BatchNorm
        return _network(recipe_.model, recipe_.data.channel_order, norm)


def _plain(model: recipe.Model) -> keras.Model:
    """Return the network with Keras's own batch norm: the model whose .weights.h5 others can load.

    Keras addresses layers in that file by class and order, not by name: a class of ours would be unknown.
    """
    return _network(model, "rgb", layers.BatchNormalization)


@contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


_LEAVES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _canonical_name(variable: keras.Variable) -> str:
    """Return the canonical name of a Keras variable ("layer1.0.bn1/gamma" -> "layer1.0.bn1.weight")."""
    layer, leaf = variable.path.split("/")[-2:]
    return f"{layer}.{_LEAVES[leaf]}"


def _to_keras(value: np.ndarray) -> np.ndarray:
    """Return a canonical tensor in Keras's layout (OIHW -> HWIO, IOHW -> HWOI)."""
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value


def _to_canonical(value: np.ndarray, dtype: str = "float32") -> np.ndarray:
    """Return a Keras tensor in canonical layout."""
    return np.ascontiguousarray(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value, dtype)


def load_weights(model: keras.Model, canonical: weights.Weights) -> None:
    """Copy canonical weights into the model; every parameter and running statistic is set."""
    for variable in model.weights:
        variable.assign(_to_keras(canonical[_canonical_name(variable)]))


def read_weights(model: keras.Model, dtype: str = "float32") -> weights.Weights:
    """Return the model's parameters and running statistics in canonical form."""
    return {_canonical_name(v): _to_canonical(v.numpy(), dtype) for v in model.weights}


def count_parameters(model: keras.Model) -> int:
    """Return the number of trainable parameters, as Keras counts them."""
    return sum(int(tf.size(v.value)) for v in model.trainable_variables)


def count_macs(model: keras.Model, input_size: tuple[int, int]) -> int:
    """Return multiply-adds of one image of `input_size` (width, height), from the traced graph.

    TensorFlow's profiler counts convolutions alone exactly; the nodes of the graph give the
    same and the transposed convolutions, which run as Conv2DBackpropInput at input resolution.
    """
    width, height = input_size
    spec = tf.TensorSpec((1, height, width, 3), tf.uint8)
    graph = tf.function(lambda images: model(images, training=False)).get_concrete_function(spec).graph
    macs = 0
    for node in graph.get_operations():
        if node.type == "Conv2D":
            positions, kernel = node.outputs[0].shape[1:3], node.inputs[1].shape
        elif node.type == "Conv2DBackpropInput":
            positions, kernel = node.inputs[2].shape[1:3], node.inputs[1].shape
        else:
            continue
        macs += positions.num_elements() * kernel.num_elements()
    return macs
