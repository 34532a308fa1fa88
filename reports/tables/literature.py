"""Published figures, to stand apart: never merged with measured ones."""

from __future__ import annotations

from dataclasses import dataclass

from pose.recipe import Recipe
from reports.formats import Absent, score
from reports.run.read import Run
from reports.tables.table import Column, Row, Table


@dataclass(frozen=True)
class Published:
    """One published row on COCO."""

    backbone: str
    input_size: tuple[int, int]
    """Width and height."""
    part: str
    boxes: str
    numbers: dict[str, float]
    source: str


PAPER = "Xiao, Wu, Wei: Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018"
AUTHOR = (
    "Bin Xiao, an author of the paper, on the released checkpoint with flip test: "
    "github.com/leoxiaobin/deep-high-resolution-net.pytorch, issue 15 (2019)"
)
STUDY = "the study behind this project: train2017 divided 80/10/10 by image, after 50 epochs"
DETECTOR = "detector of person AP 56.4"

RESNET50_FULL = {"AP": 0.704, "AP50": 0.886, "AP75": 0.783, "APM": 0.671, "APL": 0.772, "AR": 0.763}

SIMPLE_BASELINES = (
    Published("resnet50", (192, 256), "val2017", DETECTOR, RESNET50_FULL, PAPER),
    Published("resnet50", (192, 256), "val2017", "ground truth", {"AP": 0.724}, AUTHOR),
    Published("resnet50", (288, 384), "val2017", DETECTOR, {"AP": 0.722}, PAPER),
    Published("resnet101", (192, 256), "val2017", DETECTOR, {"AP": 0.714}, PAPER),
    Published("resnet101", (288, 384), "val2017", DETECTOR, {"AP": 0.736}, PAPER),
    Published("resnet152", (192, 256), "val2017", DETECTOR, {"AP": 0.720}, PAPER),
    Published("resnet152", (288, 384), "val2017", DETECTOR, {"AP": 0.743}, PAPER),
)

STUDY_AP = (
    Published("resnet50 (TensorFlow)", (192, 256), "study's split", "not stated", {"AP": 0.725}, STUDY),
    Published("resnet50 (PyTorch)", (192, 256), "study's split", "not stated", {"AP": 0.730}, STUDY),
)


def matching(recipe: Recipe | None) -> tuple[Published, ...]:
    """Return the published rows of the recipe's own network and input size; () when there are none.

    Only a recipe named coco_* or study_* whose head is the paper's has any.
    """
    if recipe is None or not recipe.name.startswith(("coco_", "study_")):
        return ()
    model = recipe.model
    if (model.deconv_layers, model.deconv_channels) != (3, 256):
        return ()
    found = tuple(
        row
        for row in SIMPLE_BASELINES
        if (row.backbone, row.input_size) == (model.backbone, tuple(model.input_size))
    )
    study = recipe.name.startswith("study_") and (model.backbone, model.input_size) == (
        "resnet50",
        (192, 256),
    )
    return found + (STUDY_AP if study else ())


def published(run: Run) -> Table | None:
    """Return what the literature reports for this network, or None when that is not the recipe's."""
    rows = matching(run.recipe)
    if not rows:
        return None
    names = ("AP", "AP50", "AP75", "APM", "APL", "AR")
    unpublished = Absent("not among the published figures")
    return Table(
        name="literature",
        title="Literature: published, not measured here",
        columns=(
            Column("network", "Network"),
            Column("input", "Input"),
            Column("part", "Part"),
            Column("boxes", "Boxes"),
            *(Column(name, name, score, "number") for name in names),
            Column("source", "Source"),
        ),
        rows=tuple(
            Row(
                (
                    *(row.backbone, "{}x{}".format(*reversed(row.input_size)), row.part, row.boxes),
                    *(row.numbers.get(name, unpublished) for name in names),
                    row.source,
                )
            )
            for row in rows
        ),
        note="Other people's figures, by their own training, data and boxes. They are no result of this run.",
        command="",
        source="the publication named in each row",
    )
