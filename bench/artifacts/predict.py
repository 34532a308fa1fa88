"""The prediction child: one runtime over one part of a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.runtimes import RUNTIMES
from bench.contract import Emit, RunnerSpec
from bench.process.worker import resolve
from pose import evaluate, inference, recipe, splits
from pose.files import write_arrays


def predict(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write predictions (COCO results) and, if asked, heatmaps; return the counts and the ten numbers.

    The heatmaps are those that were decoded: averaged with the mirror's where the flip test is on.
    """
    resolved = recipe.from_dict(payload["recipe"])
    manifest, root = splits.read(Path(payload["split"])), Path(payload["coco"])
    boxes = Path(payload["boxes"]) if payload.get("boxes") else None
    inputs = inference.Inputs(resolved, root, manifest, payload["part"], boxes)
    runtime, batch = RUNTIMES[payload["runtime"]], resolved.evaluation.batch_size
    if not runtime.artifact(runtime.as_shipped, "fp32").is_of_a_batch:
        batch = min(batch, len(inputs))
    spec = RunnerSpec(
        recipe=payload["recipe"],
        artifact=payload["artifact"],
        mode=runtime.as_shipped,
        precision="fp32",
        device=payload["device"],
        threads=payload["threads"],
        batch=batch,
    )
    runner = resolve(runtime.runner)(spec)
    kept: list[np.ndarray] = []
    predictions = inference.predict(
        runner.infer,
        inputs,
        on_maps=kept.append if payload.get("heatmaps") else None,
        on_batch=lambda done, count: emit("batch", {"seen": done, "of": count}),
    )
    if payload.get("heatmaps"):
        arrays = {"ann_ids": inputs.dataset.ann_ids, "heatmaps": np.concatenate(kept)}
        write_arrays(Path(payload["heatmaps"]), arrays)
    evaluate.save_predictions(Path(payload["out"]), predictions)
    truth = splits.ground_truth(manifest, root, payload["part"])
    return {
        "people": len(inputs),
        "predictions": len(predictions),
        "images": len(truth["images"]),
        "effective": runner.effective(),
        "numbers": evaluate.score(predictions, truth),
    }
