"""What the run is, in rows of name and value, and what may be said of it at the top of the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.contract import TWINS
from reports.formats import (
    TWIN_NAMES,
    Absent,
    Value,
    coco_number,
    difference,
    or_absent,
    score,
    seconds,
    tiny,
)
from reports.parts import command, missing, no_test, unmeasured
from reports.run import Run
from reports.table import Column, Row, Table

UNKNOWN = "not recorded in run.json"


@dataclass(frozen=True)
class Fact:
    """One line of the header."""

    name: str
    value: str
    code: bool = False
    """Set as code: a path, a command or a checksum."""


def header(run: Run) -> list[tuple[str, list[Fact]]]:
    """Return what the run is, in groups: recipe, data, machine."""
    return [("Recipe", _recipe(run)), ("Data", _data(run)), ("Machine", _machine(run))]


def _recipe(run: Run) -> list[Fact]:
    facts = [Fact("Name", run.name)]
    if run.recipe:
        model, training = run.recipe.model, run.recipe.training
        head = f"{model.deconv_layers} x {model.deconv_channels} transposed convolutions"
        schedule = training.schedule.kind
        facts += [
            Fact("Network", f"{model.backbone}, {head}"),
            Fact("Input", "{1}x{0} (height x width)".format(*model.input_size)),
            Fact("Weights at start", model.pretrained or f"random, seed {training.seed}"),
            Fact(
                "Training",
                f"{training.epochs} epochs, batch {training.batch_size}, Adam {training.learning_rate:g}, "
                f"{schedule} schedule, {training.precision}",
            ),
            Fact("Evaluation", "flip test" if run.recipe.evaluation.flip_test else "no flip test"),
        ]
    return [*facts, Fact("Threads", _said(run, "threads")), Fact("Device", _said(run, "device"))]


def _data(run: Run) -> list[Fact]:
    # Names, not paths: a report is shown to others, and a path tells of one machine only.
    dataset = run.facts.get("dataset") or Path(_said(run, "coco")).name
    facts = [Fact("Dataset", str(dataset)), Fact("Boxes", Path(_said(run, "boxes")).name)]
    if run.split:
        counts = ", ".join(
            f"{name} {len(part.image_ids)} images with {len(part.annotation_ids)} people"
            for name, part in run.split.parts.items()
            if part
        )
        seed = "" if run.split.seed is None else f", seed {run.split.seed}"
        facts += [Fact("Split", f"{run.split.method}{seed}: {counts}")]
        facts += [Fact("Split SHA-256", run.split.sha256, code=True)]
        facts += [Fact(f"{name} SHA-256", sha, code=True) for name, sha in run.split.sources.items()]
    return facts


def _machine(run: Run) -> list[Fact]:
    machine: dict[str, Any] = run.facts.get("machine") or {}
    cpu = machine.get("cpu") or {}
    cores = cpu.get("usable_cores")
    flags = ", ".join(str(flag) for flag in cpu.get("flags") or [])
    memory = machine.get("memory_limit_bytes") or machine.get("memory_bytes")
    gpus = ", ".join(str(gpu.get("name")) for gpu in machine.get("gpus") or [])
    packages = machine.get("packages") or {}
    system = " ".join(str(machine[key]) for key in ("os", "kernel", "arch") if machine.get(key))
    facts = [
        Fact("Processor", str(cpu.get("model") or UNKNOWN)),
        Fact("Cores", f"{cores} usable of {cpu.get('logical', '?')} logical" if cores else UNKNOWN),
        Fact("Instruction sets", flags or UNKNOWN),
        Fact("Memory", f"{memory / 2**30:.1f} GiB" if memory else UNKNOWN),
        Fact("GPU", gpus or "none"),
        Fact("System", system or UNKNOWN),
        Fact("Python", str(machine.get("python") or UNKNOWN)),
        Fact("Packages", ", ".join(f"{k} {v}" for k, v in packages.items() if v) or UNKNOWN),
    ]
    return facts if machine else [Fact("Machine", UNKNOWN)]


def _said(run: Run, key: str) -> str:
    value = run.facts.get(key)
    return UNKNOWN if value is None else str(value)


def started(run: Run) -> str | None:
    """Return when the run began, to the minute in UTC, or None where that is not recorded."""
    try:
        moment = datetime.fromisoformat(str(run.facts.get("started")))
    except ValueError:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def stages(run: Run) -> Table | None:
    """Return the commands that made the run and their times, or None when none is recorded."""
    found = run.facts.get("stages") or {}
    rows = tuple(
        Row(
            (
                name,
                str(stage.get("command") or command(run, name)),
                or_absent(stage.get("wall_s"), "not recorded"),
                str(stage.get("status") or "done"),
            )
        )
        for name, stage in found.items()
        if isinstance(stage, dict)
    )
    if not rows:
        return None
    return Table(
        name="stages",
        title="Commands",
        columns=(
            Column("stage", "Stage"),
            Column("command", "Command", kind="code"),
            Column("wall_s", "Time", seconds, "number"),
            Column("status", "Status", kind="status"),
        ),
        rows=rows,
        note="What was run, in order; each makes its part again.",
        command=command(run, "run"),
        source="run.json",
    )


def headline(run: Run) -> Table:
    """Return AP of both twins on validation and test, and their difference."""
    last = common_epoch(run)
    common = "last common epoch" if last is None else f"epoch {last} of both"
    parts = {
        "Validation, best epoch of each": {twin: _best(run, twin) for twin in TWINS},
        f"Validation, {common}": {twin: _at(run, twin, last) for twin in TWINS},
        "Test, scored once": {twin: _tested(run, twin) for twin in TWINS},
    }
    boxes = Path((run.test.boxes if run.test else None) or _said(run, "boxes")).name
    return Table(
        name="headline",
        title="AP of the twins",
        columns=(
            Column("part", "Part"),
            *(Column(f"AP_{twin}", f"{TWIN_NAMES[twin]} AP", score, "number") for twin in TWINS),
            Column("difference", "PyTorch − TensorFlow", difference, "number"),
        ),
        rows=tuple(Row((part, *values.values(), _difference(values))) for part, values in parts.items()),
        note=f"COCO AP (OKS 0.50:0.95). Boxes on validation: ground truth; on test: {boxes}.",
        command=f"{command(run, 'train')} && {command(run, 'test')}",
        source="train/*/epochs.jsonl and test.json",
    )


def common_epoch(run: Run) -> int | None:
    """Return the last epoch that both twins have ended, or None without one."""
    reached = [{line.epoch for line in training.epochs} for training in run.training.values()]
    return max(set.intersection(*reached), default=None) if len(reached) == len(TWINS) else None


def _best(run: Run, twin: str) -> Value:
    training = run.training.get(twin)
    if training is None:
        return Absent(f"{TWIN_NAMES[twin]} is not trained in this run")
    if not training.summary:
        # A best epoch of half a training beside one of a whole training would be no comparison.
        return Absent(f"{TWIN_NAMES[twin]}: the training is unfinished")
    return or_absent(training.best.ap if training.best else None, "no epoch was scored")


def _at(run: Run, twin: str, epoch: int | None) -> Value:
    if epoch is None:
        return Absent("no epoch has ended for both twins")
    value = next(line.ap for line in run.training[twin].epochs if line.epoch == epoch)
    return or_absent(value, "the epoch's line holds no finite value")


def _tested(run: Run, twin: str) -> Value:
    reason = no_test(run, twin)
    if reason or run.test is None:
        return Absent(reason or "the test part is not scored yet")
    return coco_number(run.test.twins[twin].get("AP"))


def _difference(by_twin: dict[str, Value]) -> Value:
    tf, torch = by_twin["tf"], by_twin["torch"]
    if isinstance(tf, float) and isinstance(torch, float):
        return torch - tf
    return Absent("one of the two is absent", quiet=True)


def summary(run: Run) -> list[str]:
    """Return sentences of what may be said of this run, and what may not."""
    return [*_missing_says(run), *_training_says(run), *_conversion_says(run), *_bench_says(run)]


def _missing_says(run: Run) -> list[str]:
    listed = ", ".join(f"{part.part} {part.status}" for part in missing(run))
    return (
        [f"This run is not complete: {listed}. The commands that complete it are under What failed."]
        if listed
        else []
    )


def _training_says(run: Run) -> list[str]:
    if not run.training:
        return []
    seed = f" (seed {run.recipe.training.seed})" if run.recipe else ""
    says = [
        f"Each twin was trained once{seed}. How far the same twin moves between seeds is not measured "
        "here, so an AP difference of this size alone does not show that one framework trains better."
    ]
    return says if set(run.training) == set(TWINS) else []


def _conversion_says(run: Run) -> list[str]:
    moved = [
        route.max_abs_difference / route.rms_source
        for found in run.conversions.values()
        for route in found.routes
        if route.max_abs_difference is not None and route.rms_source
    ]
    if not moved:
        return []
    return [f"Conversion moved no heatmap value by more than {tiny(max(moved))} of the source's RMS."]


def _bench_says(run: Run) -> list[str]:
    if not run.cells:
        return []
    good = sum(cell.status == "ok" for cell in run.cells)
    doubtful = sum(cell.status == "ok" and cell.validity.verdict != "VALID" for cell in run.cells)
    waiting = len(unmeasured(run))
    counts = f"{good} of {len(run.cells)} cells were measured"
    counts += f", {doubtful} of them flagged or invalid" if doubtful else ""
    counts += (
        f"; {len(run.cells) - good} were not, each listed with its reason" if good < len(run.cells) else ""
    )
    counts += f"; {waiting} of the matrix have not run yet" if waiting else ""
    return [counts + ".", *([] if has_intervals(run) else [NO_INTERVAL])]


NO_INTERVAL = (
    "Timings are of one process for each cell, without a paired interval yet: do not cite their "
    "differences as speed-ups."
)


def has_intervals(run: Run) -> bool:
    """Return whether every timed cell was measured in several rounds and carries an interval."""
    timed = [c for c in run.cells if c.status == "ok" and c.axes.scenario != "accuracy"]
    return bool(timed) and all(len(c.rounds) > 1 and "interval" in c.stats for c in timed)
