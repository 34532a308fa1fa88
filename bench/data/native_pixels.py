"""What a twin's own pixels are: how far from the shared ones, why, and what they do to AP and speed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.cell import TWINS
from bench.cells.runtimes import RUNTIMES
from bench.console import aligned
from bench.contract import Emit, RunnerSpec
from bench.machine import fingerprint
from bench.process import with_bar
from bench.process.worker import resolve
from pose import bootstrap, channel_order, coco, geometry, inference, recipe, sample, splits
from pose.errors import Unsupported, UserError
from pose.recipe import Recipe

PIPELINES = ("shared", "native")
DRAWS = 1000
"""Bootstrap samples of the images behind the interval of an AP difference."""


@dataclass(frozen=True)
class Request:
    """What `data pipelines` was asked for."""

    coco: Path
    part: str
    weights: Path | None
    samples: int
    """People whose pixels are compared and whose loading is timed, spread over the part."""
    rounds: int
    workers: int


@dataclass
class Distance:
    """How far 8-bit values are from their reference, gathered image by image."""

    largest: int = 0
    count: int = 0
    differing: int = 0
    absolute: int = 0
    signed: int = 0

    def add(self, values: np.ndarray, reference: np.ndarray) -> None:
        """Count the values of one image, uint8 both."""
        apart = values.astype(np.int64) - reference
        self.largest = max(self.largest, int(np.abs(apart).max()))
        self.count += apart.size
        self.differing += int(np.count_nonzero(apart))
        self.absolute += int(np.abs(apart).sum())
        self.signed += int(apart.sum())

    def to_dict(self) -> dict[str, float]:
        """Return the largest and mean absolute and the mean signed difference, and the share that differs."""
        return {
            "max": self.largest,
            "mean_abs": self.absolute / self.count,
            "mean_signed": self.signed / self.count,
            "share": self.differing / self.count,
        }


@dataclass
class Distances:
    """Native against shared, by cause; `aligned` is native with the one option that is to blame changed."""

    decoder: Distance = field(default_factory=Distance)
    decoder_aligned: Distance = field(default_factory=Distance)
    warp: Distance = field(default_factory=Distance)
    warp_aligned: Distance = field(default_factory=Distance)
    both: Distance = field(default_factory=Distance)


def compare_pipelines(resolved: Recipe, request: Request) -> dict[str, Any]:
    """Return what each twin's children found; a twin whose framework is absent has the reason instead.

    Raises UserError for a recipe that cannot be native, weights that are absent or an empty part.
    """
    if request.weights is not None and not request.weights.is_file():
        raise UserError(f"no file {request.weights}; expected weights (.safetensors)")
    if request.weights is not None:
        channel_order.require(request.weights, resolved)
    _as(resolved, "native")
    found: dict[str, Any] = {"recipe": resolved.name, "part": request.part, "workers": request.workers}
    with tempfile.TemporaryDirectory() as name:
        split = Path(name) / "split.json"
        manifest = splits.of(resolved, request.coco, request.part)
        splits.save(manifest, split)
        people = len(splits.select(manifest, request.coco, request.part))
        found |= {"people": people, "samples": min(request.samples, people), "twins": {}}
        for twin in TWINS:
            payload = asdict(request) | {
                "twin": twin,
                "recipe": resolved.model_dump(mode="json"),
                "coco": request.coco.resolve(),
                "split": split,
                "threads": fingerprint.usable_cores(),
                "weights": request.weights and request.weights.resolve(),
            }
            try:
                found["twins"][twin] = {
                    entry.__name__: with_bar.call_with_bar(
                        f"bench.data.native_pixels:{entry.__name__}",
                        payload,
                        Path(name) / twin,
                        f"{twin} {entry.__name__}",
                        log_stays=False,
                    )
                    for entry in (pixels, accuracy, speed)
                    if request.weights or entry is not accuracy
                }
            except Unsupported as reason:
                found["twins"][twin] = {"unsupported": str(reason)}
    return found


def _as(resolved: Recipe, pipeline: str) -> Recipe:
    raw = resolved.model_dump(mode="json")
    return recipe.from_dict(raw | {"data": raw["data"] | {"pipeline": pipeline}}, resolved.name)


def _people(payload: dict[str, Any], resolved: Recipe) -> coco.Dataset:
    whole = splits.select(splits.read(Path(payload["split"])), Path(payload["coco"]), payload["part"])
    count = min(payload["samples"], len(whole))
    chosen = np.linspace(0, len(whole) - 1, count).astype(np.int64)
    return whole.take(chosen, list(whole.images))


def pixels(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return the distances of unaugmented inputs by cause, and the causes in words (runs in the child)."""
    resolved = _as(recipe.from_dict(payload["recipe"]), "native")
    crops = resolve(f"{payload['twin']}_impl.data:crops")
    read, warped, decoder, warp = (
        resolve(f"{payload['twin']}_impl.native:{name}") for name in ("read", "warped", "DECODER", "WARP")
    )
    people, size, found = _people(payload, resolved), resolved.model.input_size, Distances()
    decoded: set[int] = set()
    for index in range(len(people)):
        image = people.read(index)
        if (image_id := int(people.image_ids[index])) not in decoded:
            decoded.add(image_id)
            found.decoder.add(read(people, index), image)
            found.decoder_aligned.add(read(people, index, aligned=True), image)
        placement = sample.place(people, index, resolved, epoch=None)
        shared = geometry.warp(image, placement.to_input, size)
        found.warp.add(warped(image, placement, size), shared)
        found.warp_aligned.add(warped(image, placement, size, aligned=True), shared)
        found.both.add(crops(people, resolved, [index])[0], shared)
        emit("batch", {"seen": index + 1, "of": len(people)})
    distances = {name: getattr(found, name).to_dict() for name in vars(found)}
    return {"images": len(decoded), "distances": distances, "why": {"decoder": decoder, "warp": warp}}


