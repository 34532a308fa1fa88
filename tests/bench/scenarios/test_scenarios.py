"""Which scenarios exist, and what a pipeline does between two looks at the clock."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scenario_jobs import PROTOCOL, job, measured, payload

from bench.cells.cell import Cell
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS, why_not
from bench.scenarios.pipeline import STAGES, Pipeline
from pose import inference
from pose.errors import UserError

pytestmark = pytest.mark.usefixtures("opencv_threads")


# Which scenarios exist


@pytest.mark.parametrize("twin", ["tf", "torch"])
@pytest.mark.parametrize(("runtime", "modes"), [(one.name, one.modes) for one in RUNTIMES.values()])
def test_training_and_loading_exist_in_a_twins_own_mode_alone(
    twin: str, runtime: str, modes: tuple[str, ...]
):
    for mode, scenario in itertools.product(modes, SCENARIOS):
        reason = why_not(Cell(twin, runtime, mode, "fp32", "cpu", 1, 1, "glibc", scenario))
        own = (twin, runtime, mode) in {("tf", "tf", "graph"), ("torch", "torch", "eager")}
        assert (reason is None) == (own or scenario not in {"train", "data"}), (mode, scenario, reason)


@pytest.mark.parametrize(
    ("scenario", "precision", "device", "said"),
    [
        ("train", "bf16", "cuda", None),
        ("train", "fp16", "cpu", "not in fp16"),
        ("train", "defaults", "cpu", "not in defaults"),
        ("train", "fp32", "intel-gpu", "not on intel-gpu"),
        ("data", "bf16", "cpu", "not bf16"),
        ("data", "fp32", "cuda", "not cuda"),
    ],
)
def test_a_precision_or_device_without_the_scenario_is_refused_with_the_reason(
    scenario: str, precision: str, device: str, said: str | None
):
    reason = why_not(Cell("torch", "torch", "eager", precision, device, 1, 1, "glibc", scenario))
    assert reason is None if said is None else reason is not None and reason.endswith(said)


# From JPEG bytes to keypoints


@pytest.mark.parametrize(("batch", "flip"), [(1, False), (2, False), (3, True)])
def test_the_pipeline_finds_what_predict_finds(run_folder: Path, batch: int, flip: bool):
    request = payload(run_folder, "pipeline", batch=batch, flip_test=flip, protocol={**PROTOCOL, "images": 6})
    subject = Pipeline(job(request))
    inputs = job(request).inputs
    inputs.recipe = inputs.recipe.model_copy(update={"evaluation": subject.options})
    rows = inference.predict(subject.runner.infer, inputs)
    found = []
    for number in range(6 // batch):
        subject.once(number)
        found += subject.keypoints_image.reshape(batch, -1).tolist()
    predicted = [np.reshape(row["keypoints"], (-1, 3))[:, :2].reshape(-1).tolist() for row in rows]
    assert len(predicted) == 6
    assert sorted(found) == sorted(predicted)
    assert len({tuple(keypoints) for keypoints in found}) == 6


def test_people_come_again_when_queries_outnumber_them(run_folder: Path):
    subject = Pipeline(job(payload(run_folder, "pipeline", batch=3)))
    subject.once(0)
    first = subject.keypoints_image
    subject.once(1)
    assert not np.array_equal(subject.keypoints_image, first)
    subject.once(2)
    assert np.array_equal(subject.keypoints_image, first)


def test_a_query_reads_no_file(run_folder: Path):
    subject = Pipeline(job(payload(run_folder, "pipeline")))
    for path in subject.paths:
        path.unlink(missing_ok=True)
    subject.once(0)
    assert subject.keypoints_image.shape == (1, 17, 2)


def test_the_stages_of_a_query_add_up_to_its_latency(run_folder: Path):
    found, samples = measured(payload(run_folder, "pipeline", "Sleeper"))
    assert set(samples) == {"latency_ns", *(f"{stage}_ns" for stage in STAGES)}
    assert {values.shape for values in samples.values()} == {(found["count"],)}
    spans_ns = np.stack([samples[f"{stage}_ns"] for stage in STAGES])
    beside_ns = samples["latency_ns"] - spans_ns.sum(axis=0)
    assert (spans_ns > 0).all()
    assert (beside_ns >= 0).all()
    # The loop's own cost: two looks at the clock and a tuple.
    assert np.median(beside_ns / samples["latency_ns"]) < 0.05
    assert samples["network_ns"].min() >= 2_000_000
    medians = {stage: np.percentile(samples[f"{stage}_ns"], 50, method="inverted_cdf") for stage in STAGES}
    assert found["stats"]["spans_ms"] == {stage: value / 1e6 for stage, value in medians.items()}
    assert found["value"] == found["stats"]["latency_ms"]["p50"]


def test_the_pipeline_says_how_its_stages_run(run_folder: Path):
    found, _ = measured(payload(run_folder, "pipeline", threads=1))
    said = found["effective"]
    assert said["threads_set"] == said["opencv_threads"] == said["batch"] == 1
    assert (said["flip_test"], said["normalise"]) == (False, "in the network")


def test_an_accuracy_of_heatmaps_that_are_not_finite_is_no_zero(run_folder: Path) -> None:
    with pytest.raises(UserError, match="people are not finite"):
        measured(payload(run_folder, "accuracy", "Lost"))
