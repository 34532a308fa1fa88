"""Rung 5: ten Adam steps in float64, each from identical state; the schedules of the learning rate.

torch leads: it walks the ten steps and leaves the state after each. Keras follows, in a process beside
it: it starts every step from torch's state and is compared with where torch went; then it walks all of
them freely from the first. A state is three times the network in float64, so the leader waits while as
many lie unread as a disk can hold.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.cell import TWINS
from bench.contract import Emit
from bench.parity.certificate import Check
from bench.parity.rungs.base import Context, distances, told, within, worst
from bench.parity.rungs.probing import STEP_SAMPLES, batch, twins_batches
from bench.process import environment
from bench.process.worker import resolve
from pose import architecture, recipe, weights

STEPS = 10
IN_BATCH = STEP_SAMPLES // STEPS
MOST_BYTES = 2.5e9
"""Of states that the leader is ahead."""
POLL_S = 0.05
RATES = (1e-3, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5)
"""The rate falls on the way, so that a twin that keeps its first one is found out."""

EXACT = 1e-9
WHY_EXACT = (
    "a step divides by the root of the second moment, which magnifies a gradient's 7e-13 where it is small; "
    "a wrong epsilon or a constant that passed through float32 shows at 1e-8 or more"
)
WHY_FREE = "reported beside: from the second step on the twins no longer start alike"
KINDS = {"m/": "first moment", "v/": "second moment"}

LOSSES = (1.0, 0.9, 0.9, 0.95, 0.899999, 0.9, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6)
"""Validation losses of twelve scripted epochs: progress, none, too little, and a second plateau."""
SCHEDULES: dict[str, dict[str, Any]] = {
    "step": {"kind": "step", "epochs": [3, 7], "factor": 0.1},
    "plateau": {"kind": "plateau", "factor": 0.5, "patience": 1, "threshold": 1e-3, "min_lr": 2e-4},
}


def climb(context: Context, *, steps: int = STEPS) -> list[Check]:
    """Return the checks of the first `steps` of the ten steps, then those of the schedules."""
    return [*walked(context, steps), *schedules(context)]


def walked(context: Context, steps: int) -> list[Check]:
    """Return the checks of the first `steps` steps from identical state; the free walk is reported beside."""
    batch(context)
    stock = context.recipe.training.optimizer == "stock"
    taken, free = _walk(context, steps)
    checks = [
        within(f"fp64 step {number} from identical state", errors, EXACT, WHY_EXACT)
        for number, errors in enumerate(taken, 1)
    ]
    where, apart = worst(free)
    note = "frameworks' stock optimizers" if stock else None
    return [*checks, Check(f"fp64, {steps} steps walked freely", apart, None, None, WHY_FREE, where, note)]


def _walk(context: Context, steps: int) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Return by step the distance of each tensor of the state, and the free walk's at the end."""
    described = architecture.build(context.recipe.model)
    folder = context.folder / "steps"
    shutil.rmtree(folder, ignore_errors=True)
    start = weights.load(context.weights, described)
    weights.save(_state(folder, 0), {name: value.astype(np.float64) for name, value in start.items()})
    ahead = max(2, int(MOST_BYTES / (3 * 8 * described.parameters)))
    _, found = context.together(
        partial(_walker, context, "torch", "lead", steps, ahead=ahead),
        partial(_walker, context, "tf", "follow", steps),
    )
    shutil.rmtree(folder)
    return [_told(one) for one in found["errors"]], _told(found["free"])


def _walker(context: Context, twin: str, part: str, steps: int, **more: Any) -> dict[str, Any]:
    """Return what the child that leads or follows gives; the other is told when it has ended."""
    try:
        return context.call(
            twin,
            f"bench.parity.rungs.optimizer:{part}",
            context.request(twin, steps=steps, **more),
            env=environment.ONEDNN,
        )
    finally:
        (context.folder / "steps" / f"{part}.ended").touch()


def _told(errors: Mapping[str, float | None]) -> dict[str, float]:
    return {name: told(error) for name, error in errors.items()}


def _state(folder: Path, number: int) -> Path:
    return folder / f"state_{number}.safetensors"


def _await(ready: Callable[[], bool], ended: Path) -> None:
    """Wait until `ready`; RuntimeError when the other child has ended and it never will be."""
    while not ready():
        # Looked at first: what the other left as its last is there by then.
        over = ended.exists()
        if over and not ready():
            raise RuntimeError(f"the other twin's walk is over ({ended.stem}), and its state is not there")
        time.sleep(POLL_S)


def _started(payload: dict[str, Any]) -> tuple[Any, Path, list[Any]]:
    """Return the twin's float64 probe, the states' folder, and the batch of each step."""
    twin, folder = payload["twin"], Path(payload["folder"])
    resolve(f"{twin}_impl.train:setup")("cpu", payload["threads"])
    probe = resolve(f"{twin}_impl.probe:Probe")(recipe.from_dict(payload["recipe"]), "float64")
    return probe, folder / "steps", twins_batches(folder, twin, IN_BATCH, payload["steps"])


