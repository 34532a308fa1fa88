"""One layer by itself, ready to be called: how fast TensorFlow can go here at best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pose.errors import Unsupported

PRECISIONS = {"fp32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}


def prepare(kernel: dict[str, Any], precision: str, device: str, threads: int) -> Callable[[], None]:
    """Return a function that runs `kernel` (see bench.ceilings.kernels) once and returns when it is done.

    Raises Unsupported where TensorFlow has no such kernel. TF32 is off. A process keeps the thread
    count of its first kernel.
    """
    _setup(precision, device, threads)
    dtype, place = PRECISIONS[precision], "/GPU:0" if device == "cuda" else "/CPU:0"
    if "n" in kernel:
        left, right = (_random((kernel["n"], kernel["n"]), dtype, place) for _ in range(2))
        return _waiting(lambda: tf.matmul(left, right), place)
    k, channels = kernel["size"], kernel["channels_in"]
    x = _random((kernel["batch"], kernel["height"], kernel["width"], channels), dtype, place)
    w = _random((k, k, channels, kernel["channels_out"]), dtype, place)
    return _waiting(lambda: tf.nn.conv2d(x, w, strides=1, padding="SAME"), place)


def _setup(precision: str, device: str, threads: int) -> None:
    if precision not in PRECISIONS:
        raise Unsupported(f"TensorFlow times no {precision} kernels here; it times {', '.join(PRECISIONS)}")
    if device == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise Unsupported("no CUDA device is visible to TensorFlow")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_tensor_float_32_execution(False)


def _random(shape: tuple[int, ...], dtype: tf.DType, place: str) -> tf.Tensor:
    with tf.device(place):
        return tf.cast(tf.random.normal(shape), dtype)


def _waiting(layer: Callable[[], tf.Tensor], place: str) -> Callable[[], None]:
    # Op by op, not as tf.function: constants captured by a graph could be folded away.
    def call() -> None:
        with tf.device(place):
            layer()
        if place == "/GPU:0":
            tf.test.experimental.sync_devices()

    return call
