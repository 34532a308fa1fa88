"""What both twins share, against the literal transcription: a mistake there is in both, unseen between them.

Pictures, boxes and joints are read here without `pose`, from the JPEG and from the raw annotation. Colour
jitter and occlusion are no part of the published recipe and are off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.contract import Emit
from bench.parity.certificate import Check
from bench.parity.rungs.base import Context, largest, told_largest, within
from pose import augment, published, recipe, sample, splits, training
from pose.coco import Dataset
from pose.recipe import Recipe
from pose.records import Person

SAMPLES = 64
EPOCHS = 3
"""At least; a small part is met in more epochs, so that mirrored and unmirrored samples both come."""
LOSSES = 4

EXACT_PIXELS = "the same decoder and warp with the same affine: no pixel may be rounded otherwise"
EXACT_WEIGHTS = "weights are 0 or 1"
EXACT_MAPS = "2 sigma^2 is a float32, so both sides round the same quotient once before exp"
ROUNDED_MAPS = "2 sigma^2 is no float32: the exponent is rounded twice, which exp damps to the last two bits"
AFFINE = "float64 products in another order: 1e-13 px; half a pixel is 0.5"
LOSS = "float64 sums in another order: 1e-16 x a map's pixels; a weight left out is 1e-2 and more"


@dataclass
class SampleErrors:
    """The largest error of each kind, by the name of the sample."""

    images: dict[str, float] = field(default_factory=dict)
    """Grey levels."""
    heatmaps: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    affine: dict[str, float] = field(default_factory=dict)
    """Pixels of the input, at the stored image's corners."""
    loss: dict[str, float] = field(default_factory=dict)
    """Relative."""


def checks(context: Context) -> list[Check]:
    """Return the checks of `pose.sample`, `pose.heatmap.encode` and `pose.training.loss`."""
    entry = "bench.parity.rungs.samples:compare_samples"
    found = context.call("shared", entry, context.request())
    variance = 2 * context.recipe.model.sigma_px**2
    exact = float(np.float32(variance)) == variance
    bounds = {
        "images": ("pixels, grey levels", 0.0, EXACT_PIXELS),
        "heatmaps": ("heatmaps", 0.0, EXACT_MAPS) if exact else ("heatmaps", 2.0**-22, ROUNDED_MAPS),
        "weights": ("weights", 0.0, EXACT_WEIGHTS),
        "affine": ("affine, px at the image's corners", 1e-9, AFFINE),
        "loss": ("loss with hidden joints, relative", 1e-12, LOSS),
    }
    return [
        within(
            f"shared samples to the published recipe: {name}",
            told_largest(found[kind]),
            bound,
            reason,
            note=f"{found['losses']} batches" if kind == "loss" else found["note"],
        )
        for kind, (name, bound, reason) in bounds.items()
    ]


def compare_samples(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return the largest error of each kind and where it is (in the child)."""
    resolved = without_extras(recipe.from_dict(payload["recipe"]))
    manifest, root = splits.read(Path(payload["split"])), Path(payload["coco"])
    part = manifest.at_hand("train")
    dataset, people = splits.select(manifest, root, part), splits.people(manifest, root, part)
    indices = np.unique(np.linspace(0, len(dataset) - 1, SAMPLES).astype(np.int64)).tolist()
    epochs = [None, *range(1, 1 + max(EPOCHS, math.ceil(SAMPLES / len(indices))))]
    errors, mirrored = SampleErrors(), 0
    for index in indices:
        picture = read_picture(dataset.image_path(int(dataset.image_ids[index])))
        person = people[int(dataset.ann_ids[index])]
        for epoch in epochs:
            mirrored += _one(dataset, index, resolved, epoch, picture, person, errors)
    _losses(resolved, errors)
    note = f"{len(errors.weights)} samples of {len(indices)} annotations, {mirrored} of them mirrored"
    found = {kind: largest(by_name) for kind, by_name in vars(errors).items()}
    return {"note": note, "losses": LOSSES} | found


def without_extras(of: Recipe) -> Recipe:
    """Return the recipe without colour jitter and occlusion; the other draws stay as they are."""
    plain = of.training.augmentation.model_copy(update={"colour_jitter": None, "occlusion": None})
    return of.model_copy(update={"training": of.training.model_copy(update={"augmentation": plain})})


def read_picture(path: Path) -> np.ndarray:
    """Return a JPEG as (H, W, 3) uint8 RGB: OpenCV's blue, green, red turned round."""
    pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION))
    return np.ascontiguousarray(pixels[:, :, [2, 1, 0]])


def _one(
    dataset: Dataset,
    index: int,
    of: Recipe,
    epoch: int | None,
    picture: np.ndarray,
    person: Person,
    errors: SampleErrors,
) -> bool:
    """Add one sample's errors; return whether it was mirrored."""
    drawn = augment.NEUTRAL
    if epoch is not None:
        drawn = augment.draw(of.training.augmentation, of.training.seed, epoch, person.id)
    made = sample.make(dataset, index, of, epoch=epoch)
    height, width = picture.shape[:2]
    triples = [person.keypoints[at : at + 3] for at in range(0, len(person.keypoints), 3)]
    box = published.clean_box(person.bbox, width, height)
    image, heatmaps, weights, affine = published.training_sample(
        picture, box or person.bbox, [[x, y] for x, y, _ in triples], [v > 0 for _, _, v in triples],
        of.model.input_size, of.model.heatmap_size, of.model.sigma_px,
        drawn.scale_factor, drawn.rotation_deg, drawn.flip,
    )  # fmt: skip
    name = f"annotation {person.id}, " + (f"epoch {epoch}" if epoch else "unaugmented")
    errors.images[name] = apart(made.image, image)
    if epoch is None:
        errors.images[f"{name}, as evaluated"] = apart(
            sample.crop(dataset, index, of.model.input_size), image
        )
    errors.heatmaps[name] = apart(made.heatmaps, heatmaps)
    errors.weights[name] = apart(made.weights, weights)
    corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)])
    errors.affine[name] = apart(corners @ made.affine.T, corners @ affine.T)
    return drawn.flip


def _losses(of: Recipe, errors: SampleErrors) -> None:
    """Add the errors of the validation loss on seeded heatmaps; every third joint is hidden."""
    width, height = of.model.heatmap_size
    for number in range(LOSSES):
        rng = np.random.default_rng(number)
        predicted, target = rng.random((2, 1, len(published.SIGMAS), height, width), np.float32)
        weights = (np.arange(len(published.SIGMAS)) % 3 > 0).astype(np.float32)[None]
        expected = published.joints_mse_loss(predicted, target, weights)
        found = training.loss(predicted, target, weights)
        errors.loss[f"seeded batch {number}"] = abs(found - expected) / expected


def apart(values: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest absolute difference; infinite where shape or data type differ."""
    if values.shape != expected.shape or values.dtype != expected.dtype:
        return math.inf
    return float(np.abs(values.astype(np.float64) - expected).max(initial=0))
