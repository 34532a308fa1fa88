"""Training in Keras: one file, readable from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.contract import Emit
from pose import architecture, checkpoint, evaluate, inference, splits, training, weights
from pose.checkpoint import State
from pose.errors import Unsupported
from pose.files import write_json
from pose.training import TrainingJob
from tf_impl import data, model

Step = Callable[[data.Batch, float], float]


def setup(device: str, threads: int, *, deterministic: bool = True) -> None:
    """Fix the thread count for this process, and for training the order of every sum; TF32 stays off."""
    if device == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise Unsupported("no CUDA device is visible to TensorFlow")
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def weighted_loss(predicted: tf.Tensor, target: tf.Tensor, joint_weights: tf.Tensor) -> tf.Tensor:
    """Return the mean over joints of 0.5 x MSE(w p, w t), a scalar; (B, K, h, w) twice and (B, K)."""
    w = joint_weights[:, :, None, None]
    return tf.constant(0.5, predicted.dtype) * tf.reduce_mean(tf.square(predicted * w - target * w))


class Adam(keras.optimizers.Adam):
    """Adam by torch's formula: epsilon is added after the bias correction of the second moment."""

    def __init__(self) -> None:
        super().__init__(learning_rate=0.0)
        # Keras's own rate is a float32 whatever the policy; torch's is a Python float.
        self.rate = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        """Move one variable; corrections are computed in float64, as torch does in Python."""
        dtype = variable.dtype
        beta1, beta2 = (tf.constant(beta, tf.float64) for beta in training.ADAM_BETAS)
        count = tf.cast(self.iterations + 1, tf.float64)
        size = tf.cast(self.rate / (1 - beta1**count), dtype)
        root = tf.cast(tf.sqrt(1 - beta2**count), dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        gradient = tf.cast(gradient, dtype)
        m.assign(m + (gradient - m) * tf.cast(1 - beta1, dtype))
        v.assign(v * tf.cast(beta2, dtype) + tf.square(gradient) * tf.cast(1 - beta2, dtype))
        variable.assign(variable - size * m / (tf.sqrt(v) / root + tf.constant(training.ADAM_EPSILON, dtype)))


def make_optimizer(net: keras.Model, kind: str = "aligned") -> keras.optimizers.Adam:
    """Return Adam with the suite's constants, whose formula both twins follow; `stock`: Keras's defaults."""
    optimizer = keras.optimizers.Adam(learning_rate=0.0) if kind == "stock" else Adam()
    optimizer.build(net.trainable_variables)
    return optimizer


def read_rate(optimizer: keras.optimizers.Adam) -> float:
    """Return the learning rate that the optimizer last used."""
    return float(optimizer.rate if isinstance(optimizer, Adam) else optimizer.learning_rate)


def gradients(
    net: keras.Model, images: tf.Tensor, target: tf.Tensor, joint_weights: tf.Tensor
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Return the loss of a batch in training mode, and its gradients in order of the parameters."""
    with tf.GradientTape() as tape:
        predicted = tf.cast(net(images, training=True), target.dtype)
        loss = weighted_loss(predicted, target, joint_weights)
    return loss, tape.gradient(loss, net.trainable_variables)


def _fused(net: keras.Model, optimizer: keras.optimizers.Adam) -> bool:
    """Return whether XLA makes one loop of each variable's update, as torch's `fused` does.

    TensorFlow alone goes through memory a dozen times, a sixth of the demo's step. Only where that was
    measured: on a CPU.
    """
    return isinstance(optimizer, Adam) and "GPU" not in net.trainable_variables[0].value.device


def make_step(net: keras.Model, optimizer: keras.optimizers.Adam) -> Step:
    """Return the function that trains on one batch at a learning rate and returns its loss."""

    @tf.function(jit_compile=_fused(net, optimizer))
    def apply(found: list[tf.Tensor]) -> None:
        optimizer.apply(found, net.trainable_variables)

    @tf.function(reduce_retracing=True)
    def update(images: tf.Tensor, target: tf.Tensor, joint_weights: tf.Tensor, lr: tf.Tensor) -> tf.Tensor:
        loss, found = gradients(net, images, target, joint_weights)
        if isinstance(optimizer, Adam):
            optimizer.rate.assign(lr)
        else:
            optimizer.learning_rate.assign(tf.cast(lr, optimizer.learning_rate.dtype))
        apply(found)
        return loss

    def step(batch: data.Batch, lr: float) -> float:
        arrays = (tf.constant(a) for a in (batch.images, batch.heatmaps, batch.weights))
        return float(update(*arrays, tf.constant(lr, tf.float64)))

    return step


def make_infer(net: keras.Model) -> inference.Infer:
    """Return the function from images (N, H, W, 3) uint8 to heatmaps (N, K, h, w) float32."""

    @tf.function(reduce_retracing=True)
    def forward(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(net(images, training=False), tf.float32)

    def infer(images: np.ndarray) -> np.ndarray:
        return forward(tf.constant(images)).numpy()

    return infer


def read_optimizer(net: keras.Model, optimizer: keras.optimizers.Adam) -> weights.Weights:
    """Return Adam's moments by canonical parameter name, and its step count."""
    tensors: weights.Weights = {}
    slots = zip(net.trainable_variables, optimizer._momentums, optimizer._velocities, strict=True)
    for variable, m, v in slots:
        name = model._canonical_name(variable)
        tensors[f"m/{name}"] = model._to_canonical(m.numpy(), m.dtype)
        tensors[f"v/{name}"] = model._to_canonical(v.numpy(), v.dtype)
    tensors["step"] = np.array([optimizer.iterations.numpy()], np.float32)
    return tensors


def load_optimizer(net: keras.Model, optimizer: keras.optimizers.Adam, tensors: weights.Weights) -> None:
    """Put back what read_optimizer returned."""
    slots = zip(net.trainable_variables, optimizer._momentums, optimizer._velocities, strict=True)
    for variable, m, v in slots:
        name = model._canonical_name(variable)
        m.assign(model._to_keras(tensors[f"m/{name}"]))
        v.assign(model._to_keras(tensors[f"v/{name}"]))
    optimizer.iterations.assign(int(tensors["step"][0]))


def run_epoch(loader: data.Loader, step: Step, epoch: int, lr: float, emit: Emit) -> float:
    """Train one epoch and return its mean loss over samples; stops on a loss that is not finite."""
    total, seen = 0.0, 0
    for batch in loader.batches(epoch):
        loss = training.require_finite(step(batch, lr), epoch, batch.annotation_ids.tolist())
        total += loss * len(batch.images)
        seen += len(batch.images)
        emit("batch", {"epoch": epoch, "seen": seen, "of": loader.order.count, "loss": loss})
    return total / seen


def train(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train the twin as the request says, resuming from its last checkpoint, and return a summary.

    Leaves state, last and best checkpoints, epochs.jsonl and each epoch's predictions in `out`.
    """
    job = TrainingJob.from_payload(payload)
    setup(job.device, job.threads)
    identity = checkpoint.identity(job)
    state = checkpoint.resume(job.out, identity)
    progress = state.progress if state else training.start(job.recipe.training)
    net = model.build(job.recipe, job.device, job.recipe.training.precision)
    described = architecture.build(job.recipe.model)
    model.load_weights(net, state.model if state else weights.load(job.initial, described))
    optimizer = make_optimizer(net, job.recipe.training.optimizer)
    if state:
        load_optimizer(net, optimizer, state.optimizer)
    step, infer = make_step(net, optimizer), make_infer(net)
    loader = data.Loader(splits.select(job.manifest, job.coco, "train"), job.recipe, job.workers)
    inputs = inference.Inputs(job.recipe, job.coco, job.manifest, "val", crops=data.crops)
    truth = splits.ground_truth(job.manifest, job.coco, "val")
    while not training.finished(progress, job.recipe.training):
        epoch, started = progress.epoch + 1, time.perf_counter()
        train_loss = run_epoch(loader, step, epoch, progress.lr, emit)
        trained = time.perf_counter()
        val_loss, predictions = inference.validate(infer, inputs, epoch)
        evaluate.save_predictions(job.out / "predictions" / f"epoch_{epoch:04d}.json", predictions)
        line = {
            "epoch": epoch,
            "lr": progress.lr,
            "train_loss": train_loss,
            "val_loss": val_loss,
            "ap": evaluate.score(predictions, truth)["AP"],
            "train_s": trained - started,
            "val_s": time.perf_counter() - trained,
        }
        progress = training.advance(progress, job.recipe.training, line)
        checkpoint.commit(
            job.out,
            State(
                progress,
                model.read_weights(net),
                read_optimizer(net, optimizer),
                job.recipe.data.channel_order,
            ),
            identity,
        )
        emit("epoch", line)
    summary = {
        "best_epoch": progress.best_epoch,
        "best_ap": progress.best_ap,
        "split_sha256": job.manifest.sha256,
        "epochs": progress.epoch,
        "wall_s": sum(line["train_s"] + line["val_s"] for line in progress.lines),
        "versions": {name: version(name) for name in ("tensorflow", "keras")},
    }
    write_json(job.out / "summary.json", summary)
    return summary
