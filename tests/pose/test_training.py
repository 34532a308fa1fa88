"""Schedules, early stopping and the loss, apart from any framework."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pose import published, training
from pose.errors import UserError
from pose.training_section import EarlyStopping, PlateauSchedule, StepSchedule, Training

losses = st.lists(st.one_of(st.floats(0, 2), st.sampled_from([0.5, 0.49995, 0.5001, 1.0])), max_size=40)


def options(**changes) -> Training:
    return Training(**({"epochs": 100, "batch_size": 1} | changes))


def run(of: Training, val_losses, aps=None) -> list[training.TrainingProgress]:
    """Return the progress after every epoch."""
    progress, made = training.start(of), []
    for epoch, loss in enumerate(val_losses, 1):
        line = {"epoch": epoch, "lr": progress.lr, "val_loss": loss, "ap": aps[epoch - 1] if aps else 0.0}
        progress = training.advance(progress, of, line)
        made.append(progress)
    return made


def test_a_step_schedule_lowers_the_rate_when_its_epochs_have_ended():
    of = options(schedule=StepSchedule(epochs=(2, 4), factor=0.1))
    rates = [of.learning_rate] + [progress.lr for progress in run(of, [1.0] * 5)]
    # rates[n] trains epoch n + 1: the reference trains epochs 91 to 120 at a tenth.
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def torchs_plateau(val_losses, lr, factor, patience, threshold, min_lr) -> list[float]:
    """ReduceLROnPlateau.step of torch (mode min, threshold_mode rel, cooldown 0, eps 0), written out."""
    best, num_bad_epochs, rates = math.inf, 0, []
    for current in val_losses:
        rel_epsilon = 1.0 - threshold
        if current < best * rel_epsilon:
            best = current
            num_bad_epochs = 0
        else:
            num_bad_epochs += 1
        if num_bad_epochs > patience:
            new_lr = max(lr * factor, min_lr)
            if lr - new_lr > 0:
                lr = new_lr
            num_bad_epochs = 0
        rates.append(lr)
    return rates


@given(
    losses,
    st.floats(0.01, 0.9),
    st.integers(0, 4),
    st.sampled_from([0.0, 1e-4, 0.1]),
    st.sampled_from([0.0, 1e-5]),
)
def test_the_plateau_schedule_is_torchs(val_losses, factor, patience, threshold, min_lr):
    schedule = PlateauSchedule(factor=factor, patience=patience, threshold=threshold, min_lr=min_lr)
    found = [progress.lr for progress in run(options(schedule=schedule), val_losses)]
    assert found == torchs_plateau(val_losses, 1e-3, factor, patience, threshold, min_lr)


def test_the_threshold_of_the_plateau_is_relative():
    """Keras's would be absolute: 1e-3 under a loss of 1e-2 is progress there, and none of 20%."""
    schedule = PlateauSchedule(patience=0, threshold=0.2, factor=0.5)
    of = options(schedule=schedule)
    assert run(of, [1e-2, 0.9e-2])[-1].lr == of.learning_rate / 2
    assert run(of, [1e-2, 0.7e-2])[-1].lr == of.learning_rate


def test_a_loss_that_is_no_number_is_no_progress():
    of = options(schedule=PlateauSchedule(patience=1, factor=0.5))
    after = run(of, [math.nan, 1.0, 2.0])[-1]
    assert (after.best_loss, after.bad_epochs, after.lr) == (1.0, 1, of.learning_rate)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3]), min_size=1, max_size=20))
def test_the_best_epoch_is_the_first_of_the_highest_ap(aps):
    after = run(options(), [1.0] * len(aps), aps)[-1]
    assert after.best_ap == max(aps)
    assert after.best_epoch == aps.index(max(aps)) + 1
    assert [line["ap"] for line in after.lines] == aps


def test_a_training_ends_with_its_epochs():
    of = options(epochs=3)
    assert not training.finished(training.start(of), of)
    assert [training.finished(progress, of) for progress in run(of, [1.0] * 3)] == [False, False, True]


def test_early_stopping_ends_after_more_than_patience_epochs_without_a_higher_ap():
    of = options(early_stopping=EarlyStopping(patience=2))
    aps = [0.1, 0.2, 0.2, 0.1, 0.2]
    ended = [training.finished(progress, of) for progress in run(of, [1.0] * 5, aps)]
    assert ended == [False, False, False, False, True]


def test_progress_is_not_changed_in_place():
    of = options(schedule=PlateauSchedule(patience=0))
    first, second = run(of, [1.0, 2.0])
    assert (first.epoch, len(first.lines), first.lr) == (1, 1, of.learning_rate)
    assert (second.epoch, len(second.lines)) == (2, 2)
    assert training.TrainingProgress(**second.to_dict()) == second


values = st.floats(-2, 2, width=32)


@given(
    arrays.arrays(np.float32, (2, 3, 2, 2), elements=values),
    arrays.arrays(np.float32, (2, 3, 2, 2), elements=values),
    arrays.arrays(np.float32, (2, 3), elements=st.sampled_from([0.0, 1.0])),
)
def test_the_loss_is_the_published_one(predicted, target, weights):
    expected = published.joints_mse_loss(predicted, target, weights)
    assert training.loss(predicted, target, weights) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_invisible_joints_stay_in_the_denominator():
    predicted, target = np.ones((1, 4, 2, 2), np.float32), np.zeros((1, 4, 2, 2), np.float32)
    assert training.loss(predicted, target, np.array([[1, 0, 0, 0]], np.float32)) == 0.125


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_names_epoch_and_annotations(value):
    assert training.require_finite(0.5, 3, [7]) == 0.5
    with pytest.raises(UserError, match="in epoch 3 on the batch of annotations 7, 21;"):
        training.require_finite(value, 3, np.array([7, 21]))
