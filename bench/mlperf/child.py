"""Inside the child: one runner, held by this process, through the scenarios that LoadGen drives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contract import Emit, Runner, RunnerSpec
from bench.mlperf import logs, traffic
from bench.mlperf.options import DRIVEN, Options
from bench.mlperf.records import LoadGenTest
from bench.process.worker import not_installed
from bench.scenarios.base import Phases, RoundJob
from bench.scenarios.network import batches_in_block
from bench.scenarios.round import finished, repeat
from pose.errors import Unsupported, UserError

FASTEST_NS = 10_000
"""LoadGen makes all queries of twice the minimum duration beforehand: for a runner that computes nothing
they would fill the memory."""
HEADROOM = 1.1
"""Of Offline's expected samples a second over the fastest block of warm-up: too few samples end too early."""
WARMUP_CALLS = 3


@dataclass(frozen=True)
class Bench:
    """A runner and what it is driven with."""

    lg: Any
    """The module mlperf_loadgen."""
    runner: Runner
    library: traffic.Library
    options: Options
    logs: Path
    """The folder that gets a folder a scenario."""
    batch: int
    threads: int

    def one(self, indices: list[int]) -> None:
        """Infer one query, synchronised at its end."""
        self.runner.infer(self.library.batch(indices))
        self.runner.synchronize()

    def block(self, indices: list[int]) -> None:
        """Infer a few batches handed over at once, as throughput cells do."""
        self.runner.submit_all([self.library.batch(b) for b in traffic.whole_batches(indices, self.batch)])
        self.runner.synchronize()

    def test(
        self, scenario: str, infer: Callable[[list[int]], None], chunk: int, **given: Any
    ) -> LoadGenTest:
        """Run one scenario; return what LoadGen found, after it had every answer."""
        folder = self.logs / scenario
        folder.mkdir(parents=True, exist_ok=True)
        settings = self._settings(scenario, given)
        server = traffic.Server(infer, self._complete, chunk)
        start = traffic.starter(self.lg, self.library, settings, folder, trace=self.options.trace)
        run = traffic.from_a_queue if scenario == "Server" else traffic.in_the_call
        run(start, server)
        return {**logs.result(folder, scenario), "answered": server.answered}

    def _settings(self, scenario: str, given: dict[str, Any]) -> Any:
        settings = self.lg.TestSettings()
        settings.scenario = getattr(self.lg.TestScenario, scenario)
        settings.mode = self.lg.TestMode.PerformanceOnly
        settings.min_duration_ms = round(self.options.min_duration_s * 1000)
        for name in ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed"):
            setattr(settings, name, self.options.seed)
        for name, value in given.items():
            setattr(settings, name, value)
        return settings

    def _complete(self, numbers: list[int]) -> None:
        self.lg.QuerySamplesComplete([self.lg.QuerySampleResponse(number, 0, 0) for number in numbers])


def cell(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Drive one cell's runner; return {"scenarios", "effective", "phases_s", "peak_rss_bytes"}.

    payload: "runner" ("module:class"), "spec" (RunnerSpec's fields), "options" (Options's), "coco",
    "split_file", "boxes" (a detection file or null) and "logs", a folder for LoadGen's own logs.
    """
    try:
        import mlperf_loadgen as lg
    except ModuleNotFoundError as error:
        if error.name != "mlperf_loadgen":
            raise
        raise Unsupported(not_installed("mlperf_loadgen", "twinpose[mlperf]")) from error

    spec, options = RunnerSpec(**payload["spec"]), Options(**payload["options"])
    _require(spec)
    job = RoundJob(spec, {}, payload, Phases(emit))
    library = traffic.Library(job.inputs.batch(0, min(len(job.inputs), options.samples)))
    bench = Bench(lg, job.runner(), library, options, Path(payload["logs"]), spec.batch, spec.threads)
    drive = throughput if "Offline" in DRIVEN[spec.scenario] else latency
    found = drive(bench, job.phases)
    return finished(job, {"scenarios": found}, bench.runner.effective())


def _require(spec: RunnerSpec) -> None:
    if spec.scenario not in DRIVEN:
        raise UserError(f"LoadGen drives no scenario '{spec.scenario}'; expected one of: {', '.join(DRIVEN)}")
    if "Offline" not in DRIVEN[spec.scenario] and spec.batch != 1:
        raise Unsupported(f"SingleStream and Server ask for one sample a query, not for {spec.batch}")


def latency(bench: Bench, phases: Phases) -> list[LoadGenTest]:
    """Return SingleStream, and Server under a load and a bound that follow from it.

    Server is left out, and SingleStream has a warning, where neither a target nor a median makes a bound.
    """
    fastest_ns = _warm_up(bench, phases, bench.one, 1)
    options = bench.options
    with phases("measured"):
        single = bench.test(
            "SingleStream",
            bench.one,
            1,
            min_query_count=options.single_stream_queries,
            single_stream_expected_latency_ns=int(max(fastest_ns, FASTEST_NS)),
        )
        allowed_qps = 1e9 / (single["latency_ns"]["mean"] or FASTEST_NS)
        bound_ns = _bound_ns(options, single["latency_ns"]["p50"])
        if bound_ns is None:
            single["warnings"].append(
                f"Server was not driven: its bound is made of SingleStream's p50 ({single['nulls']['p50']}); "
                "--mlperf single_stream_queries=N asks for more, --mlperf target_latency_ms=MS gives a bound"
            )
            return [single]
        server = bench.test(
            "Server",
            bench.one,
            1,
            min_query_count=options.server_queries,
            server_target_qps=options.target_qps or options.utilisation * allowed_qps,
            server_target_latency_ns=int(bound_ns),
            server_target_latency_percentile=0.99,
        )
    return [single, server]


def _bound_ns(options: Options, median_ns: int | None) -> float | None:
    """Return the bound on Server's p99: the given one, or so many medians of SingleStream."""
    if options.target_latency_ms is not None:
        return options.target_latency_ms * 1e6
    return None if median_ns is None else options.latency_factor * median_ns


def throughput(bench: Bench, phases: Phases) -> list[LoadGenTest]:
    """Return Offline: all samples are there at once and the runner is given them block by block."""
    chunk = bench.batch * batches_in_block(bench.threads)
    fastest_ns = _warm_up(bench, phases, bench.block, chunk)
    with phases("measured"):
        offline = bench.test(
            "Offline",
            bench.block,
            chunk,
            min_query_count=bench.options.offline_samples,
            offline_expected_qps=HEADROOM * chunk * 1e9 / max(fastest_ns, FASTEST_NS),
        )
    return [offline]


def _warm_up(bench: Bench, phases: Phases, infer: Callable[[list[int]], None], chunk: int) -> float:
    """Return the nanoseconds of the fastest call."""
    count = len(bench.library)
    bench.library.load(range(count))

    def call(number: int) -> None:
        infer([(number * chunk + i) % count for i in range(chunk)])

    with phases("first"):
        call(0)
    with phases("warmup"):
        durations_ns = repeat(call, bench.options.warmup_s, WARMUP_CALLS)
    bench.library.unload(range(count))
    return float(durations_ns.min())
