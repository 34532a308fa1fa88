"""The table of how a bench was measured: noise floor, the harness's own cost, protocol, ceilings."""

from __future__ import annotations

from typing import Any

from bench.cells.scenarios import LATENCY, THROUGHPUT
from bench.run.bench_file import BenchFile, Ceilings, NoiseLook, Peak
from bench.statistics.samples import counted
from bench.verdicts.noise_floor import difference
from reports import formats
from reports.formats import Absent, Value, minute, or_absent
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words.cells import name
from reports.words.measurement import floors, noise, noise_verdict, null_us, protocols

NULL_NAMES = {LATENCY.name: "query", THROUGHPUT.name: "block"}
NOISE_RULE = (
    "an interval that misses 1, or reaches farther from it than the profile allows, flags the run; "
    "two misses in succession invalidate it"
)
NEAR_CEILING = "what this machine moved in the same run"
NOT_SAID = "bench.json does not say"
UNMEASURED = Absent("this bench recorded none")


def table(run: Run) -> Table | None:
    """Return the noise floor, the harness's cost, the protocol and the ceilings; None without a bench."""
    if not run.cells or run.bench is None:
        return None
    return Table(
        name="measurement",
        title="How it was measured",
        columns=(
            Column("what", "What"),
            Column("said", "Value", kind="number"),
            *csv_only("value", "low", "high", "unit"),
            Column("how", "How it came about"),
        ),
        rows=(*_noise_rows(run), *_harness_rows(run), *_protocol_rows(run), *_ceiling_rows(run)),
        note="The noise floor is the difference that the protocol finds between a cell and itself. The "
        "ceilings are what this machine reached in the bench that measured the lane last; a cell's share of "
        "peak is of the ceiling in its own bench.",
        command=command(run, "bench"),
        source="bench/bench.json and bench/passes.jsonl",
        grouped_by="Kind",
    )


def _row(
    kind: str, what: str, said: Value, how: str, *, exact: tuple[Value, ...] = (), unit: str = ""
) -> Row:
    none = Absent("the value says it", quiet=True)
    value, low, high = (*exact, none, none, none)[:3]
    return Row((what, said, value, low, high, unit or none, how), kind)


def _noise_rows(run: Run) -> list[Row]:
    found, rows = floors(run), []
    for place, (one, (value, low, high)) in enumerate(reversed(found)):
        said = formats.ratio((value, low, high))
        what = "Same cell as two arms (A/A)" if place == 0 else "The same, earlier"
        rows.append(_row("Noise floor", what, said, _told(run, one), exact=(value, low, high), unit="ratio"))
    if not found:
        rows.append(_row("Noise floor", "Same cell as two arms (A/A)", UNMEASURED, "no A/A pair"))
    if seen := noise(run).resolution:
        how = "the farthest that a pair's last interval reaches from 1"
        rows.append(_row("Noise floor", "Resolution", difference(seen), how, exact=(seen,), unit="fraction"))
    reasons = "; ".join(noise(run).reasons) or NOISE_RULE
    return [*rows, _row("Noise floor", "Verdict", or_absent(noise_verdict(run), UNMEASURED.reason), reasons)]


def _told(run: Run, one: NoiseLook) -> str:
    """Return which cell an A/A measurement is of, how many pairs it has and when it was made."""
    started = {session.id: session.started for session in (run.bench.sessions if run.bench else ())}
    when = started.get(str(one.session))
    axes = {cell.id: cell.axes for cell in run.cells}.get(one.b)
    parts = (
        f"{name(axes)} in {axes.lane.id}" if axes else one.b,
        f"{one.n} pairs" if one.n else None,
        f"bench of {minute(when) or when}" if when else None,
    )
    return "; ".join(str(part) for part in parts if part) or "its cell is not recorded"


def _harness_rows(run: Run) -> list[Row]:
    how = "p50 of a runner that computes nothing, which goes the whole way of a cell"
    rows = []
    for scenario, what in NULL_NAMES.items():
        middle, high = null_us(run, scenario, "p50"), null_us(run, scenario, "p99")
        if scenario == LATENCY.name or not isinstance(middle, Absent):
            most = "" if isinstance(high, Absent) else f"; p99 {formats.number(high)} µs"
            said = _with_unit(middle, "µs")
            rows.append(
                _row("Harness", f"Null runner, a {what}", said, how + most, exact=(middle,), unit="us")
            )
    return rows


def _with_unit(value: float | Absent, unit: str) -> Value:
    return value if isinstance(value, Absent) else f"{formats.number(value)} {unit}"


def _protocol_rows(run: Run) -> list[Row]:
    kinds = protocols(run)
    rows = []
    for found, ids in kinds:
        of = "" if len(kinds) == 1 else f" of {counted(len(ids), 'timed cell', 'timed cells')}"
        rows += _one_protocol(run, found, f"Protocol{of}")
    return rows


