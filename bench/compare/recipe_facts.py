"""What decides a run's figures beside their cells: its network, its pictures, how its AP is scored.

Cells pair by their axes, which say nothing of these. They are read from recipe.yaml, run.json and the cell;
what an older version did not write is unknown, and is taken for the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.cells.scenarios import SCENARIOS, MeasuredPart
from bench.run import folder
from bench.run.results import CellResult
from pose import strict_yaml
from pose.errors import UserError
from pose.recipe import Evaluation, Model

SECTIONS = ("data", "split", "model", "training", "evaluation")
"""Of a recipe: what decides a figure. The rest is its name, its matrix and how it is reported."""

SAMPLE = ("model.input_size", "model.deconv_layers")
"""What gives a sample its shape: that of the input and that of the heatmaps."""
NETWORK = tuple(f"model.{name}" for name in Model.model_fields if name not in {"sigma_px", "pretrained"})
"""What makes a network, its training aside."""

BOXES = ("boxes", "detection file")
SCORING = tuple(f"evaluation.{name}" for name in Evaluation.model_fields if name != "batch_size")
"""The test protocol. Its batch size is the cell's."""

SPLIT = "split"
HASHES = (SPLIT, BOXES[1])
"""Facts that are a SHA-256."""
INPUTS: dict[MeasuredPart, tuple[str, ...]] = {
    "network": (),
    "pipeline": (SPLIT, *BOXES),
    "step": (),
    "loader": (SPLIT,),
    "predictions": (SPLIT, *BOXES, *SCORING, "data.channel_order"),
}
"""By what a scenario measures: the facts of what goes in, without which a figure is of something else."""

RECIPES: dict[MeasuredPart, tuple[str, ...]] = {
    "network": (),
    "pipeline": (),
    "step": ("training.optimizer",),
    "loader": ("data.pipeline", "training.augmentation"),
    "predictions": ("data.pipeline", "model.sigma_px", "model.pretrained", "training"),
}
"""The same of the recipe, which names all of it: facts, or sections of them; where the data lie is none."""
SEED = "training.seed"
"""Another seed is the same question, asked once more."""


def read(run: Path) -> dict[str, Any]:
    """Return a run's recipe by dotted key, as --set names it, and its BOXES; what is unknown is absent.

    Raises UserError where recipe.yaml or run.json is malformed, or newer than this version.
    """
    return _recipe(run / "recipe.yaml") | _boxes(run)


def _recipe(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    raw = strict_yaml.read(path, "the recipe of a run")
    if not isinstance(raw, dict):
        raise UserError(f"{path} holds a {type(raw).__name__}; expected the recipe of a run")
    return dict(_flat({name: raw[name] for name in SECTIONS if name in raw}))


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _boxes(run: Path) -> dict[str, Any]:
    if not (run / "run.json").exists():
        return {}
    facts = folder.run_facts(run)
    kind = facts["boxes"] if facts["boxes"] == folder.GROUND_TRUTH else "detections"
    sha256 = facts.get("boxes_sha256")
    return dict(zip(BOXES, (kind, sha256 and sha256[:12]), strict=True))


def network(facts: Mapping[str, Any], result: CellResult) -> dict[str, Any]:
    """Return those of a run's `facts` that say of which network a cell is; of a loader, a sample's shape."""
    names = NETWORK if SCENARIOS[result.axes.scenario].runs_network else SAMPLE
    return {name: facts.get(name) for name in names}


def inputs(facts: Mapping[str, Any], result: CellResult) -> dict[str, Any]:
    """Return those of a run's `facts`, and its split, that say what a cell was given or scored on."""
    known = {**facts, SPLIT: result.split_sha256 or None}
    return {name: known.get(name) for name in INPUTS[SCENARIOS[result.axes.scenario].of]}


def recipe(facts: Mapping[str, Any], result: CellResult) -> dict[str, Any]:
    """Return those of a run's `facts` by which a cell was made: a step, a loader, or the weights of an AP."""
    sections = RECIPES[SCENARIOS[result.axes.scenario].of]
    return {
        name: value
        for name, value in facts.items()
        if name != SEED and any(name == one or name.startswith(f"{one}.") for one in sections)
    }
