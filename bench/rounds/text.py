"""What `twinpose bench` prints: counts, the noise floor, the harness's own cost, the verdicts."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from bench.rounds.sitting import Sat
from bench.verdicts.ap_differences import ApDifference
from bench.verdicts.comparisons import NOISE_FLOOR, Comparison


def summary(sat: Sat, run: Path) -> str:
    """Return the text for people."""
    counts = Counter(result.status for result in sat.cells)
    lines = [", ".join(f"{count} {status}" for status, count in sorted(counts.items()))]
    if sat.null:
        null = sat.null
        lines.append(
            f"harness: {null['latency_us']['p50']:.1f} us a query, "
            f"{null['throughput_us']['p50']:.1f} us a block (null runner)"
        )
    if sat.noise:
        lines.append(f"noise floor: {_floor(sat)}")
    lines += [comparison(one, sat.uncertified) for one in sat.comparisons if one.set != NOISE_FLOOR]
    lines += accuracies(sat.accuracies)
    if flagged := _flagged(sat):
        lines += ["flagged:", *flagged]
    lines += [f"uncertified: {why}" for why in dict.fromkeys(sat.uncertified.values())]
    lines.append(f"the tables are in 'twinpose report {shlex.quote(str(run))}'")
    return "\n".join(lines)


def _floor(sat: Sat) -> str:
    """Return the A/A interval measured last, and the run's verdict with its reasons."""
    known = [one for one in sat.noise["history"] if one["interval"] is not None]
    said = "unknown"
    if known:
        ratio, (low, high) = known[-1]["ratio"], known[-1]["interval"]
        said = f"{ratio:.4f} [{low:.4f}, {high:.4f}] of {known[-1]['b']} against itself"
    reasons = "; ".join(sat.noise["reasons"])
    verdict = sat.noise["verdict"] or "not judged"
    return f"{said}, {verdict}{': ' + reasons if reasons else ''}"


def _flagged(sat: Sat) -> list[str]:
    """Return what is doubtful about the cells that are compared, a line each."""
    compared = {name for one in sat.comparisons for name in (one.a, one.b)}
    return [f"  {name}: {'; '.join(why)}" for name, why in sat.flagged.items() if name in compared]


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
        names = f"{_scored(one.a)} against {_scored(one.b)}"
        if one.difference is None or one.interval is None:
            unjudged[one.reason].append(names)
        else:
            low, high = one.interval
            judged.append(f"{names}, AP: {one.difference:+.4f} [{low:+.4f}, {high:+.4f}] {one.verdict}")
    return judged + [f"{', '.join(pairs)}, AP: no verdict ({why})" for why, pairs in unjudged.items()]


def _scored(cell_id: str) -> str:
    """Return twin, runtime, mode, precision and device of a cell's ID."""
    return "-".join(cell_id.split("-")[:5])


def _arm(cell_id: str) -> str:
    """Return twin, runtime and mode of a cell's ID."""
    return "-".join(cell_id.split("-")[:3])
