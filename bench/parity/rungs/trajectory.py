"""Rung 6: float32 training drifts; the twins drift apart no further than a framework from itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.cell import TWINS
from bench.contract import Emit
from bench.parity.certificate import Check
from bench.parity.rungs.base import Context, none_of
from bench.process import environment
from bench.process.worker import resolve
from bench.statistics.samples import t_interval
from pose import architecture, recipe, splits, synthetic, weights
from pose.recipe import Recipe

RECIPE = "smoke"
"""Where the drift is measured, whatever the recipe under test: a hundred steps of it take seconds."""
STEPS = 100
SEEDS = 8
BOUND = 1.5
WHY = (
    "1 means that going from one framework to the other changes a training as much as another memory layout "
    "and thread count do; half as much again is granted, and the interval's upper end has to keep to it"
)

ALIKE = "between what is there once, or in two shapes, there is no distance"


@dataclass(frozen=True)
class TrainedArm:
    """One way of training the same recipe from the same start."""

    twin: str
    otherwise: bool
    """In another memory layout, on another number of threads."""

    @property
    def name(self) -> str:
        """Return the arm's file name."""
        return f"{self.twin}.{'otherwise' if self.otherwise else 'base'}"


THREADS = {False: 1, True: 2}
"""Of an arm, by whether it runs otherwise. The arms of both twins run side by side."""
OTHER_LAYOUT = {"TF_ENABLE_ONEDNN_OPTS": "0"}
"""torch's other layout is channels_last instead of NCHW; TensorFlow's is Eigen's instead of oneDNN's."""


def climb(context: Context, *, steps: int = STEPS, seeds: int = SEEDS) -> list[Check]:
    """Return the checks of parameters and of loss; `seeds` trainings of `steps` steps in every arm."""
    folder = context.folder / "trajectory"
    folder.mkdir(parents=True, exist_ok=True)
    resolved = recipe.load(RECIPE)
    coco, manifest = _data(resolved, folder)

    def train(arm: TrainedArm) -> None:
        threads = THREADS[arm.otherwise]
        payload = context.request(
            arm.twin,
            recipe=resolved.model_dump(mode="json"),
            coco=coco,
            split=manifest,
            threads=threads,
            variant="other_layout" if arm.otherwise else None,
            steps=steps,
            seeds=seeds,
            out=folder.resolve() / arm.name,
        )
        env = OTHER_LAYOUT if arm.otherwise else environment.ONEDNN
        context.call(arm.twin, "bench.parity.rungs.trajectory:walk", payload, threads=threads, env=env)
        context.say(f"{seeds} trainings of {steps} steps: {arm.name.replace('.', ', ')}")

    for otherwise in THREADS:
        context.together(*(partial(train, TrainedArm(twin, otherwise)) for twin in TWINS))
    if odd := _odd(folder):
        return [none_of("parameters that an arm lacks or shapes otherwise", odd, ALIKE)]
    found = [_distances(folder, seed) for seed in range(seeds)]
    return [judge(kind, [seed[kind] for seed in found]) for kind in ("parameters", "loss")]


def _data(resolved: Recipe, folder: Path) -> tuple[Path, Path]:
    """Return the folder of the recipe's rendered people and its manifest."""
    wanted, coco, manifest = resolved.data.synthetic, folder / "data", folder / "split.json"
    if wanted is None:
        raise ValueError(f"recipe '{RECIPE}' has no built-in dataset")
    synthetic.make(coco, train_images=wanted.train_images, val_images=wanted.val_images, seed=wanted.seed)
    splits.save(splits.make(resolved.split, coco), manifest)
    return coco.resolve(), manifest.resolve()


