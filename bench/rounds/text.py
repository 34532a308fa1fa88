"""What `twinpose bench` prints: counts, the noise floor, the harness's own cost, the verdicts."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from bench.rounds.session import BenchResult
from bench.verdicts import noise_floor
from bench.verdicts.ap_differences import ApDifference
from bench.verdicts.comparisons import NOISE_FLOOR, Comparison
from bench.verdicts.disturbed_rounds import disturbed_rounds


def summary(found: BenchResult, run: Path) -> str:
    """Return the text for people."""
    counts = Counter(result.status for result in found.cells)
    lines = [", ".join(f"{count} {status}" for status, count in sorted(counts.items()))]
    if found.null:
        null = found.null
        lines.append(
            f"harness: {null.latency_us['p50']:.1f} us a query, "
            f"{null.throughput_us['p50']:.1f} us a block (null runner)"
        )
    if found.noise.history:
        lines.append(f"noise floor: {_floor(found)}")
    disturbed = disturbed_rounds(found.cells)
    lines += [line for line in (disturbed.text, disturbed.cure) if line and disturbed.rounds]
    if found.noise.resolution is not None:
        lines.append(f"resolution: sees differences from {noise_floor.difference(found.noise.resolution)}")
    lines += [comparison(one, found.uncertified) for one in found.comparisons if one.set != NOISE_FLOOR]
    lines += accuracies(found.accuracies)
    if flagged := _flagged(found):
        lines += ["flagged:", *flagged]
    lines += [f"uncertified: {why}" for why in dict.fromkeys(found.uncertified.values())]
    lines += found.outlook.text(f"twinpose bench {shlex.quote(str(run))}")
    lines.append(f"the tables are in 'twinpose report {shlex.quote(str(run))}'")
    return "\n".join(lines)


def _floor(found: BenchResult) -> str:
    """Return the A/A interval measured last, and the run's verdict with its reasons."""
    said = "unknown"
    for one in found.noise.history:
        if one.interval is not None:
            low, high = one.interval
            said = f"{one.ratio:.4f} [{low:.4f}, {high:.4f}] of {one.b} against itself"
    reasons = "; ".join(found.noise.reasons)
    verdict = found.noise.verdict or "not judged"
    return f"{said}, {verdict}{': ' + reasons if reasons else ''}"


def _flagged(found: BenchResult) -> list[str]:
    """Return what is doubtful about the cells that are compared, a line each."""
    compared = {name for one in found.comparisons for name in (one.a, one.b)}
    return [f"  {name}: {'; '.join(why)}" for name, why in found.flagged.items() if name in compared]


def comparison(one: Comparison, uncertified: Collection[str] = ()) -> str:
    """Return a line about two cells of a lane; `uncertified` are the IDs of those without a certificate.

    A doubt about either is said once for all its lines, by `summary`.
    """
    a, b = (_arm(cell) + (" (uncertified)" if cell in uncertified else "") for cell in (one.a, one.b))
    names = f"{a} against {b}, {one.lane}, {one.set}"
    if one.verdict is None or one.speedup is None or one.speedup_interval is None:
        return f"{names}: no verdict ({one.reason})"
    low, high = one.speedup_interval
    undecided = one.verdict == "inconclusive" and not low <= 1 <= high and one.p_holm is not None
    holm = f" (p {one.p_holm:.2g} by Holm, over the whole matrix)" if undecided else ""
    doubt = " (flagged)" if one.reason else ""
    return f"{names}: {one.speedup:.3f}x [{low:.3f}, {high:.3f}] {one.verdict}{holm}{doubt}"


def accuracies(differences: Iterable[ApDifference]) -> list[str]:
    """Return a line about the AP of each two cells, and one for all that lack a verdict for one reason."""
    judged, unjudged = [], defaultdict(list)
    for one in differences:
        names = f"{_scored(one.a)} against {_scored(one.b)}{_trainings(one)}"
        if one.difference is None or one.interval is None:
            unjudged[one.reason].append(names)
        else:
            low, high = one.interval
            undecided = one.verdict == "inconclusive" and not low <= 0 <= high
            holm = f" (p {one.p_holm:.2g} by Holm, over all APs)" if undecided else ""
            more = f" (about {one.seeds_needed} seeds would decide)" if one.seeds_needed else ""
            doubt = holm or (more if one.verdict == "inconclusive" else "")
            judged.append(
                f"{names}, AP: {one.difference:+.4f} [{low:+.4f}, {high:+.4f}] {one.verdict}{doubt}"
            )
    return judged + [f"{', '.join(pairs)}, AP: no verdict ({why})" for why, pairs in unjudged.items()]


def _trainings(one: ApDifference) -> str:
    """Return how many trainings of each twin a difference is of, where it is of trainings."""
    return f" over {len(one.seeds)} seeds" if one.seeds else ", one seed each" if one.of_one_seed else ""


def _scored(cell_id: str) -> str:
    """Return twin, runtime, mode, precision and device of a cell's ID."""
    return "-".join(cell_id.split("-")[:5])


def _arm(cell_id: str) -> str:
    """Return twin, runtime and mode of a cell's ID."""
    return "-".join(cell_id.split("-")[:3])
