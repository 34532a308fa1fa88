"""What `twinpose bench` prints: counts, the noise floor, the harness's own cost, the verdicts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bench.sitting import Sat
from bench.verdicts import NOISE_FLOOR, Comparison


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
    if sat.noise.get("history"):
        last = sat.noise["history"][-1]
        reasons = "; ".join(sat.noise["reasons"])
        lines.append(
            f"noise floor: {last['ratio']:.4f} [{last['interval'][0]:.4f}, {last['interval'][1]:.4f}] "
            f"of {last['a']} against itself, {sat.noise['verdict']}{': ' + reasons if reasons else ''}"
        )
    lines += [comparison(one) for one in sat.comparisons if one.set != NOISE_FLOOR]
    lines.append(f"the tables are in 'twinpose report {run}'")
    return "\n".join(lines)


def comparison(one: Comparison) -> str:
    """Return a line about two cells of a lane."""
    names = f"{_arm(one.a)} against {_arm(one.b)}, {one.lane}, {one.set}"
    if one.verdict is None or one.speedup is None or one.speedup_interval is None:
        return f"{names}: no verdict ({one.reason})"
    low, high = one.speedup_interval
    doubt = f" ({one.reason})" if one.reason else ""
    return f"{names}: {one.speedup:.3f}x [{low:.3f}, {high:.3f}] {one.verdict}{doubt}"


def _arm(cell_id: str) -> str:
    """Return twin, runtime and mode of a cell's ID."""
    return "-".join(cell_id.split("-")[:3])