def _one_protocol(run: Run, found: dict[str, Any], kind: str) -> list[Row]:
    if not found:
        return [_row(kind, "Profile", Absent(NOT_SAID), "measured by an older bench")]
    rows: list[tuple[str, Value, str]] = [
        ("Profile", _profile(run, found), "a round is one fresh process"),
        ("Rounds", or_absent(found.get("rounds"), NOT_SAID), f"{_more(found)}{_order_says(run)}"),
        ("Warm-up", _seconds(found, "warmup_s"), _warmup(found)),
        (
            "Measured",
            _seconds(found, "measured_s"),
            f"{_queries(found, 'measured_queries')}at least, in each round{_tries(found)}",
        ),
        ("Inputs", or_absent(found.get("images"), NOT_SAID), "distinct validation inputs, in turn"),
        (
            "Percentiles",
            _percentiles(found),
            "p50 is the geometric mean of the rounds' medians; the others are nearest ranks over the "
            "queries of all rounds, which weigh alike; nothing is trimmed",
        ),
    ]
    return [_row(kind, what, said, how) for what, said, how in rows]


def _profile(run: Run, found: dict[str, Any]) -> Value:
    """Return the profile's name, and what the matrix has otherwise: official, but rounds 3 for 10."""
    altered = found.get("altered", run.bench.matrix.altered if run.bench else {})
    changed = altered.items() if isinstance(altered, dict) else ()
    said = [f"{name} {found.get(name)} for {value}" for name, value in changed]
    named = or_absent(found.get("profile"), NOT_SAID)
    return named if isinstance(named, Absent) or not said else f"{named}, but {', '.join(said)}"


def _more(found: dict[str, Any]) -> str:
    """Return when more rounds follow; "" where no round is recorded."""
    half = found.get("half_width")
    if isinstance(half, int | float):
        most = found.get("rounds_max", "an unrecorded number")
        decided = "each pair is decided or " if found.get("until_decided") else ""
        return f"and up to {most} until {decided}the 95 % interval's half-width is at most {100 * half:g} %; "
    return "a fixed number; " if "rounds" in found else ""


def _tries(found: dict[str, Any]) -> str:
    """Return how often a disturbed window is measured; "" where it is once, or nothing is recorded."""
    most = found.get("tries", 1)
    return f"; {most} times at most where others disturb it" if isinstance(most, int) and most > 1 else ""


def _warmup(found: dict[str, Any]) -> str:
    on_gpu = _seconds(found, "warmup_gpu_s")
    gpu = "" if isinstance(on_gpu, Absent) else f"on a GPU {on_gpu}; "
    return f"{_queries(found, 'warmup_queries')}{gpu}by time, the same for all arms"


def _queries(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    return f"and {value} queries; " if isinstance(value, int) else ""


def _percentiles(found: dict[str, Any]) -> Value:
    asked = found.get("percentiles")
    kept = [f"p{p:g}" for p in asked if isinstance(p, int | float)] if isinstance(asked, list) else []
    return ", ".join(kept) or Absent(NOT_SAID)


def _order_says(run: Run) -> str:
    if not run.passes:
        return "no order is recorded in bench/passes.jsonl"
    seeds = list(dict.fromkeys(str(one.seed) for one in run.passes if one.seed is not None))
    drawn = f", seed {' and '.join(seeds)}" if seeds else ""
    return f"{len(run.passes)} passes over the lanes in random order{drawn}, in bench/passes.jsonl"


def _seconds(found: dict[str, Any], key: str) -> Value:
    value = found.get(key)
    return f"{value:g} s" if isinstance(value, int | float) else Absent(NOT_SAID)


def _ceiling_rows(run: Run) -> list[Row]:
    record = run.bench or BenchFile()
    found = [(where, one) for where, one in (("", record.limits), ("GPU, ", record.limits_cuda)) if one]
    rows = [_peak_row(one, where) for where, ceilings in found for one in ceilings.peaks]
    rows += [row for where, ceilings in found if not where for row in _bandwidth_rows(ceilings)]
    for where, ceilings in found:
        for what, reason in ceilings.reasons.items():
            rows.append(_row("Ceilings", f"Without {where}{what}", Absent(reason, quiet=True), reason))
    return rows or [_row("Ceilings", "Peak and bandwidth", UNMEASURED, "no share of peak can be told")]


def _peak_row(one: Peak, where: str) -> Row:
    what = f"Peak, {where}{one.precision}, {counted(one.threads, 'thread', 'threads')}"
    how = f"best kernel: {one.kernel}, {one.library}"
    how += f"; the machine can do more than that: {'; '.join(one.doubts)}" if one.doubts else ""
    said = _with_unit(one.gflops, "GFLOP/s")
    return _row("Ceilings", what, said, how, exact=(one.gflops,), unit="GFLOP/s")


def _bandwidth_rows(ceilings: Ceilings) -> list[Row]:
    rows = []
    for threads, rate in ceilings.bandwidth_gb_s.items():
        what = f"Memory bandwidth, {counted(int(threads), 'thread', 'threads')}"
        rows.append(
            _row("Ceilings", what, _with_unit(rate, "GB/s"), NEAR_CEILING, exact=(rate,), unit="GB/s")
        )
    return rows
