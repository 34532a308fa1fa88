"""What the bench times of training in Keras: the step and its parts, and what a loader says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import config

from pose import architecture, recipe, weights
from tf_impl import data, model, runner, train


class Steps:
    """The twin's own step, from given weights, set up as `twinpose train` does: deterministic, TF32 off.

    The runner's switches are set too: no train cell has the lane `defaults`.

    Each part ends with its loss on the host, so with a device that has finished. A part holds all that
    comes before it: `forward` the way to the device, `backward` the forward, `step` both.
    """

    def __init__(self, recipe_: recipe.Recipe, initial: Path, device: str, threads: int):
        train.setup(device, threads)
        runner.set_strict_fp32()
        self.recipe, self.lr = recipe_, recipe_.training.learning_rate
        self.net = model.build(recipe_, device, recipe_.training.precision)
        model.load_weights(self.net, weights.load(initial, architecture.build(recipe_.model)))
        self.optimizer = train.make_optimizer(self.net, recipe_.training.optimizer)
        self.update = train.make_step(self.net, self.optimizer)
        self.device = "/GPU:0" if device == "cuda" else "/CPU:0"
        self.predict = tf.function(self._loss, reduce_retracing=True)
        self.differentiate = tf.function(self._gradients, reduce_retracing=True)

    def transfer(self, batch: data.Batch) -> None:
        """Bring a batch from host memory to the device."""
        self._arrays(batch)
        self._synchronize()

    def forward(self, batch: data.Batch) -> float:
        """Return the loss of a batch in training mode; running statistics move, as in a step."""
        return float(self.predict(*self._arrays(batch)))

    def backward(self, batch: data.Batch) -> float:
        """Return the loss of a batch in training mode when its gradients are there too."""
        # The graph gives the gradients as well, or TensorFlow would prune what nobody asks for.
        loss, _ = self.differentiate(*self._arrays(batch))
        self._synchronize()
        return float(loss)

    def step(self, batch: data.Batch) -> float:
        """Train on one batch at the recipe's first learning rate and return its loss."""
        return self.update(batch, self.lr)

    def device_memory_bytes(self) -> int | None:
        """Return the most memory that tensors have held on the GPU; None on the CPU."""
        if "GPU" not in self.device:
            return None
        return int(tf.config.experimental.get_memory_info(self.device.strip("/"))["peak"])

    def effective(self) -> dict[str, Any]:
        """Return what TensorFlow says it does, read back."""
        on_gpu = "GPU" in self.device
        return {
            "runtime": f"tensorflow {tf.__version__}",
            "mode": "graph",
            "precision": self.net.get_layer("final_layer").dtype_policy.name,
            "parameters": self.net.get_layer("final_layer").variable_dtype,
            "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
            "switches": runner.switches(),
            "onednn": runner.onednn(),
            # Public TensorFlow sets this switch and has no way to read it.
            "deterministic": config.is_op_determinism_enabled(),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "device": tf.config.list_physical_devices("GPU")[0].name if on_gpu else "cpu",
            "optimizer": self.recipe.training.optimizer,
        }

    def _loss(self, images: tf.Tensor, target: tf.Tensor, joint_weights: tf.Tensor) -> tf.Tensor:
        predicted = tf.cast(self.net(images, training=True), target.dtype)
        return train.weighted_loss(predicted, target, joint_weights)

    def _gradients(
        self, images: tf.Tensor, target: tf.Tensor, joint_weights: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        return train.gradients(self.net, images, target, joint_weights)

    def _arrays(self, batch: data.Batch) -> tuple[tf.Tensor, ...]:
        with tf.device(self.device):
            return tuple(tf.constant(a) for a in (batch.images, batch.heatmaps, batch.weights))

    def _synchronize(self) -> None:
        if "GPU" in self.device:
            tf.test.experimental.sync_devices()


def describe(loader: data.Loader) -> dict[str, Any]:
    """Return how a loader makes its batches, read back from TensorFlow."""
    threads = loader._options().threading.private_threadpool_size
    return {
        "runtime": f"tensorflow {tf.__version__}",
        "loader": "tf.data",
        "workers": threads,
        "workers_are": "threads",
    }