def accuracy(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return the AP of the same weights on both pipelines' inputs of the whole part (runs in the child)."""
    resolved = _as(recipe.from_dict(payload["recipe"]), "native")
    manifest, root, twin = splits.read(Path(payload["split"])), Path(payload["coco"]), payload["twin"]
    native = resolve(f"{twin}_impl.data:crops")
    inputs = [
        inference.Inputs(resolved, root, manifest, payload["part"], crops=c) for c in (sample.crops, native)
    ]
    spec = RunnerSpec(
        recipe=payload["recipe"],
        artifact=payload["weights"],
        mode=RUNTIMES[twin].as_shipped,
        precision="fp32",
        device="cpu",
        threads=payload["threads"],
        batch=min(resolved.evaluation.batch_size, len(inputs[0])),
    )
    runner = resolve(RUNTIMES[twin].runner)(spec)
    truth = splits.ground_truth(manifest, root, payload["part"])
    shared, own = (
        bootstrap.match(
            inference.predict(
                runner.infer, given, on_batch=lambda done, count: emit("batch", {"seen": done, "of": count})
            ),
            truth,
        )
        for given in inputs
    )
    apart, low, high = bootstrap.difference(own, shared, DRAWS, seed=0)
    return {
        "shared": bootstrap.ap(shared),
        "native": bootstrap.ap(own),
        "difference": apart,
        "interval": [low, high],
    }


def speed(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return samples a second of both pipelines, augmented as in training, round by round (in the child).

    Each round times one epoch of both, the first of a round in turn; an epoch of each goes before.
    """
    resolved = recipe.from_dict(payload["recipe"])
    people, twin = _people(payload, resolved), payload["twin"]
    resolve(f"{twin}_impl.train:setup")("cpu", payload["threads"])
    make = resolve(f"{twin}_impl.data:Loader")
    loaders = {name: make(people, _as(resolved, name), payload["workers"]) for name in PIPELINES}
    rates: dict[str, list[float]] = {name: [] for name in PIPELINES}
    for number in range(payload["rounds"] + 1):
        for name in PIPELINES if number % 2 else PIPELINES[::-1]:
            started_ns = time.perf_counter_ns()
            made = sum(len(batch.images) for batch in loaders[name].batches(number + 1))
            rates[name].append(made / ((time.perf_counter_ns() - started_ns) / 1e9))
        emit("batch", {"seen": number + 1, "of": payload["rounds"] + 1})
    measured = {name: values[1:] for name, values in rates.items()}
    ratios = [native / shared for native, shared in zip(measured["native"], measured["shared"], strict=True)]
    return {"samples_per_s": measured, "ratios": ratios, "ratio": float(np.median(ratios))}


def text(found: dict[str, Any]) -> str:
    """Return the findings of `compare_pipelines` as a table and the causes in words."""
    people = f"{found['samples']} of {found['people']} people of '{found['part']}'"
    rows = [("", "cause", "largest", "mean", "signed", "differ")]
    words = []
    for twin, own in found["twins"].items():
        if "unsupported" in own:
            words.append(f"{twin} {own['unsupported']}")
            continue
        for name, d in own["pixels"]["distances"].items():
            figures = f"{d['mean_abs']:.4f}", f"{d['mean_signed']:+.4f}", f"{d['share']:.3%}"
            rows.append((twin, name.replace("_", ", "), str(d["max"]), *figures))
        words += _words(twin, own, found["workers"])
    title = f"native against shared pixels, of 255; {people}, unaugmented"
    return "\n".join([title, *aligned(rows, left=(0, 1)), *words])


def _words(twin: str, own: dict[str, Any], workers: int) -> list[str]:
    lines = [f"{twin} {cause}: {why}" for cause, why in own["pixels"]["why"].items()]
    if "accuracy" in own:
        a = own["accuracy"]
        low, high = a["interval"]
        lines.append(
            f"{twin} AP, ground-truth boxes: shared {a['shared']:.4f}, native {a['native']:.4f}, "
            f"difference {a['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
        )
    s = own["speed"]
    lines.append(
        f"{twin} samples a second, native / shared: {s['ratio']:.2f} "
        f"({min(s['ratios']):.2f} to {max(s['ratios']):.2f} in {len(s['ratios'])} rounds, {workers} workers)"
    )
    return lines
