"""People drawn on sample images: ground truth and both twins side by side."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from bench.cells.cell import TWINS
from pose.errors import UserError
from pose.files import read_bytes
from pose.images import as_jpeg, read_image
from pose.skeleton import COCO, NUM_JOINTS
from reports.formats import TWIN_NAMES
from reports.plots import style
from reports.plots.plot import Plot, drawing
from reports.run.missing import command
from reports.run.read import Pick, Run, SampleImage

JOINT_THRESHOLD = 0.2
"""A predicted joint with a lower score is not drawn (the reference's threshold for rescoring)."""
WHY = {
    "best": "Best by OKS",
    "median": "In the middle",
    "worst": "Worst",
    "apart": "Where the twins are farthest apart",
}
HIDDEN = 0.6
"""How large a joint is drawn that an annotator only guessed, of one that is seen."""
MOST_REASONS = 3
"""Of one image."""
IN_FILES = 4
"""Images in plots/samples; the page shows all."""


@dataclass(frozen=True)
class DrawnPerson:
    """Limbs (x0, y0, x1, y1) and joints (x, y) in image pixels, each with the colour of its side."""

    limbs: tuple[tuple[float, float, float, float, str], ...]
    joints: tuple[tuple[float, float, str, bool], ...]
    """x, y, colour and whether the joint is sure: visible, not only guessed by an annotator."""


@dataclass(frozen=True)
class Panel:
    """One image seen by one of the three."""

    key: str
    """`gt`, `tf` or `torch`."""
    title: str
    people: tuple[DrawnPerson, ...]

    @property
    def says(self) -> str:
        """Return what stands above the panel: whose it is, and why it is empty if it is."""
        if any(one.joints for one in self.people):
            return self.title
        why = "no labelled person" if self.key == "gt" else f"no joint scores {JOINT_THRESHOLD}"
        return f"{self.title}: {why}"


def person(keypoints: Sequence[float], *, predicted: bool) -> DrawnPerson:
    """Return what is drawn of one person, 17 x (x, y, score or visibility).

    A predicted joint needs a score of at least JOINT_THRESHOLD, an annotated one a visibility above
    0; a limb needs both of its joints. Raises UserError when there are not 51 numbers.
    """
    if len(keypoints) != 3 * NUM_JOINTS:
        raise UserError(
            f"a person of samples.json has {len(keypoints)} numbers; expected {3 * NUM_JOINTS}: "
            f"x, y and score of {NUM_JOINTS} joints"
        )
    points = [(keypoints[i], keypoints[i + 1], keypoints[i + 2]) for i in range(0, len(keypoints), 3)]
    there = [v >= JOINT_THRESHOLD if predicted else v > 0 for _, _, v in points]
    limbs = tuple(
        (points[a][0], points[a][1], points[b][0], points[b][1], colour(a, b))
        for a, b in COCO.limbs
        if there[a] and there[b]
    )
    joints = tuple((x, y, colour(i, i), predicted or v > 1) for i, (x, y, v) in enumerate(points) if there[i])
    return DrawnPerson(limbs, joints)


def colour(first: int, second: int) -> str:
    """Return the colour of a limb between two joints: of the side on which both are, or the middle's."""
    sides = {COCO.joints[joint].partition("_")[0] for joint in (first, second)}
    if sides == {"left"}:
        return style.LEFT
    return style.RIGHT if sides == {"right"} else style.MIDDLE


def says(sample: SampleImage) -> str:
    """Return for whom an image is shown, and which it is: Worst: OKS 0.07 TensorFlow. Image 12."""
    shown = [f"{WHY[pick.why]}: OKS {_twins(pick)}." for pick in sample.picks if pick.why in WHY]
    return " ".join((*shown[:MOST_REASONS], f"Image {sample.image_id}."))


def _twins(pick: Pick) -> str:
    return ", ".join(f"{oks:.2f} {TWIN_NAMES.get(twin, twin)}" for twin, oks in pick.oks.items())


def panels(sample: SampleImage) -> tuple[Panel, ...]:
    """Return the three panels of a sample; that of a twin without predictions is empty."""
    truth = tuple(person(keypoints, predicted=False) for keypoints in sample.ground_truth)
    found = [Panel("gt", "Ground truth", truth)]
    for twin in TWINS:
        predicted = sample.predictions.get(twin, ())
        people = tuple(person(one.keypoints, predicted=True) for one in predicted)
        found.append(Panel(twin, TWIN_NAMES[twin], people))
    return tuple(found)


def image_path(run: Run, sample: SampleImage) -> Path:
    """Return the path of a sample's JPEG; UserError when it would lie outside the run."""
    path = (run.path / sample.image).resolve()
    if not path.is_relative_to(run.path.resolve()):
        raise UserError(
            f"samples.json names {sample.image}, outside the run; expected a path such as samples/1.jpg"
        )
    return path


def data_uri(run: Run, sample: SampleImage) -> str:
    """Return the sample's image as a JPEG in a data URI; UserError when it is missing or no image."""
    path = image_path(run, sample)
    content = as_jpeg(read_bytes(path, "an image that samples.json names"), path)
    return "data:image/jpeg;base64," + b64encode(content).decode("ascii")


def figure(run: Run) -> Plot | None:
    """Return the first samples as one figure, a row for each image; None without samples."""
    shown = run.samples[:IN_FILES]
    if not shown:
        return None
    columns = 1 + len(TWINS)
    with drawing():
        ratio = sum(sample.height / sample.width for sample in shown)
        drawn = Figure(figsize=(7.4, 7.4 / columns * ratio + 0.35))
        grid = drawn.subplots(
            len(shown), columns, squeeze=False, height_ratios=[s.height / s.width for s in shown]
        )
        for axes in grid.flat:
            axes.axis("off")
        for axes, title in zip(grid[0], ("Ground truth", *TWIN_NAMES.values()), strict=True):
            axes.set_title(title)
        for row, sample in zip(grid, shown, strict=True):
            picture = read_image(image_path(run, sample))
            for axes, panel in zip(row, panels(sample), strict=True):
                _draw(axes, picture, sample, panel)
    return Plot(
        name="samples",
        title="People, chosen by OKS" if shown[0].picks else "Sample images",
        table="people",
        note="Left limbs are green, right limbs pink. A predicted joint is drawn from a score of "
        f"{JOINT_THRESHOLD}; an annotated joint that is hidden is smaller.",
        command=command(run, "samples"),
        source="samples/samples.json and the images it names",
        figure=drawn,
        description="Images of the validation part with skeletons: ground truth, TensorFlow, PyTorch.",
    )


def _draw(axes: Axes, picture: np.ndarray, sample: SampleImage, panel: Panel) -> None:
    axes.imshow(
        picture, extent=(-0.5, sample.width - 0.5, sample.height - 0.5, -0.5), interpolation="antialiased"
    )
    halo = [Stroke(linewidth=3.2, foreground="#101418"), Normal()]
    for one in panel.people:
        for x0, y0, x1, y1, side in one.limbs:
            axes.plot([x0, x1], [y0, y1], color=side, linewidth=1.5, path_effects=halo)
        for x, y, side, sure in one.joints:
            axes.plot(
                *([x], [y]),
                marker="o",
                markersize=3 if sure else HIDDEN * 3,
                markeredgewidth=0.6,
                markeredgecolor="#101418",
                markerfacecolor=side,
            )
    axes.set_xlim(-0.5, sample.width - 0.5)
    axes.set_ylim(sample.height - 0.5, -0.5)
