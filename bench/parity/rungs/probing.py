"""What rungs 2 to 4 compare: one child a twin computes it all, in float64 and in float32."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.cell import TWINS
from bench.contract import Emit
from bench.parity.rungs.base import Context
from bench.process import environment
from bench.process.worker import resolve
from pose import architecture, recipe, sample, splits, weights
from pose.files import write_arrays

PRECISIONS = ("float64", "float32")
PROBE_SAMPLES = 8
STEP_SAMPLES = 20
"""Ten steps on batches of two."""
GRADIENT_BATCH = 2
PUBLISHED = ("torch", "float64")
"""Whose heatmaps the published loss is computed from; rung 3 has shown that the others' are the same."""

Arrays = dict[str, np.ndarray]


def batch(context: Context) -> Arrays:
    """Return the probe set: augmented training samples of the recipe, made once for both twins.

    images (N, H, W, 3) uint8, heatmaps (N, K, h, w) and weights (N, K) float32, annotation_ids (N,).
    Every third joint is hidden, another one in each sample.
    """
    path = context.folder / "probe.npz"
    if not path.exists():
        manifest = splits.read(context.split)
        dataset = splits.select(manifest, context.coco, manifest.at_hand("train"))
        made, ids = [], []
        # People with few labelled joints say little about a gradient.
        order = np.argsort(-dataset.labelled.sum(axis=1), kind="stable")[:STEP_SAMPLES]
        for number in range(STEP_SAMPLES):
            index = int(order[number % len(order)])
            made.append(sample.make(dataset, index, context.recipe, epoch=1 + number // len(order)))
            ids.append(int(dataset.ann_ids[index]))
        arrays = {
            "images": np.stack([m.image for m in made]),
            "heatmaps": np.stack([m.heatmaps for m in made]),
            "weights": hidden(np.stack([m.weights for m in made])),
            "annotation_ids": np.array(ids),
        }
        write_arrays(path, arrays)
    with np.load(path) as stored:
        return dict(stored)


def hidden(joint_weights: np.ndarray) -> np.ndarray:
    """Return weights (N, K) with joint k of sample n hidden where n + k is a multiple of 3.

    Where every joint is labelled, a loss that forgets the weights is the right one.
    """
    n, k = np.indices(joint_weights.shape)
    return np.where((n + k) % 3 == 0, np.float32(0), joint_weights)


def outputs(context: Context) -> dict[str, dict[str, Arrays]]:
    """Return by twin and precision what `measure` computed, but for gradients."""
    _measured(context)
    return {
        twin: {p: weights.read(context.folder / f"{twin}.{p}.safetensors") for p in PRECISIONS}
        for twin in TWINS
    }


def differentiated(context: Context) -> Iterator[dict[str, dict[str, Arrays]]]:
    """Yield by twin and precision the loss (1,) and grad/NAME of each batch, one batch after another.

    All at once they would be gigabytes.
    """
    _measured(context)
    for number in count():
        if not _gradients_path(context.folder, *PUBLISHED, number).exists():
            return
        yield {
            twin: {p: weights.read(_gradients_path(context.folder, twin, p, number)) for p in PRECISIONS}
            for twin in TWINS
        }


def _gradients_path(folder: Path, twin: str, precision: str, number: int) -> Path:
    return folder / f"{twin}.{precision}.gradients.{number}.safetensors"


def _measured(context: Context) -> None:
    """Let each twin measure, once a climb."""
    batch(context)
    missing = [twin for twin in TWINS if not (context.folder / f"{twin}.float32.safetensors").exists()]
    context.together(*(partial(_measure, context, twin) for twin in missing))


def _measure(context: Context, twin: str) -> None:
    entry = "bench.parity.rungs.probing:measure"
    context.call(twin, entry, context.request(twin), env=environment.ONEDNN)


def measure(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write, for each precision, what one twin makes of the weights and the probe set (in the child).

    own/NAME: the parameters that the framework made by itself; back/NAME: read back after loading;
    eval, train: heatmaps; stats/NAME: running statistics after one forward pass in training mode.
    Of the twin and precision PUBLISHED also pair, the heatmaps that the first loss is of. Loss and
    grad/NAME of each batch of the probe set have files of their own, for they are large.
    """
    twin, folder = payload["twin"], Path(payload["folder"])
    resolved = recipe.from_dict(payload["recipe"])
    canonical = weights.load(Path(payload["weights"]), architecture.build(resolved.model))
    resolve(f"{twin}_impl.train:setup")("cpu", payload["threads"])
    batches = twins_batches(folder, twin, GRADIENT_BATCH, STEP_SAMPLES // GRADIENT_BATCH)
    with np.load(folder / "probe.npz") as stored:
        images = stored["images"][:PROBE_SAMPLES]
    for precision in PRECISIONS:
        probe = resolve(f"{twin}_impl.probe:Probe")(resolved, precision)
        found: Arrays = {f"own/{name}": value for name, value in probe.read().items()}
        probe.load(canonical)
        found |= {f"back/{name}": value for name, value in probe.read().items()}
        found["eval"] = probe.forward(images, training=False)
        found["train"] = probe.forward(images, training=True)
        found |= {f"stats/{name}": value for name, value in probe.read().items() if "running_" in name}
        if (twin, precision) == PUBLISHED:
            probe.load(canonical)
            found["pair"] = probe.forward(images[:GRADIENT_BATCH], training=True)
        for number, given in enumerate(batches):
            probe.load(canonical)
            loss, gradients = probe.gradients(given)
            arrays = {f"grad/{name}": value for name, value in gradients.items()}
            weights.save(
                _gradients_path(folder, twin, precision, number), {"loss": np.array([loss]), **arrays}
            )
        weights.save(folder / f"{twin}.{precision}.safetensors", found)
    return {}


def twins_batches(folder: Path, twin: str, size: int, count: int) -> list[Any]:
    """Return the probe set's first `count` batches of `size`, of the twin's own kind (in the child)."""
    make = resolve(f"{twin}_impl.data:Batch")
    with np.load(folder / "probe.npz") as stored:
        columns = [stored[name] for name in ("images", "heatmaps", "weights", "annotation_ids")]
    spans = [slice(number * size, (number + 1) * size) for number in range(count)]
    return [make(*(column[span] for column in columns)) for span in spans]


def part(arrays: Arrays, prefix: str) -> Arrays:
    """Return the arrays under `prefix`/, by the rest of their names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
