"""From a run's cells to its comparisons: which are compared, and who is faster.

Cells of one lane are compared by the figures of rounds that shared a pass. Pure functions; the rules
are those of docs/method/statistics.md.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.cells.cell import Lane
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS, TIMED
from bench.run import results
from bench.run.results import CellResult, Round
from bench.statistics import paired
from bench.statistics.paired import Ratio
from pose.files import write_json

FILE = "comparisons.json"

NOISE_FLOOR = "noise floor"
"""The set of a cell and its A/A twin."""

MODES = "modes"
"""The set of a runtime's further modes, each against the one of its users by default, from the same twin."""

COMPARISON_SETS = {
    "as_shipped": tuple((one.name, one.as_shipped) for one in RUNTIMES.values()),
    "compiled": tuple(
        (one.name, mode) for one in RUNTIMES.values() for mode in (one.at_best, one.ahead) if mode
    ),
}
"""By set: (runtime, mode) of its members, of which every two of a lane are compared."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Cell `a` against cell `b` of the same lane."""

    lane: str
    set: str
    a: str
    b: str
    scenario: str
    n: int
    """Pairs: rounds of both cells that shared a pass."""
    ratio: float | None = None
    """Geometric mean of a's figures over b's; None and all below None for what is not ranked."""
    interval: tuple[float, float] | None = None
    method: str | None = None
    """What made the interval: `t` or `bootstrap`."""
    speedup: float | None = None
    """How many times a is faster than b."""
    speedup_interval: tuple[float, float] | None = None
    p: float | None = None
    """Of a ratio of 1."""
    p_holm: float | None = None
    """The same for the whole matrix at once; None for the noise floor, which asks another question."""
    p_equivalence: float | None = None
    """Of a ratio outside 1 / 1.02 .. 1.02."""
    verdict: str | None = None
    """`faster`, `slower` (a than b), `equivalent`, `inconclusive`; None is explained by `reason`."""
    reason: str | None = None
    """Why there is no verdict, or what makes this one doubtful."""


OPPOSITE = {"faster": "slower", "slower": "faster"}
"""A verdict on two cells, and the same with the two in each other's place; others stay as they are."""


@dataclass(frozen=True)
class Pair:
    """Two cells of a lane and the figures (n,) of their rounds in the passes that count."""

    set: str
    a: CellResult
    b: CellResult
    a_values: tuple[float, ...]
    b_values: tuple[float, ...]
    shared: int
    """Passes that both had a round of: those that count are the undisturbed ones where they are enough."""
    disturbed: int
    """Passes that count in which others disturbed one of the two."""

    @property
    def first_look(self) -> int | None:
        """The rounds at which a stopping rule first looked at either; None for a fixed number."""
        return min(filter(None, (self.a.first_look, self.b.first_look)), default=None)

    @property
    def unfit(self) -> str | None:
        """Why one of the two is not to be ranked, however many rounds there are; None where both are."""
        for cell in (self.a, self.b):
            if cell.status != "ok":
                return f"{cell.id} is {cell.status}" + (f": {cell.reason}" if cell.reason else "")
            if cell.validity.verdict == "INVALID":
                return f"{cell.id} is INVALID: {'; '.join(cell.validity.reasons)}"
        return None

    def is_out(self, most: int) -> bool:
        """Return whether the two stay unranked even if all further rounds, up to so many, are good."""
        for cell in (self.a, self.b):
            bad = sum(one.validity.verdict == "INVALID" for one in cell.rounds)
            if cell.status != "ok" or (cell.validity.verdict == "INVALID" and 2 * bad >= most):
                return True
        return False

    @property
    def unranked(self) -> str | None:
        """Why the two are not ranked now; None where they are."""
        if self.unfit or len(self.a_values) >= 2:
            return self.unfit
        rounds = (len(self.a.rounds), len(self.b.rounds))
        why = "measured in different passes" if min(rounds) >= 2 else "too few rounds"
        return f"{why}; {rounds[0]} and {rounds[1]} rounds share {self.shared}, expected at least 2"

    @property
    def doubts(self) -> str | None:
        """What is flagged about the two cells, or disturbed about their passes."""
        flagged = [cell for cell in (self.a, self.b) if cell.validity.verdict == "FLAGGED"]
        said = [f"{cell.id}: {', '.join(cell.validity.reasons)}" for cell in flagged]
        if self.disturbed and not flagged:
            said.append(f"others disturbed {self.disturbed} of the {len(self.a_values)} passes of the two")
        return "; ".join(said) or None


