"""What casts doubt on a round's samples and on a cell's rounds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.statistics.samples import counted, drift, spread

FLAG_SPREAD = 0.10


INVALID_SPREAD = 0.25


FLAG_DRIFT = 0.02


NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?")


def validity(samples: np.ndarray) -> dict[str, Any]:
    """Return {"verdict": VALID, FLAGGED or INVALID, "reasons"} of durations (n,) in order of time.

    IQR / median above 10 % flags and above 25 % invalidates; a drift between halves above 2 % flags.
    """
    verdict, reasons = "VALID", []
    if abs(moved := drift(samples)) > FLAG_DRIFT:
        verdict = "FLAGGED"
        reasons.append(f"the second half is {moved:+.1%} from the first")
    if (wide := spread(samples)) > FLAG_SPREAD:
        verdict = "INVALID" if wide > INVALID_SPREAD else "FLAGGED"
        reasons.append(f"IQR is {wide:.1%} of the median")
    return {"verdict": verdict, "reasons": reasons}


def cell_validity(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return {"verdict", "reasons"} of a cell, of its rounds' {"verdict", "reasons"} as from `validity`.

    INVALID when at least half of the rounds are, FLAGGED when any is not VALID. Reasons that differ
    in their numbers alone become a line with the largest: "3 of 7 rounds: IQR is up to 14.0% of the median".
    """
    if not rounds:
        return {"verdict": "INVALID", "reasons": ["no round was measured"]}
    verdicts = [one["verdict"] for one in rounds]
    verdict = "VALID" if set(verdicts) == {"VALID"} else "FLAGGED"
    if 2 * verdicts.count("INVALID") >= len(rounds):
        verdict = "INVALID"
    alike: dict[str, dict[int, str]] = defaultdict(dict)  # the wording -> a reason for each round
    for place, one in enumerate(rounds):
        for reason in one["reasons"]:
            group = alike[NUMBER.sub("#", reason)]
            group[place] = max(group.get(place, reason), reason, key=_first_number)
    of = counted(len(rounds), "round", "rounds")
    often_first = sorted(alike.values(), key=len, reverse=True)
    return {
        "verdict": verdict,
        "reasons": [f"{len(group)} of {of}: {_largest([*group.values()])}" for group in often_first],
    }


def _largest(reasons: Sequence[str]) -> str:
    """Return the one of some reasons, alike but for their numbers, whose first number is largest."""
    if len(set(reasons)) == 1:
        return reasons[0]
    return NUMBER.sub(r"up to \g<0>", max(reasons, key=_first_number), count=1)


def _first_number(reason: str) -> float:
    found = NUMBER.search(reason)
    return 0.0 if found is None else abs(float(found.group()))
