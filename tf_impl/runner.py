"""The Keras twin as a runner of the bench: eager, graph and compiled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bench.contract import STRICT_ENVIRONMENT, RunnerSpec, strict_environment
from pose import architecture, recipe, weights
from pose.errors import Unsupported
from tf_impl import model

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "defaults": "float32"}
"""The parameters' type in each lane."""

AUTOMATIC = ("auto_mixed_precision", "auto_mixed_precision_onednn_bfloat16")
"""Rewrites of a graph that lower its precision; both are off by default."""


class Runner:
    """One checkpoint in `eager`, `graph` (tf.function) or `compiled` (XLA) mode."""

    def __init__(self, spec: RunnerSpec):
        if spec.mode not in {"eager", "graph", "compiled"}:
            raise Unsupported(f"TensorFlow has no mode '{spec.mode}'; it has eager, graph and compiled")
        self.dtype = _parameters_in(spec.precision)
        _prepare(spec)
        resolved = recipe.from_dict(spec.recipe)
        self.spec, self.device = spec, "/GPU:0" if spec.device == "cuda" else "/CPU:0"
        self.net = model.build(resolved, spec.device, self.dtype)
        model.load_weights(self.net, weights.load(Path(spec.artifact), architecture.build(resolved.model)))
        self.forward = self._call
        if spec.mode != "eager":
            self.forward = tf.function(
                self._call, jit_compile=spec.mode == "compiled", reduce_retracing=False
            )

    def _call(self, images: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.net(images, training=False), tf.float32)

    def _run(self, images: np.ndarray) -> tf.Tensor:
        with tf.device(self.device):
            return self.forward(tf.constant(images))

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return heatmaps (N, K, h, w) float32 on the host, of images (N, H, W, 3) uint8 RGB."""
        return self._run(images).numpy()

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Infer all batches, queued on a GPU; return when the last is on the host."""
        outputs = [self._run(batch) for batch in batches]
        for output in outputs:
            output.numpy()

    def synchronize(self) -> None:
        """Return when the device has finished everything it was given."""
        if self.spec.device == "cuda":
            tf.test.experimental.sync_devices()

    def device_timer(self) -> None:
        """Return None: TensorFlow gives no public access to its streams' CUDA events."""

    def device_memory_bytes(self) -> int | None:
        """Return the most memory that tensors have held on the GPU; None on the CPU."""
        on_gpu = self.spec.device == "cuda"
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] if on_gpu else None

    def effective(self) -> dict[str, Any]:
        """Return what TensorFlow says it does, read back."""
        on_gpu = self.spec.device == "cuda"
        no_clock = (
            "TensorFlow hands out no CUDA events" if on_gpu else "on the CPU the host's clock is the device's"
        )
        return {
            "runtime": f"tensorflow {tf.__version__}",
            "precision": self.net.get_layer("final_layer").compute_dtype,
            "switches": switches(),
            "onednn": onednn(),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "interop_threads": tf.config.threading.get_inter_op_parallelism_threads(),
            "device": tf.config.list_physical_devices("GPU")[0].name if on_gpu else "cpu",
            "device_clock": f"none: {no_clock}",
            "mode": self.spec.mode,
            "memory_format": "NHWC",
        }


def _parameters_in(precision: str) -> str:
    if precision not in PRECISIONS:
        raise Unsupported(
            f"TensorFlow has no {precision} network here: 'twinpose convert' quantises the IR alone, "
            "so that OpenVINO runs int8; TensorFlow's own integer kernels are TensorFlow Lite's"
        )
    return PRECISIONS[precision]


def _prepare(spec: RunnerSpec) -> None:
    """Fix the thread count of this process and, but for the lane `defaults`, every precision switch."""
    gpus = tf.config.list_physical_devices("GPU")
    if spec.device == "cuda" and not gpus:
        raise Unsupported("no CUDA device is visible to TensorFlow")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.threading.set_intra_op_parallelism_threads(spec.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if spec.precision != "defaults":
        set_strict_fp32()


def set_strict_fp32() -> None:
    """Set every switch that could round float32 to fewer bits; before the first operation of this process."""
    os.environ.update(STRICT_ENVIRONMENT)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.optimizer.set_experimental_options(dict.fromkeys(AUTOMATIC, False))


def onednn() -> bool | None:
    """Return whether oneDNN computes what it can; None if TensorFlow, by no public name, tells no more."""
    try:
        from tensorflow.python.util import _pywrap_util_port as port
    except ImportError:
        return None
    return bool(port.IsMklEnabled())


def switches() -> dict[str, Any]:
    """Return every precision switch as TensorFlow has it; None is TensorFlow's default."""
    options = tf.config.optimizer.get_experimental_options()
    return {
        "tensor_float_32_execution": tf.config.experimental.tensor_float_32_execution_enabled(),
        **{name: options.get(name) for name in AUTOMATIC},
        **strict_environment(),
    }
