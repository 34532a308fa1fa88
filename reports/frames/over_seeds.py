"""What an epoch came to over several seeds: a mean and a range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from reports.run.read import Run, TrainingHistory


@dataclass(frozen=True)
class Spread:
    """A figure over the seeds that have it."""

    seeds: int
    mean: float
    low: float
    high: float
    """The ends of the range: of the lowest and the highest seed."""


def spread(values: Iterable[float]) -> Spread:
    """Return the mean and the range of a figure of each seed (n,), n >= 1."""
    known = list(values)
    return Spread(len(known), fmean(known), min(known), max(known))


def by_epoch(trainings: Iterable[TrainingHistory], what: str) -> dict[int, Spread]:
    """Return by epoch the spread of a field of `Epoch` over trainings that differ in the seed.

    An epoch that a training has not reached, or for which it holds no finite value, is spread over the
    others; one that none has is absent.
    """
    found: defaultdict[int, list[float]] = defaultdict(list)
    for training in trainings:
        for line in training.epochs:
            value = getattr(line, what)
            if value is not None:
                found[line.epoch].append(value)
    return {epoch: spread(values) for epoch, values in sorted(found.items())}


def of_twin(run: Run, twin: str, what: str) -> dict[int, Spread]:
    """Return `by_epoch` of a twin's trainings from all seeds of a run; {} for a run of one seed."""
    if not run.further:
        return {}
    return by_epoch((one[twin] for one in run.by_seed.values() if twin in one), what)
