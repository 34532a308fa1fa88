"""How near each twin predicts each person of the validation part, of the predictions that a run keeps."""

from __future__ import annotations

from pose.evaluate import read_predictions
from pose.files import read_json
from pose.similarity import PersonSimilarity, of_people
from reports.run.read import Run


def people(run: Run) -> dict[str, list[PersonSimilarity]]:
    """Return by twin the similarity of every person, at the twin's best epoch; {} where the run has none.

    Raises UserError where a file is malformed.
    """
    path = run.path / "ground_truth.json"
    best = {twin: found.summary.get("best_epoch") for twin, found in run.training.items()}
    best |= {twin: found.get("best_epoch") for twin, found in run.imported.items()}
    files = {
        twin: run.path / "train" / twin / "predictions" / f"epoch_{epoch:04d}.json"
        for twin, epoch in best.items()
        if isinstance(epoch, int)
    }
    there = {twin: file for twin, file in files.items() if file.is_file()}
    if not there or not path.is_file():
        return {}
    truth = read_json(path, "the run's ground truth")
    return {twin: of_people(read_predictions(file, truth), truth) for twin, file in there.items()}