def lead(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Walk the steps from the state that is there and leave the state after each (in the child)."""
    probe, folder, batches = _started(payload)
    probe.restore(weights.read(_state(folder, 0)))
    for number, given in enumerate(batches):
        _await(lambda: len(list(folder.glob("state_*"))) <= payload["ahead"], folder / "follow.ended")
        probe.step(given, RATES[number])
        weights.save(_state(folder, number + 1), probe.state())
    return {}


def follow(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Take each step from the leader's state, and all of them freely; return the distances (in the child)."""
    probe, folder, batches = _started(payload)
    start = before = weights.read(_state(folder, 0))
    errors = []
    for number, one in enumerate(batches):
        probe.restore(before)
        probe.step(one, RATES[number])
        led = _state(folder, number + 1)
        _await(led.exists, folder / "lead.ended")
        before = weights.read(led)
        errors.append(_apart(probe.state(), before))
        _state(folder, number).unlink()
    probe.restore(start)
    for number, one in enumerate(batches):
        probe.step(one, RATES[number])
    return {"errors": errors, "free": _apart(probe.state(), before)}


def _apart(state: weights.Weights, reference: weights.Weights) -> dict[str, float]:
    return distances(*({_readable(name): one[name] for name in one} for one in (state, reference)))


def _readable(name: str) -> str:
    kind = KINDS.get(name[:2])
    return f"{name[2:]} ({kind})" if kind else name


def schedules(context: Context) -> list[Check]:
    """Return the checks that both twins use the rates of the published rules, epoch by epoch."""
    both = context.together(*(partial(_rates, context, twin) for twin in TWINS))
    used = dict(zip(TWINS, both, strict=True))
    checks = []
    for name, expected in (("step", _step_rates()), ("plateau", _plateau_rates())):
        for twin in TWINS:
            errors = {
                f"epoch {epoch}": abs(told(a) / b - 1)
                for epoch, (a, b) in enumerate(zip(used[twin][name], expected, strict=True), 1)
            }
            # Keras's stock rate is a float32.
            bound = 1e-6 if context.recipe.training.optimizer == "stock" else 1e-12
            why = "the rule multiplies a float64 a few times"
            checks.append(within(f"{name} schedule, {twin}: the rate that Adam used", errors, bound, why))
    return checks


def _rates(context: Context, twin: str) -> dict[str, Any]:
    """Return by schedule the rates of one twin."""
    # The rate does not depend on the network: the smallest will do, and one for both schedules.
    model = {"backbone": "resnet18", "input_size": [32, 32], "deconv_channels": 4, "sigma_px": 1}
    training = {"epochs": len(LOSSES), "batch_size": 2, "optimizer": context.recipe.training.optimizer}
    recipes = {
        name: recipe.from_dict(
            {"name": name, "model": model, "training": training | {"schedule": schedule}}
        ).model_dump(mode="json")
        for name, schedule in SCHEDULES.items()
    }
    payload = context.request(twin, recipes=recipes)
    return context.call(twin, "bench.parity.rungs.optimizer:rates", payload, env=environment.ONEDNN)


def rates(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return by schedule the rate that the twin's optimizer used in each scripted epoch (in the child)."""
    twin = payload["twin"]
    resolve(f"{twin}_impl.train:setup")("cpu", payload["threads"])
    recipes = {name: recipe.from_dict(raw) for name, raw in payload["recipes"].items()}
    small = next(iter(recipes.values()))
    width, height = small.model.input_size
    w, h = small.model.heatmap_size
    images = np.arange(2 * height * width * 3, dtype=np.uint8).reshape(2, height, width, 3)
    columns = (images, np.ones((2, 17, h, w), np.float32), np.ones((2, 17), np.float32), np.arange(2))
    batch_of_two = resolve(f"{twin}_impl.data:Batch")(*columns)
    probe = resolve(f"{twin}_impl.probe:Probe")(small, "float32")
    return {name: probe.rates(of.training, batch_of_two, LOSSES) for name, of in recipes.items()}


def _step_rates() -> list[float]:
    """Return the rates of the step rule, written out."""
    return [1e-3] * 3 + [1e-4] * 4 + [1e-5] * 5


def _plateau_rates() -> list[float]:
    """Return the rates of the plateau rule, written out for LOSSES.

    Patience 1: the second epoch in a row without progress lowers the rate for the next. Epochs 3 and
    4 bring none; 0.899999 in epoch 5 is below 0.9, but by less than the relative threshold of 1e-3,
    and with epoch 6 the rate falls again; epoch 7 is one more, epoch 8 is progress; 9 and 10 are a
    plateau, and the rate stops at its floor.
    """
    return [1e-3] * 4 + [5e-4] * 2 + [2.5e-4] * 4 + [2e-4] * 2
