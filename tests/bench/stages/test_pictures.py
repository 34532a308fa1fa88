"""Whose pictures a run keeps for its report: chosen by OKS, with the reason beside each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.run import folder
from bench.stages import pictures
from pose import splits
from pose.files import write_json
from reports.run.read import read


def moved(row: dict[str, Any], by: float) -> dict[str, Any]:
    """Return a prediction of a person, every joint off by some pixels."""
    points = [value + (by if place % 3 < 2 else 0.0) for place, value in enumerate(row["keypoints"])]
    return {"image_id": row["image_id"], "category_id": 1, "keypoints": points, "score": 0.9}


def test_the_best_the_worst_and_those_whom_the_twins_see_unlike_are_kept(run_folder: Path) -> None:
    run = folder.opened(run_folder)
    truth = splits.ground_truth(splits.read(run.split_file), run.settings.coco, "val")
    write_json(run_folder / "ground_truth.json", truth)
    people = truth["annotations"]
    for twin, spread in (("tf", 2.0), ("torch", 3.0)):
        rows = [moved(one, spread * place) for place, one in enumerate(people)]
        write_json(run.train_folder(twin) / "predictions" / "epoch_0001.json", rows)
        write_json(run.train_folder(twin) / "summary.json", {"best_epoch": 1, "best_ap": 0.5})
    pictures.samples(run)
    found = read(run_folder).samples
    assert 1 < len(found) <= pictures.SAMPLE_IMAGES
    picks = [pick for sample in found for pick in sample.picks]
    assert {pick.why for pick in picks} == {"best", "median", "worst", "apart"}
    best, worst = (next(pick for pick in picks if pick.why == why) for why in ("best", "worst"))
    assert best.annotation_id == people[0]["id"]
    assert best.oks == {"tf": 1.0, "torch": 1.0}
    assert worst.annotation_id == people[-1]["id"]
    assert worst.oks["tf"] > worst.oks["torch"]
    assert all((run_folder / sample.image).is_file() for sample in found)
    assert pictures.samples_hold(run)