def compare_lanes(cells: Iterable[CellResult]) -> list[Comparison]:
    """Return the comparisons of a run's cells: those of the sets, lane by lane, then the noise floor."""
    found = pairs(cells)
    ratios = [
        None if pair.unranked else paired.interval_ratio(pair.a_values, pair.b_values, pair.first_look)
        for pair in found
    ]
    family = [
        None if ratio is None or pair.set == NOISE_FLOOR else ratio.p
        for pair, ratio in zip(found, ratios, strict=True)
    ]
    holm = paired.holm(family)
    return [
        _bare(pair) if ratio is None else _judged(pair, ratio, p_holm)
        for pair, ratio, p_holm in zip(found, ratios, holm, strict=True)
    ]


def pairs(cells: Iterable[CellResult]) -> list[Pair]:
    """Return who is compared with whom, each two once: the sets' pairs of each lane, then the A/A pairs.

    A pair that two sets share stands under the first. `b` is the more common baseline (its runtime's
    row says), or the first of an A/A pair. Accuracy is no time and is left out.
    """
    lanes: dict[Lane, list[CellResult]] = defaultdict(list)
    for cell in cells:
        if cell.axes.scenario in TIMED:
            lanes[cell.axes.lane].append(cell)
    by_set = [pair for members in lanes.values() for pair in _set_pairs(members)]
    return by_set + [pair for members in lanes.values() for pair in _noise_pairs(members)]


def stopping_pairs(cells: Iterable[CellResult], most: int) -> list[Pair]:
    """Return the pairs that a stopping rule judges: every one that so many rounds could still decide."""
    return [pair for pair in pairs(cells) if not pair.is_out(most)]


def family(cells: Iterable[CellResult]) -> int:
    """Return how many pairs of cells are to be compared, measured or not; A/A pairs ask another question."""
    return sum(pair.set != NOISE_FLOOR for pair in pairs(cells))


def withheld(comparisons: Iterable[Comparison], reason: str) -> list[Comparison]:
    """Return comparisons without their verdicts, for the given reason; the noise floor keeps what it has."""
    return [
        one if one.set == NOISE_FLOOR else msgspec.structs.replace(one, verdict=None, reason=reason)
        for one in comparisons
    ]


def counts(comparisons: Iterable[Comparison]) -> dict[str, int]:
    """Return how many comparisons have each verdict, the noise floor left out; `null` counts the unranked."""
    found = dict.fromkeys(("faster", "slower", "equivalent", "inconclusive", "null"), 0)
    for one in comparisons:
        if one.set != NOISE_FLOOR:
            found[one.verdict or "null"] += 1
    return found


def _set_pairs(members: Sequence[CellResult]) -> Iterator[Pair]:
    seen: set[tuple[str, str]] = set()
    arms = [cell for cell in sorted(members, key=_rank) if not cell.axes.replica]
    for name, takes_part in COMPARISON_SETS.items():
        chosen = [cell for cell in arms if (cell.axes.runtime, cell.axes.mode) in takes_part]
        for b, a in itertools.combinations(chosen, 2):
            if (a.id, b.id) not in seen:
                seen.add((a.id, b.id))
                yield _pair(name, a, b)
    usual = {
        (cell.axes.twin, cell.axes.runtime): cell
        for cell in arms
        if cell.axes.mode == RUNTIMES[cell.axes.runtime].as_shipped
    }
    for a in arms:
        own = usual.get((a.axes.twin, a.axes.runtime))
        if own is not None and own is not a:
            yield _pair(MODES, a, own)


