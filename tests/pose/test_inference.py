"""From a runtime's heatmaps to COCO results, with runtimes that know the answer."""

from __future__ import annotations

import numpy as np
import pytest

from pose import evaluate, inference, published, sample, splits, training
from pose.errors import UserError
from pose.skeleton import COCO


@pytest.fixture
def manifest(rendered, small):
    return splits.make(small.split.model_copy(update={"method": "official"}), rendered)


@pytest.fixture
def inputs(rendered, small, manifest) -> inference.Inputs:
    return inference.Inputs(small, rendered, manifest, "train")


def oracle(inputs: inference.Inputs):
    """Return a runtime that answers with the targets of the images it is shown, mirrored ones too."""
    known = {inputs.batch(i, i + 1).tobytes(): inputs.targets(i, i + 1)[0][0] for i in range(len(inputs))}

    def infer(images: np.ndarray) -> np.ndarray:
        maps = []
        for image in images:
            straight = known.get(image[None].tobytes())
            if straight is None:
                mirrored = known[np.ascontiguousarray(image[:, ::-1])[None].tobytes()]
                # A network shows a mirrored image one pixel further left; SHIFT_HEATMAP undoes it.
                turned = mirrored[COCO.flip_order][..., ::-1]
                straight = np.concatenate([turned[..., 1:], turned[..., -1:]], axis=-1)
            maps.append(straight)
        return np.stack(maps)

    return infer


def test_a_perfect_runtime_scores_nearly_one(inputs, rendered, manifest):
    truth = splits.ground_truth(manifest, rendered, "train")
    rows = inference.predict(oracle(inputs), inputs)
    assert len(rows) == len(inputs)
    assert evaluate.score(rows, truth)["AP50"] > 0.9


def test_validation_reports_the_loss_of_the_straight_maps(inputs):
    loss, rows = inference.validate(oracle(inputs), inputs, 1)
    assert loss == 0
    assert rows == inference.predict(oracle(inputs), inputs)
    blind = inference.validate(lambda images: np.zeros((len(images), 17, 32, 24), np.float32), inputs, 1)
    maps, weights = inputs.targets(0, len(inputs))
    assert blind[0] == pytest.approx(training.loss(np.zeros_like(maps), maps, weights))
    assert blind[0] > 0


@pytest.mark.parametrize("size", [1, 4, 5, 1000])
def test_batches_are_all_inputs_once_and_in_order(inputs, small, size):
    spans, images = [], []
    for start, stop, batch in inputs.batches(size):
        spans.append((start, stop))
        images.append(batch)
    assert [start for start, _ in spans] == list(range(0, len(inputs), size))
    assert spans[-1][1] == len(inputs)
    expected = [sample.crop(inputs.dataset, i, small.model.input_size) for i in range(len(inputs))]
    assert np.array_equal(np.concatenate(images), np.stack(expected))


def test_a_batch_size_does_not_change_the_results(inputs, rendered, small, manifest):
    tiny = small.model_copy(update={"evaluation": small.evaluation.model_copy(update={"batch_size": 3})})
    other = inference.Inputs(tiny, rendered, manifest, "train")
    assert inference.predict(oracle(inputs), other) == inference.predict(oracle(inputs), inputs)


def test_targets_are_those_of_the_unaugmented_samples(inputs, small):
    maps, weights = inputs.targets(0, len(inputs))
    for index in range(len(inputs)):
        made = sample.make(inputs.dataset, index, small, epoch=None)
        assert np.array_equal(maps[index], made.heatmaps)
        assert np.array_equal(weights[index], made.weights)


@pytest.mark.parametrize("shift", [True, False])
def test_the_flip_test_averages_with_the_mirror_as_published(small, shift):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 128, 96, 3), np.uint8)
    answers = {images.tobytes(): rng.normal(size=(2, 17, 8, 6)).astype(np.float32)}
    answers[images[:, :, ::-1].tobytes()] = rng.normal(size=(2, 17, 8, 6)).astype(np.float32)
    first, second = answers.values()
    options = small.evaluation.model_copy(update={"shift_flipped": shift})
    straight, averaged = inference.straight_and_averaged(lambda x: answers[x.tobytes()], images, options)
    assert np.array_equal(straight, first)
    assert np.array_equal(averaged, published.flip_test(first, second, shift))


def test_without_the_flip_test_the_runtime_is_asked_once(small):
    asked = []

    def infer(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        return np.ones((len(images), 17, 8, 6), np.float32)

    options = small.evaluation.model_copy(update={"flip_test": False})
    straight, averaged = inference.straight_and_averaged(infer, np.zeros((3, 128, 96, 3), np.uint8), options)
    assert asked == [3]
    assert averaged is straight


def test_maps_and_progress_are_shown_as_they_come(inputs):
    maps, steps = [], []
    inference.predict(
        oracle(inputs), inputs, on_maps=lambda m: maps.append(len(m)), on_batch=lambda *s: steps.append(s)
    )
    assert sum(maps) == len(inputs)
    assert steps[-1] == (len(inputs), len(inputs))


def test_a_network_that_gives_nan_ends_validation_with_the_annotations(inputs: inference.Inputs) -> None:
    def broken(images: np.ndarray) -> np.ndarray:
        return np.full((len(images), 17, 32, 24), np.nan, np.float32)

    first = inputs.dataset.ann_ids[0]
    with pytest.raises(UserError, match=rf"in epoch 3 on the batch of annotations {first}"):
        inference.validate(broken, inputs, 3)


def test_inputs_take_their_pixels_from_the_pipeline_that_is_given(rendered, small, manifest):
    asked = []

    def black(dataset, resolved, indices):
        asked.extend(indices)
        return np.zeros((len(indices), *resolved.model.input_size[::-1], 3), np.uint8)

    inputs = inference.Inputs(small, rendered, manifest, "train", crops=black)
    assert not inputs.batch(1, 10**6).any()
    assert asked == list(range(1, len(inputs)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_heatmaps_that_are_not_finite_are_refused_naming_the_person(inputs, bad):
    def infer(images: np.ndarray) -> np.ndarray:
        maps = np.zeros((len(images), 17, 32, 24), np.float32)
        maps[-1, 3, 5, 7] = bad
        return maps

    last = min(inputs.recipe.evaluation.batch_size, len(inputs)) - 1
    with pytest.raises(
        UserError, match=rf"1 of \d+ people are not finite \(first: {inputs.dataset.ann_ids[last]}"
    ):
        inference.predict(infer, inputs)
