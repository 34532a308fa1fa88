"""The stage that shows whom the twins predict best, in the middle, worst, and least alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.run.folder import RunFolder
from bench.stages.evaluation import stored_truth
from bench.stages.training import best_epochs, trained
from pose import similarity, splits
from pose.evaluate import read_predictions
from pose.files import read_bytes, read_json, write_bytes, write_json
from pose.images import as_jpeg
from pose.similarity import PersonSimilarity

SAMPLE_IMAGES = 6


def samples(run: RunFolder) -> None:
    """Copy the images of the chosen people and the twins' predictions there into the run, for the report."""
    manifest = splits.read(run.split_file)
    truth = stored_truth(run, "val")
    predicted = {
        twin: read_predictions(run.train_folder(twin) / "predictions" / f"epoch_{epoch:04d}.json", truth)
        for twin, epoch in trained(run).items()
    }
    dataset = splits.select(manifest, run.settings.coco, "val")
    similar = {twin: similarity.of_people(found, truth) for twin, found in predicted.items()}
    rows = []
    for image_id, reasons in similarity.chosen(similar, SAMPLE_IMAGES).items():
        image = dataset.images[image_id][1]
        target = run.path / "samples" / f"{image_id:012d}.jpg"
        source = dataset.image_path(image_id)
        write_bytes(target, as_jpeg(read_bytes(source, "a JPEG of the dataset"), source))
        rows.append(
            {
                "image": f"samples/{target.name}",
                "image_id": image_id,
                "width": image.width,
                "height": image.height,
                "picks": [_pick(why, person, similar) for why, person in reasons],
                "ground_truth": [a["keypoints"] for a in truth["annotations"] if a["image_id"] == image_id],
                "predictions": {
                    twin: [
                        {"keypoints": p["keypoints"], "score": p["score"]}
                        for p in rows_
                        if p["image_id"] == image_id
                    ]
                    for twin, rows_ in predicted.items()
                },
            }
        )
    write_json(run.path / "samples" / "samples.json", rows, indent=None)
    write_json(run.path / "samples" / "made_from.json", best_epochs(run))


def _pick(why: str, annotation_id: int, similar: Mapping[str, list[PersonSimilarity]]) -> dict[str, Any]:
    """Return why a person is shown, and how near each twin predicts them."""
    oks = {
        twin: next(one.oks for one in people if one.annotation_id == annotation_id)
        for twin, people in similar.items()
    }
    return {"why": why, "annotation_id": annotation_id, "oks": oks}


def samples_hold(run: RunFolder) -> bool:
    """Return whether the run's sample images show the trained twins' best epochs."""
    path = run.path / "samples" / "made_from.json"
    return path.exists() and read_json(path, "what the samples show") == best_epochs(run)