def walk(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train from each seed's start and leave the losses and the last parameters (in the child)."""
    twin, out = payload["twin"], Path(payload["out"])
    resolved = recipe.from_dict(payload["recipe"])
    resolve(f"{twin}_impl.train:setup")("cpu", payload["threads"])
    probe = resolve(f"{twin}_impl.probe:Probe")(resolved, "float32", payload["variant"])
    people = splits.select(splits.read(Path(payload["split"])), Path(payload["coco"]), "train")
    described = architecture.build(resolved.model)
    for seed in range(payload["seeds"]):
        seeded = resolved.model_copy(update={"training": resolved.training.model_copy(update={"seed": seed})})
        probe.restore(weights.initial(described, seed))
        loader = resolve(f"{twin}_impl.data:Loader")(people, seeded, 0)
        losses = [
            probe.step(batch, resolved.training.learning_rate) for batch in _batches(loader, payload["steps"])
        ]
        last = {name: value for name, value in probe.read().items() if "running_" not in name}
        weights.save(out / f"{seed}.safetensors", last | {"losses": np.array(losses)})
    return {}


def _batches(loader: Any, count: int) -> Iterator[Any]:
    """Yield `count` batches, epoch after epoch."""
    left, epoch = count, 0
    while left:
        epoch += 1
        for batch in loader.batches(epoch):
            yield batch
            left -= 1
            if not left:
                return


def _odd(folder: Path) -> list[str]:
    """Return what an arm lacks of torch's tensors, has beyond them or has in another shape, in words."""
    arms = [TrainedArm(twin, otherwise) for otherwise in THREADS for twin in TWINS]
    left = {arm: weights.read(folder / arm.name / "0.safetensors") for arm in arms}
    reference = left[TrainedArm("torch", False)]
    return [
        f"{name}, {arm.name.replace('.', ', ')}"
        for arm, tensors in left.items()
        for name in {**reference, **tensors}
        if name not in tensors or name not in reference or tensors[name].shape != reference[name].shape
    ]


def _distances(folder: Path, seed: int) -> dict[str, dict[str, float]]:
    """Return, for parameters and loss, the distance between the twins and of each twin from itself."""
    read = {twin: weights.read(folder / f"{twin}.base" / f"{seed}.safetensors") for twin in TWINS}
    found: dict[str, dict[str, float]] = {"parameters": {}, "loss": {}}

    def note(name: str, ours: weights.Weights, theirs: weights.Weights) -> None:
        # A training that diverged has no finite distance, and `judge` says so.
        with np.errstate(all="ignore"):
            found["parameters"][name] = parameter_distance(ours, theirs)
            found["loss"][name] = loss_distance(ours["losses"], theirs["losses"])

    note("twins", read["tf"], read["torch"])
    for twin in TWINS:
        note(twin, weights.read(folder / f"{twin}.otherwise" / f"{seed}.safetensors"), read[twin])
    return found


def parameter_distance(ours: weights.Weights, theirs: weights.Weights) -> float:
    """Return |ours - theirs| / |theirs| over all trainable parameters together."""
    names = [name for name in theirs if name != "losses"]
    apart = sum(float(np.sum(np.square(ours[n].astype(np.float64) - theirs[n]))) for n in names)
    size = sum(float(np.sum(np.square(theirs[n].astype(np.float64)))) for n in names)
    return math.sqrt(apart / size)


def loss_distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the root mean square over steps of the relative difference of two loss curves (S,)."""
    return float(np.sqrt(np.mean(np.square(ours / theirs - 1))))


def judge(kind: str, by_seed: Sequence[Mapping[str, float]]) -> Check:
    """Return the check on the ratio of the twins' distance to the frameworks' own, a value a seed.

    by_seed: by name, "twins" and the self-distances. A framework's own distance is the geometric
    mean over the frameworks that differ from themselves at all: one that does not says nothing.
    A distance that is not finite, as where a training diverged, fails the check, which names the
    frameworks that it is of, or "twins" where only they are so far apart.
    """
    lost = {n: [i for i, seed in enumerate(by_seed) if not math.isfinite(seed[n])] for n in by_seed[0]}
    own = [name for name in by_seed[0] if name != "twins"]
    if any(lost.values()):
        where = ", ".join(name for name in own if lost[name]) or "twins"
        note = "no finite distance: " + "; ".join(
            f"{name} in {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
            for name, seeds in lost.items()
            if seeds
        )
        return Check(f"drift of {kind}", math.inf, BOUND, False, WHY, where, note)
    moved = [name for name in own if all(seed[name] > 0 for seed in by_seed)]
    still = [name for name in own if name not in moved]
    if not moved:
        return Check(f"drift of {kind}", None, BOUND, False, WHY, None, "no framework differed from itself")
    logs = [
        math.log(max(seed["twins"], 1e-300)) - float(np.mean([math.log(seed[name]) for name in moved]))
        for seed in by_seed
    ]
    low, high = (math.exp(v) for v in t_interval(logs))
    typical = {name: _typical(by_seed, name) for name in ("twins", *moved)}
    note = (
        f"ratio {math.exp(float(np.mean(logs))):.3f} [{low:.3f}, {high:.3f}] over {len(by_seed)} seeds; "
        + ", ".join(f"{name} {value:.2e}" for name, value in typical.items())
        + (f"; bit for bit the same: {', '.join(still)}" if still else "")
    )
    name = f"drift of {kind}: twin to twin over a framework from itself, upper 95% bound"
    return Check(name, high, BOUND, high <= BOUND, WHY, None, note)


def _typical(by_seed: Sequence[Mapping[str, float]], name: str) -> float:
    """Return the geometric mean over seeds."""
    return math.exp(float(np.mean([math.log(max(seed[name], 1e-300)) for seed in by_seed])))
