"""How far apart the APs of a run's accuracy cells are: resampled over images, judged within a margin.

The rules are those of docs/method/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import msgspec
import numpy as np

from bench.cells.cell import TWINS
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS
from bench.run import artifacts, cell_key
from bench.run import results as results_
from bench.run.results import CellResult
from bench.statistics.paired import ALPHA, holm
from bench.verdicts import over_seeds
from pose import bootstrap
from pose.bootstrap import Matches
from pose.errors import UserError
from pose.files import write_json

DRAWS, SEED = 1000, 0
SAME_WEIGHTS, OTHER = 0.001, 0.01
"""APs are equal within: for one set of weights in strict float32 one unit of the last printed decimal, as
the parity ladder grants; for a lower precision, or other weights, one point, about what two seeds of the
demo differ by."""

UNKEPT = "no interval: scored by a version that kept no matches; bench --again scores anew"


def renew(run: Path, results: Sequence[CellResult]) -> list[ApDifference]:
    """Return what each accuracy cell lost or gained: against its twin's own framework, then twin to twin.

    Last, where the twins were trained with several seeds, how far they are apart over these.

    From accuracies.json where nothing has changed, for resampling takes a minute for a hundred thousand
    detections; it is written otherwise.
    """
    scored, stale = _scored(run, results)
    of = {
        one.id: ScoredBy(one.status, one.hash, one.id in stale, tuple(r.started for r in one.rounds))
        for one in scored
    }
    seeds = _seeds(run)
    try:
        before = _read(run)
        # An older version corrected none for their number.
        corrected = before and all(one.p_holm is not None for one in before.differences if one.verdict)
        known = before and (before.schema, before.of, before.seeds) == (results_.SCHEMA, of, seeds)
        if before and corrected and known:
            return before.differences
    except UserError:  # damaged: it is made anew
        pass
    found = _compared(run, scored, stale, seeds)
    write_json(_path(run), msgspec.to_builtins(ApDifferencesFile(differences=found, of=of, seeds=seeds)))
    return found


def _scored(run: Path, results: Sequence[CellResult]) -> tuple[list[CellResult], set[str]]:
    """Return the accuracy cells, and the IDs of those whose artifact is not the one that is there now."""
    scored = [
        one for one in results if SCENARIOS[one.axes.scenario].of == "predictions" and not one.axes.replica
    ]
    now = cell_key.artifact_hashes(run, [one.axes for one in scored])
    return scored, {one.id for one in scored if now[artifacts.artifact(run, one.axes)] != one.artifact_sha256}


def _compared(
    run: Path,
    scored: Sequence[CellResult],
    stale: Collection[str],
    seeds: Mapping[str, Mapping[str, float]],
) -> list[ApDifference]:
    drawn = {one.id: _drawn(run, one) for one in scored if one.status == "ok" and one.id not in stale}
    found = [_difference(question, a, b, drawn, stale) for question, a, b in _pairs(scored)]
    return _corrected([*found, *([_over_seeds(seeds)] if seeds else [])])


def _corrected(found: Sequence[ApDifference]) -> list[ApDifference]:
    """Return all differences of a run with their verdicts, corrected for their number."""
    adjusted = holm([one.p for one in found])
    return [_judged(one, p_holm) for one, p_holm in zip(found, adjusted, strict=True)]


def _judged(one: ApDifference, p_holm: float | None) -> ApDifference:
    """Return a difference with its verdict, corrected for all of the run; one without interval as is."""
    if one.interval is None or one.margin is None or p_holm is None:
        return one
    said = verdict(one.interval, one.margin, p_holm)
    return msgspec.structs.replace(one, p_holm=p_holm, verdict=said)


def _over_seeds(seeds: Mapping[str, Mapping[str, float]]) -> ApDifference:
    """Return the difference of the twins over seeds; seeds: by seed the AP that each twin ended at."""
    names = tuple(int(seed) for seed in seeds)
    a, b = ([ended[twin] for ended in seeds.values()] for twin in TWINS)
    pair = ApDifference(question="seeds", a=TWINS[0], b=TWINS[1], seeds=names)
    pair = msgspec.structs.replace(pair, ap_a=fmean(a), ap_b=fmean(b), difference=fmean(a) - fmean(b))
    if len(names) < 2:
        return msgspec.structs.replace(
            pair, reason=f"both twins have ended seed {names[0]} alone; expected at least 2 seeds"
        )
    found = over_seeds.judge(a, b, OTHER)
    return msgspec.structs.replace(
        pair, interval=found.interval, p=found.p, margin=OTHER, seeds_needed=found.needed
    )


def matches(run: Path, result: CellResult) -> Matches | None:
    """Return which predictions of an accuracy cell are right; None for a cell of an older version.

    They are those of its last round, as its AP is.
    """
    number = result.rounds[-1].number if result.rounds else 1
    return bootstrap.of_arrays(results_.round_samples(run, result.id, number))


def verdict(interval: tuple[float, float], margin: float, p_holm: float | None = None) -> str:
    """Return `equal` where the interval of a difference lies within the margin, or what its sign says.

    p_holm: of no difference, corrected for all that are judged with it; None where it is not known.
    """
    low, high = interval
    if -margin <= low and high <= margin:
        return "equal"
    if p_holm is not None and p_holm > ALPHA:
        return "inconclusive"
    return "higher" if low > 0 else "lower" if high < 0 else "inconclusive"


def _pairs(scored: Sequence[CellResult]) -> Iterator[tuple[str, CellResult, CellResult]]:
    """Yield (question, a, b): b is what a is held against."""
    sources = {one.id: _nearest(one, scored) for one in scored}
    for one in scored:
        source = sources[one.id]
        if source and source is not one:
            yield "deployment", one, source
    for one in scored:
        if one.axes.twin == TWINS[0] and sources[one.id] is one:
            other = _nearest(one, scored, TWINS[1])
            if other:
                yield "twins", one, other


def _nearest(one: CellResult, scored: Iterable[CellResult], twin: str | None = None) -> CellResult | None:
    """Return the strict float32 cell of a twin (one's own) in its framework as shipped, nearest to `one`."""
    twin, axes = twin or one.axes.twin, one.axes
    wanted = (twin, twin, RUNTIMES[twin].as_shipped, "fp32")
    found = [c for c in scored if (c.axes.twin, c.axes.runtime, c.axes.mode, c.axes.precision) == wanted]
    near = ("device", "batch", "threads", "allocator")
    return min(
        found, key=lambda c: [getattr(c.axes, name) != getattr(axes, name) for name in near], default=None
    )


def _drawn(run: Path, one: CellResult) -> tuple[Matches, np.ndarray] | None:
    found = matches(run, one)
    return None if found is None else (found, bootstrap.resampled(found, DRAWS, SEED))


def _difference(
    question: str,
    a: CellResult,
    b: CellResult,
    drawn: Mapping[str, tuple[Matches, np.ndarray] | None],
    stale: Collection[str],
) -> ApDifference:
    pair = ApDifference(question=question, a=a.id, b=b.id, ap_a=_ap(a), ap_b=_ap(b))

    def but(reason: str | None, **fields: object) -> ApDifference:
        return msgspec.structs.replace(pair, reason=reason, **fields)

    for one in (a, b):
        if one.status != "ok":
            return but(f"{one.id} is {one.status}" + (f": {one.reason}" if one.reason else ""))
        if one.id in stale:
            return but(f"{one.id} was scored with another artifact than is there now; measure it again")
    ours, theirs = drawn[a.id], drawn[b.id]
    apart = None if pair.ap_a is None or pair.ap_b is None else pair.ap_a - pair.ap_b
    if ours is None or theirs is None:
        return but(UNKEPT, difference=apart)
    if not np.array_equal(ours[0].people, theirs[0].people):
        return but("scored on other people")
    interval = bootstrap.interval(ours[1] - theirs[1])
    if math.isnan(interval[0]):
        return but("nobody counts in these images")
    same = question == "deployment" or a.artifact_sha256 == b.artifact_sha256
    strict = same and a.axes.precision == "fp32"
    margin = SAME_WEIGHTS if strict else OTHER
    images = len(ours[0].people)
    p = bootstrap.p_of_none(apart or 0.0, ours[1] - theirs[1])
    return but(None, difference=apart, interval=interval, p=p, margin=margin, images=images)


def _ap(one: CellResult) -> float | None:
    value = one.stats.get("AP")
    return None if one.status != "ok" or value is None else float(value)


class ApDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The AP of accuracy cell `a` against that of `b`, over the same people."""

    question: str
    """`deployment`: a's weights as the twin's own framework runs them are b; `twins`: the two trainings of
    the first seed; `seeds`: the twins over all seeds."""
    a: str
    b: str
    """Cell IDs; of `seeds` the twins."""
    ap_a: float | None = None
    ap_b: float | None = None
    """Of `seeds` means, of the best epochs on the validation part by ground-truth boxes."""
    difference: float | None = None
    """AP of a - AP of b."""
    interval: tuple[float, float] | None = None
    """95 %, by the bootstrap over images, of `seeds` by Student's t over these; None where there is none."""
    p: float | None = None
    """Of no difference, by the bootstrap's standard error or the t test."""
    p_holm: float | None = None
    """The same, corrected for all differences of the run."""
    margin: float | None = None
    """APs are equal where the interval lies within it."""
    images: int | None = None
    seeds: tuple[int, ...] = ()
    """Of `seeds`: those that both twins have ended."""
    seeds_needed: int | None = None
    """About how many would decide where these do not; None for more than a hundred."""
    verdict: str | None = None
    """`higher`, `lower` (a than b), `equal` or `inconclusive`; None is explained by `reason`."""
    reason: str | None = None

    @property
    def of_one_seed(self) -> bool:
        """Return whether it is of two trainings, one of each twin, whose luck the interval does not know."""
        return self.question == "twins" and self.margin == OTHER


class ScoredBy(msgspec.Struct, frozen=True, array_like=True):
    """What decides the AP of a cell: while it is the same, its differences are."""

    status: str
    hash: str
    stale: bool
    """Whether it was scored with another artifact than is there."""
    started: tuple[str, ...]
    """When each of its rounds was."""


class ApDifferencesFile(msgspec.Struct, frozen=True, kw_only=True):
    """accuracies.json."""

    schema: int = results_.SCHEMA
    differences: list[ApDifference]
    of: dict[str, ScoredBy] = {}
    """By cell ID."""
    seeds: dict[str, dict[str, float]] = {}
    """By seed, the AP that each twin's training ended at; {} for a run of one seed."""


def differences(run: Path) -> list[ApDifference]:
    """Return the differences of AP that the last bench of a run found; [] where none did.

    That over seeds is of the trainings that have ended by now, for a training may follow the last bench.
    Raises UserError where the file is malformed, or newer than this version.
    """
    found, seeds = _read(run) or ApDifferencesFile(differences=[]), _seeds(run)
    if not seeds or found.seeds == seeds:
        return found.differences
    others = [one for one in found.differences if one.question != "seeds"]
    return _corrected([*others, _over_seeds(seeds)])


def _seeds(run: Path) -> dict[str, dict[str, float]]:
    """Return by seed the AP that each twin's training has ended at; {} for a run of one seed."""
    return {str(seed): ended for seed, ended in over_seeds.ended_at(Path(run)).items()}


def _path(run: Path) -> Path:
    return Path(run) / "bench" / "accuracies.json"


def _read(run: Path) -> ApDifferencesFile | None:
    path = _path(run)
    expected = "the differences of AP that 'twinpose bench' wrote"
    return results_.read_record(path, ApDifferencesFile, expected) if path.exists() else None
