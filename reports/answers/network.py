"""Are the twins the same network, and by what proof?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench.parity.certificate import Check, Parity
from reports.answers.answer import Answer, Evidence, capital
from reports.formats import short, tiny
from reports.run.missing import command
from reports.run.read import Run
from reports.words import ladder

PROOFS: tuple[tuple[str, int, Callable[[Check], bool]], ...] = (
    ("float64 outputs", 3, lambda check: check.name.startswith("fp64 heatmaps")),
    ("gradients", 4, lambda check: check.name == "fp64 gradients"),
    ("{} optimizer steps", 5, lambda check: check.name.startswith("fp64 step ")),
)
"""What is said to agree, {} being how many checks show it; the rung that shows it, and which checks do."""


def same_network(run: Run) -> Answer:
    """Return whether the ladder proves that both twins compute the same, and to how many digits."""
    parity, again = run.parity, command(run, "parity")
    label = f"certificate {short(parity.id)[:6]}" if parity else "what is missing"
    evidence = Evidence(label, ("parity_errors", "parity"))
    answer = partial(Answer, key="same_network", question="Same network?", evidence=evidence)
    if parity is None:
        said = "The parity ladder was not climbed: a difference may come from anything"
        return answer(word="Not proven", said=said, decides="climb it,", command=again, state="open")
    if parity.status == "fail":
        return answer(word="No", said=capital(ladder.first_failure(parity)), state="no")
    agreed = _agreement(parity)
    done = parity.of("pass")
    if {rung.number for rung in done} >= ladder.MATHEMATICS:
        return answer(word="Yes, proven", said=agreed)
    passed = f"{ladder.numbered(done)} passed" if done else "no rung passed"
    said = capital("; ".join(filter(None, (f"{passed}, the others were not climbed", agreed))))
    return answer(word="Not proven", said=said, decides="climb the others,", command=again, state="open")


def _agreement(parity: Parity) -> str:
    """Return to what error each part agrees: the largest of the passed checks that show it."""
    said: list[str] = []
    for what, number, shows in PROOFS:
        checks = [check for rung in parity.of("pass") if rung.number == number for check in rung.checks]
        errors = [c.measured for c in checks if shows(c) and c.passed and c.measured is not None]
        if errors:
            agree = "" if said else " agree"
            said.append(f"{what.format(len(errors))}{agree} to {tiny(max(errors))}")
    return ", ".join(said)
