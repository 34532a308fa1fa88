"""The stage that shows what the twins predict on a few validation images."""

from __future__ import annotations

from bench.run.folder import RunFolder
from bench.stages.evaluation import stored_truth
from bench.stages.training import best_epochs, trained
from pose import splits
from pose.evaluate import read_predictions
from pose.files import read_bytes, read_json, write_bytes, write_json
from pose.images import as_jpeg

SAMPLE_IMAGES = 6


def samples(run: RunFolder) -> None:
    """Copy a few validation images and both twins' predictions on them into the run, for the report."""
    manifest = splits.read(run.split_file)
    truth = stored_truth(run, "val")
    predicted = {
        twin: read_predictions(run.train_folder(twin) / "predictions" / f"epoch_{epoch:04d}.json", truth)
        for twin, epoch in trained(run).items()
    }
    dataset = splits.select(manifest, run.settings.coco, "val")
    rows = []
    for image_id in _spread(sorted(set(dataset.image_ids.tolist())), SAMPLE_IMAGES):
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


def _spread(values: list[int], count: int) -> list[int]:
    """Return up to `count` of `values`, evenly spaced."""
    step = max(1, len(values) // count)
    return values[::step][:count]


def samples_hold(run: RunFolder) -> bool:
    """Return whether the run's sample images show the trained twins' best epochs."""
    path = run.path / "samples" / "made_from.json"
    return path.exists() and read_json(path, "what the samples show") == best_epochs(run)
