"""What a recipe's network is and costs, described and as each framework counts it."""

from __future__ import annotations

from typing import Any

from bench.cells.cell import TWINS
from bench.contract import Emit
from bench.process.launch import in_child
from bench.process.worker import resolve
from pose import architecture, recipe
from pose.errors import Unsupported


def model_info(resolved: recipe.Recipe) -> dict[str, Any]:
    """Return parameters and MACs by stage from the description, and each twin's own counts.

    A twin whose framework is not installed has the reason in place of its counts.
    """
    described = architecture.build(resolved.model)
    stages = [{"name": s.name, "parameters": s.parameters, "macs": s.macs} for s in described.stages]
    twins: dict[str, Any] = {}
    for twin in TWINS:
        try:
            twins[twin] = in_child(
                "bench.artifacts.model_info:count", {"twin": twin, "recipe": resolved.model_dump(mode="json")}
            )
        except Unsupported as reason:
            twins[twin] = {"unsupported": str(reason)}
    return {
        "recipe": resolved.name,
        "input_size": list(resolved.model.input_size),
        "heatmap_size": list(resolved.model.heatmap_size),
        "trainable_parameters": described.parameters,
        "macs": described.macs,
        "stages": stages,
        "twins": twins,
    }


def count(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return a twin's own counts (runs in the child)."""
    resolved = recipe.from_dict(payload["recipe"])
    twin = f"{payload['twin']}_impl.model"
    net = resolve(f"{twin}:build")(resolved)
    return {
        "trainable_parameters": resolve(f"{twin}:count_parameters")(net),
        "macs": resolve(f"{twin}:count_macs")(net, resolved.model.input_size),
    }
