"""What every rung of the ladder is made of: checks, the context of a climb, children."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.matrix import Place
from bench.contract import Emit
from bench.parity.certificate import Check
from bench.process import environment, launch, parallel
from bench.process.worker import resolve
from pose.recipe import Recipe

AT_ONCE = 2
"""Children side by side: one alone starts, traces and reads on one core. No rung measures a time."""


@dataclass(frozen=True)
class Context:
    """What a climb knows. Arrays too big for a message go through files in `folder`."""

    recipe: Recipe
    folder: Path
    """Scratch: what the rungs' children write; removed after a climb that passed."""
    coco: Path
    split: Path
    """The split's manifest."""
    weights: Path
    """The canonical weights that rungs 2 to 5 load into both twins."""
    threads: int
    device: str = "cpu"
    """Where rung 7 runs what the matrix does not name; the others are about mathematics, on the CPU."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """By runtime: the interpreter, environment and folder of its children, where they are not this one's."""
    plants: Mapping[str, str] = field(default_factory=dict)
    """"module:function" that a child of "tf", "torch", "onnxruntime", "openvino" or "shared" calls
    first; the mutation check plants its mistakes there."""
    say: Callable[[str], None] = lambda text: None

    def call(
        self,
        who: str,
        entry: str,
        payload: Mapping[str, Any],
        *,
        threads: int | None = None,
        env: Mapping[str, str] | None = None,
        device: str = "cpu",
    ) -> dict[str, Any]:
        """Return what `entry` gives in a fresh child that may load the framework of `who` alone.

        It runs where the runtime `who` has its place, and sees no GPU unless `device` is one.

        Raises Unsupported, UserError or launch.ChildFailed as the child ended.
        """
        name = entry.replace(":", ".").replace("bench.parity.rungs.", "")
        folder = _numbered(self.folder / "children", f"{name}.{who}")
        given = {"plant": self.plants.get(who), "entry": entry, "payload": payload}
        place = self.places.get(who, Place())
        variables = (
            environment.thread_environment(threads or self.threads, device=device) | environment.PASSIVE
        )
        return launch.value_of(
            launch.call(
                "bench.parity.rungs.base:planted",
                given,
                folder,
                env=variables | place.env | dict(env or {}),
                interpreter=place.python,
                working_folder=Path(place.folder) if place.folder else None,
            )
        )

    def request(self, twin: str = "", **more: Any) -> dict[str, Any]:
        """Return the payload of a child: what every rung's child is told of the climb, and `more`."""
        paths = {name: getattr(self, name).resolve() for name in ("coco", "split", "weights", "folder")}
        told = {"twin": twin, "recipe": self.recipe.model_dump(mode="json"), "threads": self.threads}
        return {**told, **paths, **more}

    def together(self, *tasks: Callable[[], Any]) -> list[Any]:
        """Return what each task gives, in their order; two at a time (`bench.process.parallel.together`)."""
        return parallel.together(tasks, AT_ONCE)


def _numbered(parent: Path, name: str) -> Path:
    """Return a new folder NAME.N in `parent`, N counted from 1; two threads never get the same."""
    for number in count(1):
        folder = parent / f"{name}.{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count never ends")


def planted(payload: dict[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Call the plant, if there is one, then the entry (runs in the child)."""
    if payload["plant"]:
        resolve(payload["plant"])()
    result: Mapping[str, Any] = resolve(payload["entry"])(payload["payload"], emit)
    return result


def distance(values: np.ndarray, reference: np.ndarray) -> float:
    """Return |values - reference| / |reference|, Euclidean norms; |values| where the reference is zero.

    Infinite where the shapes differ: NumPy would repeat the smaller one, and find a distance.
    """
    if values.shape != reference.shape:
        return math.inf
    wide = reference.astype(np.float64, copy=False)
    apart, size = np.linalg.norm(values.astype(np.float64, copy=False) - wide), np.linalg.norm(wide)
    return float(apart / size) if size > 0 else float(apart)


def mismatch(name: str, tf: np.ndarray | None, torch: np.ndarray | None) -> str | None:
    """Return why a tensor of the twins cannot be compared, its name first; None where it can.

    None stands for a tensor that is not there.
    """
    if tf is None or torch is None:
        return f"{name} (missing in {'tf' if tf is None else 'torch'})"
    if tf.shape != torch.shape:
        return f"{name} (tf: {shape(tf)}, torch: {shape(torch)})"
    return None


def shape(values: np.ndarray) -> str:
    """Return an array's shape as people write it: 64x3x7x7."""
    return "x".join(map(str, values.shape)) or "a number"


def reshaped(values: np.ndarray, reference: np.ndarray) -> str | None:
    """Return the shape that an array has and the one it should have, in words; None where it has it."""
    return None if values.shape == reference.shape else f"{shape(values)}, not {shape(reference)}"


def mismatches(tf: Mapping[str, np.ndarray], torch: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return by name why a tensor of the twins cannot be compared, of those that cannot."""
    found = {name: mismatch(name, tf.get(name), torch.get(name)) for name in {**torch, **tf}}
    return {name: why for name, why in found.items() if why}


def distances(tf: Mapping[str, np.ndarray], torch: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return by name the distance of each tensor of tf from torch's.

    Infinite, and the name says why, where one twin lacks it or has another shape.
    """
    odd = mismatches(tf, torch)
    found = {name: distance(tf[name], value) for name, value in torch.items() if name not in odd}
    return found | dict.fromkeys(odd.values(), math.inf)


def told(value: float | None) -> float:
    """Return an error that a child told; infinite where JSON could not carry it.

    That is NaN, and infinity itself: a wrong shape, or a number that is not finite.
    """
    return float("inf") if value is None else value


def worst(errors: Mapping[str, float]) -> tuple[str, float]:
    """Return the name and the size of the largest error; NaN counts as the largest."""
    name = max(errors, key=lambda key: (np.isnan(errors[key]), errors[key]))
    return name, errors[name]


def largest(errors: Mapping[str, float]) -> dict[str, Any]:
    """Return {"where", "error"} of the largest error, as a child tells it."""
    where, error = worst(errors)
    return {"where": where, "error": error}


def told_largest(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the error that a child told by `largest`, by where it is."""
    return {found["where"]: told(found["error"])}


def none_of(name: str, wrong: Sequence[str], reason: str, note: str | None = None) -> Check:
    """Return the check that nothing is `wrong`, in an order whose first is where to look: it is named."""
    return Check(name, float(len(wrong)), 0.0, not wrong, reason, wrong[0] if wrong else None, note)


def within(
    name: str, errors: Mapping[str, float], bound: float, reason: str, *, note: str | None = None
) -> Check:
    """Return the check that none of `errors` is above `bound`; it names the worst, unless all are 0."""
    where, measured = worst(errors)
    # Not `measured > bound`: a NaN must not pass.
    return Check(name, measured, bound, measured <= bound, reason, where if measured != 0 else None, note)
