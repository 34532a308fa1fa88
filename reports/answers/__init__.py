"""The eight questions that people bring to a run, answered from its records: pure functions, no drawing."""

from __future__ import annotations

from reports.answers.accuracy import equally_accurate
from reports.answers.answer import Answer
from reports.answers.choice import ship_here
from reports.answers.cost import at_what_cost
from reports.answers.network import same_network
from reports.answers.sight import how_sure
from reports.answers.speed import fastest_at_batch_1, fastest_in_throughput
from reports.answers.training import trains_faster
from reports.run.read import Run

__all__ = ["QUESTIONS", "Answer", "answers"]

QUESTIONS = (
    same_network,
    equally_accurate,
    trains_faster,
    fastest_at_batch_1,
    fastest_in_throughput,
    at_what_cost,
    ship_here,
    how_sure,
)
"""In the order of the first screen."""


def answers(run: Run) -> tuple[Answer, ...]:
    """Return an answer to every question; one that the run cannot answer says what would."""
    return tuple(question(run) for question in QUESTIONS)
