"""Which pairs a bench has left open, and what it would cost to decide them."""

from __future__ import annotations

import math
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.cells.protocol import MOST_ROUNDS
from bench.run.bench_file import SessionRecord
from bench.run.results import CellResult
from bench.statistics import paired
from bench.statistics.samples import counted
from bench.statistics.stopping import rounds_needed
from bench.verdicts import comparisons
from bench.verdicts.comparisons import NOISE_FLOOR, Comparison, Pair

UNCERTIFIED = "--uncertified"


@dataclass(frozen=True)
class OpenPair:
    """Two cells of a lane that are ranked, and neither told apart nor equivalent."""

    lane: str
    a: str
    b: str
    rounds: int
    """That both share."""
    counting: int
    """Of these, those that their ratio is of."""
    needed: float
    """Such rounds after which they are decided in four benches of five; infinity for never."""
    family: float
    """Among how many pairs they are to be decided, as Holm counts them now."""
    within: float
    """How far their ratio may be from 1, by its 95 % interval: 0.03 is 3 %."""
    asks: tuple[str, ...] = ()
    """What `twinpose bench RUN` is given to measure both, as the bench was that did so last."""

    @property
    def in_reason(self) -> bool:
        """Return whether it would be decided after as many rounds as the longest profile has."""
        return self.needed <= MOST_ROUNDS

    @property
    def passes(self) -> int:
        """Return how many further passes would decide it; of one that is in reason."""
        return max(1, math.ceil(self.needed) - self.counting)


@dataclass(frozen=True)
class InvalidPair:
    """Two cells of a lane that are not ranked, because too many rounds of one are INVALID."""

    lane: str
    a: str
    b: str
    asks: tuple[str, ...] = ()
    """What `twinpose bench RUN` is given to measure their whole lane anew."""


@dataclass(frozen=True)
class Outlook:
    """What a bench has left open."""

    pairs: tuple[OpenPair, ...] = ()
    pass_s: dict[str, float] | None = None
    """Seconds of a pass over the decidable pairs of a lane, by its ID, as their rounds have taken so far."""
    invalid: tuple[InvalidPair, ...] = ()
    """Those that no further rounds mend."""

    @property
    def decidable(self) -> list[OpenPair]:
        """Return the pairs that more passes would decide in reason."""
        return [one for one in self.pairs if one.in_reason]

    @property
    def passes(self) -> dict[str, int]:
        """Return by lane how many further passes its decidable pairs need."""
        found: dict[str, int] = {}
        for one in self.decidable:
            found[one.lane] = max(one.passes, found.get(one.lane, 0))
        return found

    @property
    def seconds(self) -> float:
        """Return how long those passes would take."""
        return sum(count * (self.pass_s or {}).get(lane, 0.0) for lane, count in self.passes.items())

    @property
    def commands(self) -> dict[str, Outlook]:
        """Return by what `twinpose bench RUN` is given the pairs which that decides."""
        found: dict[str, list[OpenPair]] = defaultdict(list)
        for one in self.decidable:
            found[shlex.join((*one.asks, "--more"))].append(one)
        return {asks: replace(self, pairs=tuple(pairs)) for asks, pairs in found.items()}

    def text(self, bench: str) -> list[str]:
        """Return what is open, what it would cost and what to type, a line for each command; [] for nothing.

        bench: the command without options, twinpose bench RUN.
        """
        lines = []
        for asks, left in self.commands.items():
            passes = counted(sum(left.passes.values()), "more pass", "more passes")
            open_ = counted(len(left.pairs), "pair", "pairs")
            lines.append(f"{open_} open; about {passes}, {_duration(left.seconds)}: {bench} {asks}")
        if beyond := [one for one in self.pairs if not one.in_reason]:
            widest = max(one.within for one in beyond)
            who = counted(len(beyond), "pair differs", "pairs differ")
            lines.append(
                f"{who} by {widest:.1%} at most, if at all: {MOST_ROUNDS} rounds would not tell more"
            )
        anew = Counter(shlex.join(one.asks) for one in self.invalid)
        for asks, count in anew.items():
            who = counted(count, "pair", "pairs")
            lines.append(f"{who} open, for a cell is INVALID; on a quieter machine: {bench} {asks}")
        return lines


def outlook(
    cells: Iterable[CellResult],
    found: Sequence[Comparison],
    sessions: Iterable[SessionRecord] = (),
    uncertified: Collection[str] = (),
) -> Outlook:
    """Return what is open among a run's cells, of the comparisons that were drawn from them.

    sessions: the run's benches; uncertified: IDs of cells that are only measured where that is allowed.
    """
    everyone, asks = list(cells), {one.id: one.asks for one in sessions}
    undecided = {(one.a, one.b): one for one in found if one.verdict == "inconclusive"}
    pairs = {(pair.a.id, pair.b.id): pair for pair in comparisons.pairs(everyone) if pair.set != NOISE_FLOOR}
    left = [
        replace(_open(pairs[key], one), asks=_asks(pairs[key], asks, uncertified))
        for key, one in undecided.items()
        if key in pairs
    ]
    invalid = [
        InvalidPair(pair.a.axes.lane.id, *key, _anew(pair, asks, uncertified))
        for key, pair in pairs.items()
        if pair.unfit and pair.a.status == pair.b.status == "ok"
    ]
    arms = {name for one in left if one.in_reason for name in (one.a, one.b)}
    pass_s = dict.fromkeys((one.lane for one in left), 0.0)
    for cell in everyone:
        if cell.id in arms:
            pass_s[cell.axes.lane.id] += _round_s(cell)
    return Outlook(tuple(left), pass_s, tuple(invalid))


def _open(pair: Pair, found: Comparison) -> OpenPair:
    ratio = paired.paired_ratio(pair.a_values, pair.b_values, pair.first_look)
    family = max(1.0, found.p_holm / ratio.p) if found.p_holm and ratio.p else 1.0
    return OpenPair(
        lane=found.lane,
        a=found.a,
        b=found.b,
        rounds=pair.shared,
        counting=ratio.n,
        needed=rounds_needed(pair.a_values, pair.b_values, pair.first_look, family),
        family=family,
        within=max(ratio.high, 1 / ratio.low) - 1,
    )


def _asks(
    pair: Pair, by_session: Mapping[str, tuple[str, ...]], uncertified: Collection[str]
) -> tuple[str, ...]:
    """Return what `twinpose bench RUN` is given to measure both: as the bench was that did so last."""
    of_b = {one.pass_ for one in pair.b.rounds}
    shared = [one.pass_ for one in pair.a.rounds if one.pass_ in of_b]
    asks = by_session.get(shared[-1].partition("/")[0], ()) if shared else ()
    lacks = UNCERTIFIED not in asks and not {pair.a.id, pair.b.id}.isdisjoint(uncertified)
    return (*asks, UNCERTIFIED) if lacks else asks


def _anew(
    pair: Pair, by_session: Mapping[str, tuple[str, ...]], uncertified: Collection[str]
) -> tuple[str, ...]:
    """Return what `twinpose bench RUN` is given to measure the lane of a pair anew: what its IDs share."""
    asks = [*_asks(pair, by_session, uncertified)]
    if "-k" in asks:
        place = asks.index("-k")
        del asks[place : place + 2]
    axes = pair.a.axes
    return (*asks, "-k", axes.id.removeprefix(f"{axes.twin}-{axes.runtime}-{axes.mode}-"), "--again")


def _round_s(cell: CellResult) -> float:
    return float(np.mean([one.wall_s for one in cell.rounds])) if cell.rounds else 0.0


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else counted(round(seconds / 60), "minute", "minutes")