def _noise_pairs(members: Sequence[CellResult]) -> Iterator[Pair]:
    alike: dict[tuple[str, str, str], list[CellResult]] = defaultdict(list)
    for cell in sorted(members, key=_rank):
        alike[(cell.axes.twin, cell.axes.runtime, cell.axes.mode)].append(cell)
    for first, *again in alike.values():
        yield from (_pair(NOISE_FLOOR, cell, first) for cell in again)


def _pair(name: str, a: CellResult, b: CellResult) -> Pair:
    of_a, of_b = _by_pass(a), _by_pass(b)
    shared = [key for key in of_a if key in of_b]

    def is_disturbed(key: str) -> bool:
        return bool(of_a[key].disturbances or of_b[key].disturbances)

    kept = results.undisturbed_or_all(shared, is_disturbed)
    a_values, b_values = (tuple(of[key].value or 0.0 for key in kept) for of in (of_a, of_b))
    return Pair(name, a, b, a_values, b_values, len(shared), sum(map(is_disturbed, kept)))


def _by_pass(cell: CellResult) -> dict[str, Round]:
    """Return the rounds that have a figure, by pass."""
    return {one.pass_: one for one in cell.rounds if one.pass_ and one.value is not None}


def _bare(pair: Pair) -> Comparison:
    return Comparison(
        lane=pair.a.axes.lane.id,
        set=pair.set,
        a=pair.a.id,
        b=pair.b.id,
        scenario=pair.a.axes.scenario,
        n=len(pair.a_values),
        reason=pair.unranked or pair.doubts,
    )


def _judged(pair: Pair, ratio: Ratio, p_holm: float | None) -> Comparison:
    same = paired.equivalence(pair.a_values, pair.b_values, first_look=pair.first_look)
    speedup, *ends = _speedup(ratio, pair.a.axes.scenario)
    return msgspec.structs.replace(
        _bare(pair),
        ratio=ratio.ratio,
        interval=(ratio.low, ratio.high),
        method=ratio.method,
        speedup=speedup,
        speedup_interval=(ends[0], ends[1]),
        p=ratio.p,
        p_holm=p_holm,
        p_equivalence=same,
        verdict=_verdict(speedup, ratio.p if p_holm is None else p_holm, same),
    )


def _speedup(ratio: Ratio, scenario: str) -> tuple[float, float, float]:
    if SCENARIOS[scenario].less_is_faster:
        return 1 / ratio.ratio, *paired.inverse((ratio.low, ratio.high))
    return ratio.ratio, ratio.low, ratio.high


def _verdict(speedup: float, p: float, p_equivalence: float) -> str:
    if p_equivalence <= paired.ALPHA:
        return "equivalent"
    if p > paired.ALPHA:
        return "inconclusive"
    return "faster" if speedup > 1 else "slower"


def _rank(cell: CellResult) -> tuple[int, int, str, int]:
    axes = cell.axes
    return RUNTIMES[axes.runtime].baseline, RUNTIMES[axes.twin].baseline, axes.mode, axes.replica


class ComparisonsFile(msgspec.Struct, frozen=True):
    """comparisons.json."""

    schema: int = results.SCHEMA
    comparisons: tuple[Comparison, ...] = ()
    counts: dict[str, int] = {}
    """Of each verdict, as `counts` returns them."""


def write(run: Path, found: Sequence[Comparison]) -> None:
    """Write comparisons.json: every comparison of the run's cells, as they are stored now."""
    record = ComparisonsFile(comparisons=tuple(found), counts=counts(found))
    write_json(Path(run) / "bench" / FILE, msgspec.to_builtins(record))


def read(run: Path) -> tuple[Comparison, ...] | None:
    """Return the comparisons that the last bench of a run drew; None where none did.

    Raises UserError where the file is malformed, or newer than this version.
    """
    path = Path(run) / "bench" / FILE
    if not path.is_file():
        return None
    expected = "the comparisons that 'twinpose bench' wrote"
    return results.read_record(path, ComparisonsFile, expected).comparisons
