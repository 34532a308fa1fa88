"""The drawn parts: numbers that do not collide, themed SVG, skeletons."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import bench_files
import cv2
import msgspec
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from bench.cells.runtimes import RUNTIMES
from bench.statistics.validity import Validity
from pose.errors import UserError
from pose.skeleton import NUM_JOINTS
from reports import build
from reports.plots import cells, forest, marks, style, training
from reports.plots import plot as plot_
from reports.plots import samples as samples_
from reports.run.read import Run, read
from reports.words import comparisons

MakeRun = Callable[..., Path]
WITHOUT_TWINS = {"at_a_glance", "parity_errors", "comparisons", "pipeline_parts", "train_parts"}
"""Plots whose marks stand for something else than a twin."""
AP = {"AP": 0.4}


def numbers(run: Run) -> list[Annotation]:
    """Return the numbers beside the points of AP against latency, of a run of one panel."""
    plot = cells.ap_against_latency(run)
    assert plot is not None
    [axes] = plot.figure.axes
    return [child for child in axes.get_children() if isinstance(child, Annotation)]


def at_one_latency(run: Run, count: int) -> Run:
    """Return a run of `count` latency cells that all are as fast as each other."""
    first = next(c for c in run.cells if c.id == bench_files.FIRST)
    modes = [replace(first.axes, mode=f"{first.axes.mode}{place}") for place in range(count)]
    timed = tuple(msgspec.structs.replace(first, id=axes.id, axes=axes) for axes in modes)
    scored = tuple(
        msgspec.structs.replace(first, id=f"{axes.id}-ap", axes=replace(axes, scenario="accuracy"), stats=AP)
        for axes in modes
    )
    return replace(run, cells=timed + scored)


def test_every_point_has_a_number_and_every_number_a_name(full_run: Path):
    plot = cells.ap_against_latency(read(full_run))
    assert plot is not None
    legend = plot.figure.axes[0].get_legend()
    assert legend is not None
    keys = [text.get_text() for text in legend.get_texts()]
    said = [key.split("  ")[0] for key in keys]
    assert said == [number.get_text() for number in numbers(read(full_run))]
    assert said == [str(place + 1) for place in range(len(plot.tooltips))]
    assert "PyTorch on OpenVINO bf16" in {key.split("  ")[1] for key in keys}


def test_no_two_entries_of_a_legend_look_alike(full_run: Path):
    plot = cells.ap_against_latency(read(full_run))
    assert plot is not None
    legend = plot.figure.axes[0].get_legend()
    assert legend is not None
    lines = legend.get_lines()
    looks = {(str(line.get_marker()), str(line.get_markeredgecolor())) for line in lines}
    assert len(looks) == len(lines) > 5


def test_a_shape_is_a_runtime_mode_and_precision_and_none_is_given_twice(full_run: Path):
    shapes = marks.shapes(read(full_run))
    assert [shapes[name, one.as_shipped, "fp32"] for name, one in RUNTIMES.items()] == list("os^D")
    assert ("openvino", "ir", "bf16") in shapes
    assert len(set(shapes.values())) == len(shapes)


def flagged(run: Run) -> Run:
    """Return the run with its first latency cell flagged and all other cells valid."""
    validity = {True: Validity("FLAGGED", ["it drifted"]), False: Validity("VALID", [])}
    found = (msgspec.structs.replace(c, validity=validity[c.id == bench_files.FIRST]) for c in run.cells)
    return replace(run, cells=tuple(found))


def mark_lines(figure: Figure) -> list[Line2D]:
    return [
        line for axes in figure.axes for line in axes.lines if line.get_marker() not in {None, "None", ""}
    ]


def is_hollow(line: Line2D) -> bool:
    return to_hex(line.get_markerfacecolor()) == style.light("ground")  # type: ignore[arg-type]


@pytest.mark.parametrize("draw", [lambda run: cells.by_runtime(run, "latency"), cells.ap_against_latency])
def test_a_doubtful_cell_is_half_filled_and_the_legend_says_so(
    full_run: Path, draw: Callable[[Run], plot_.Plot | None]
):
    plot = draw(flagged(read(full_run)))
    assert plot is not None
    half = [line for line in mark_lines(plot.figure) if line.get_fillstyle() == "left"]
    assert [str(line.get_gid()).partition("-")[2] for line in half] == [bench_files.FIRST]
    assert marks.DOUBTED in [text.get_text() for text in plot.figure.legends[0].get_texts()]


def test_a_hollow_mark_is_an_inconclusive_comparison_in_every_figure(full_run: Path):
    run = read(full_run)
    hollow = {
        plot.name: [str(line.get_gid()) for line in mark_lines(plot.figure) if is_hollow(line)]
        for plot in build.all_plots(run)
    }
    assert {name for name, found in hollow.items() if found} == {"comparisons"}
    undecided = [one for one in comparisons.pairs(run) if one.verdict == "inconclusive"]
    assert len(hollow["comparisons"]) == len(undecided) == 1
    plot = forest.plot(run)
    assert plot is not None
    assert "hollow: inconclusive" in [text.get_text() for text in plot.figure.legends[0].get_texts()]


def test_no_line_passes_through_a_legend_of_training(full_run: Path):
    for plot in training.training_curves(read(full_run)):
        plot.figure.draw_without_rendering()
        [legend] = plot.figure.legends
        [axes] = plot.figure.axes
        assert not legend.get_window_extent().overlaps(axes.get_window_extent())


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_numbers_of_points_on_one_spot_cover_neither_each_other_nor_a_marker(full_run: Path, count: int):
    found = numbers(at_one_latency(read(full_run), count))
    figure = found[0].figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    boxes = [number.get_window_extent() for number in found]
    [axes] = figure.axes
    markers = [line.get_window_extent() for line in axes.get_lines()]
    assert len(boxes) == len(markers) == count
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert not any(box.overlaps(marker) for box in boxes for marker in markers)


def test_without_room_every_point_still_has_a_number(full_run: Path):
    assert len(numbers(at_one_latency(read(full_run), 6))) == 6


def test_an_inline_plot_follows_the_theme_of_the_page(full_run: Path):
    run = read(full_run)
    for plot in (plot for plot in build.all_plots(run) if plot.name != "samples"):
        svg = style.inline(plot_.draw(plot).svg, plot.name, plot.title, plot.description)
        assert svg.startswith("<svg viewBox=")
        assert "var(--tf)" in svg or plot.name in WITHOUT_TWINS
        assert "var(--torch)" in svg or plot.name in WITHOUT_TWINS
        assert not re.search(r"#[0-9a-f]{6}|https?:|DejaVu|<metadata", svg)
        assert all(name.startswith(f"{plot.name}-") for name in re.findall(r'\bid="([^"]+)"', svg))


def test_a_plot_file_has_no_date_and_stands_on_a_ground_of_its_own(full_run: Path):
    plot = cells.by_runtime(read(full_run), "latency")
    assert plot is not None
    svg = style.on_ground(plot_.draw(plot).svg)
    assert "dc:date" not in svg
    assert f"fill: {style.light('ground')}" in svg


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("role", ["ink", "muted", "tf", "torch", "pass", "fail", "noise"])
def test_colours_are_legible_on_both_grounds(role: str, theme: int):
    assert contrast(style.PALETTE[role][theme], style.PALETTE["ground"][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("fill", [*style.PARTS, "band"])
def test_a_figure_on_a_fill_is_legible(fill: str, theme: int):
    assert contrast(style.PALETTE["ink"][theme], style.PALETTE[fill][theme]) >= 4.5


def test_no_colour_of_the_palette_stands_for_two_roles():
    for theme in (0, 1):
        colours = [pair[theme] for pair in style.PALETTE.values()]
        assert len(set(colours)) == len(colours)


def test_the_axis_of_ap_is_no_magnifying_glass(full_run: Path):
    plot = cells.ap_against_latency(read(full_run))
    assert plot is not None
    low, high = plot.figure.axes[0].get_ylim()
    assert high - low >= cells.SMALLEST_AP_RANGE
    assert plot.figure.axes[0].get_xlim()[0] == 0


def keypoints(score: float) -> list[float]:
    return [float(v) for i in range(NUM_JOINTS) for v in (10 * i, 5 * i, score)]


def test_a_joint_below_the_threshold_is_not_drawn_nor_are_its_limbs():
    points = keypoints(0.9)
    points[3 * 9 + 2] = samples_.JOINT_THRESHOLD - 0.01
    found = samples_.person(points, predicted=True)
    assert len(found.joints) == NUM_JOINTS - 1
    assert len(found.limbs) == len(samples_.COCO.limbs) - 1
    points[3 * 9 + 2] = samples_.JOINT_THRESHOLD
    assert len(samples_.person(points, predicted=True).joints) == NUM_JOINTS


def test_an_empty_panel_says_why(full_run: Path):
    sample = replace(read(full_run).samples[0], predictions={})
    says = [panel.says for panel in samples_.panels(sample)]
    assert says == ["Ground truth", "TensorFlow: no joint scores 0.2", "PyTorch: no joint scores 0.2"]


def test_an_annotated_joint_is_drawn_when_labelled_and_unsure_when_hidden():
    points = keypoints(2)
    points[2], points[5] = 0, 1
    found = samples_.person(points, predicted=False)
    assert len(found.joints) == NUM_JOINTS - 1
    assert [sure for *_, sure in found.joints].count(False) == 1


def test_sides_have_their_own_colours():
    names = samples_.COCO.joints
    left, right = names.index("left_hip"), names.index("right_hip")
    assert samples_.colour(left, names.index("left_knee")) == style.LEFT
    assert samples_.colour(right, right) == style.RIGHT
    assert samples_.colour(left, right) == style.MIDDLE


def test_a_person_of_another_skeleton_is_refused():
    with pytest.raises(UserError, match="has 6 numbers; expected 51"):
        samples_.person([1.0] * 6, predicted=True)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("../secret.jpg", "outside the run"),
        ("samples/none.jpg", "cannot read"),
        ("run.json", "is no readable image"),
    ],
)
def test_a_sample_names_a_jpeg_of_the_run(make_run: MakeRun, image: str, message: str):
    path = make_run()
    samples = json.loads((path / "samples/samples.json").read_text())
    samples[0]["image"] = image
    (path / "samples/samples.json").write_text(json.dumps(samples))
    run = read(path)
    with pytest.raises(UserError, match=message):
        samples_.data_uri(run, run.samples[0])


@pytest.mark.parametrize("kind", [".png", ".webp", ".bmp"])
def test_a_run_whose_samples_are_no_jpegs_is_reported(make_run: MakeRun, kind: str):
    run = read(make_run())
    for sample in run.samples:
        path = samples_.image_path(run, sample)
        path.write_bytes(cv2.imencode(kind, cv2.imread(str(path)))[1].tobytes())
    assert samples_.data_uri(run, run.samples[0]).startswith("data:image/jpeg;base64,/9j/")
    assert build.build(run.path).is_file()
