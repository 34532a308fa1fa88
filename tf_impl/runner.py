"""The Keras twin as a runner of the bench: eager, graph and compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bench.contract import RunnerSpec
from pose import architecture, recipe, weights
from pose.errors import Unsupported
from tf_impl import model, train

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class Runner:
    """One checkpoint in `eager`, `graph` (tf.function) or `compiled` (XLA) mode."""

    def __init__(self, spec: RunnerSpec):
        if spec.mode not in {"eager", "graph", "compiled"}:
            raise Unsupported(f"TensorFlow has no mode '{spec.mode}'; it has eager, graph and compiled")
        train.setup(spec.device, spec.threads, deterministic=False)
        resolved = recipe.from_dict(spec.recipe)
        self.spec, self.device = spec, "/GPU:0" if spec.device == "cuda" else "/CPU:0"
        self.net = model.build(resolved, spec.device, PRECISIONS[spec.precision])
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

    def effective(self) -> dict[str, Any]:
        """Return what TensorFlow says it does, read back."""
        return {
            "runtime": f"tensorflow {tf.__version__}",
            "precision": self.net.get_layer("final_layer").compute_dtype,
            "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "device": tf.config.list_physical_devices("GPU")[0].name if self.spec.device == "cuda" else "cpu",
            "mode": self.spec.mode,
            "memory_format": "NHWC",
        }
