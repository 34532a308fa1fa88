"""What a run is, in rows of name and value: recipe, data, machine, commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.parity.certificate import Parity
from bench.statistics.samples import counted
from pose.recipe import Recipe
from reports.formats import TWIN_NAMES, minute, seconds
from reports.run.read import Run

UNKNOWN = "not recorded in run.json"


@dataclass(frozen=True)
class HeaderLine:
    """One line of the header."""

    name: str
    value: str
    code: bool = False
    """Set as code: a path, a command or a checksum."""


def header(run: Run) -> list[tuple[str, list[HeaderLine]]]:
    """Return what the run is, in groups: recipe, data, machine and, once climbed, the ladder."""
    groups = [("Recipe", _recipe(run)), ("Data", _data(run)), ("Machine", _machine(run))]
    return [*groups, ("Parity", _parity(run.parity))] if run.parity else groups


def _recipe(run: Run) -> list[HeaderLine]:
    facts = [HeaderLine("Name", run.name)]
    if run.recipe:
        model = run.recipe.model
        head = f"{model.deconv_layers} x {model.deconv_channels} transposed convolutions"
        facts += [
            HeaderLine("Network", f"{model.backbone}, {head}"),
            HeaderLine("Input", "{1}x{0} (height x width)".format(*model.input_size)),
            *(_imported(run) or _training(run.recipe)),
            HeaderLine("Evaluation", "flip test" if run.recipe.evaluation.flip_test else "no flip test"),
        ]
    return [*facts, HeaderLine("Threads", _said(run, "threads")), HeaderLine("Device", _said(run, "device"))]


def _training(recipe: Recipe) -> list[HeaderLine]:
    model, training = recipe.model, recipe.training
    return [
        HeaderLine("Weights at start", model.pretrained or f"random, seed {training.seed}"),
        HeaderLine(
            "Training",
            f"{training.epochs} epochs, batch {training.batch_size}, Adam {training.learning_rate:g}, "
            f"{training.schedule.kind} schedule, {training.precision}",
        ),
    ]


def _imported(run: Run) -> list[HeaderLine]:
    """Return where the weights came from that were not trained here, once for what both twins share."""
    found = {one["imported"]["sha256"]: one["imported"]["name"] for one in run.imported.values()}
    facts = [
        [HeaderLine("Weights", f"imported: {n}"), HeaderLine("File SHA-256", s, code=True)]
        for s, n in found.items()
    ]
    return [fact for pair in facts for fact in pair]


def _data(run: Run) -> list[HeaderLine]:
    # Names, not paths: a report is shown to others, and a path tells of one machine only.
    dataset = run.facts.get("dataset") or Path(_said(run, "coco")).name
    facts = [HeaderLine("Dataset", str(dataset)), HeaderLine("Boxes", Path(_said(run, "boxes")).name)]
    facts += [HeaderLine("Channel order", run.recipe.data.channel_order if run.recipe else UNKNOWN)]
    if run.split:
        counts = ", ".join(
            f"{name} {len(part.image_ids)} images with {len(part.annotation_ids)} people"
            for name, part in run.split.parts.items()
            if part
        )
        seed = "" if run.split.seed is None else f", seed {run.split.seed}"
        facts += [HeaderLine("Split", f"{run.split.method}{seed}: {counts}")]
        facts += [HeaderLine("Split SHA-256", run.split.sha256, code=True)]
        facts += [HeaderLine(f"{name} SHA-256", sha, code=True) for name, sha in run.split.sources.items()]
    return facts


def _machine(run: Run) -> list[HeaderLine]:
    machine: dict[str, Any] = run.facts.get("machine") or {}
    cpu = machine.get("cpu") or {}
    cores = cpu.get("usable_cores")
    flags = ", ".join(str(flag) for flag in cpu.get("flags") or [])
    memory = machine.get("memory_limit_bytes") or machine.get("memory_bytes")
    gpus = ", ".join(str(gpu.get("name")) for gpu in machine.get("gpus") or [])
    packages = machine.get("packages") or {}
    system = " ".join(str(machine[key]) for key in ("os", "kernel", "arch") if machine.get(key))
    facts = [
        HeaderLine("Processor", str(cpu.get("model") or UNKNOWN)),
        HeaderLine("Cores", f"{cores} usable of {cpu.get('logical', '?')} logical" if cores else UNKNOWN),
        HeaderLine("Instruction sets", flags or UNKNOWN),
        HeaderLine("Memory", f"{memory / 2**30:.1f} GiB" if memory else UNKNOWN),
        HeaderLine("GPU", gpus or "none"),
        HeaderLine("System", system or UNKNOWN),
        HeaderLine("Python", str(machine.get("python") or UNKNOWN)),
        HeaderLine("Packages", ", ".join(f"{k} {v}" for k, v in packages.items() if v) or UNKNOWN),
    ]
    return facts if machine else [HeaderLine("Machine", UNKNOWN)]


def _parity(parity: Parity) -> list[HeaderLine]:
    versions = ", ".join(f"{name} {version}" for name, version in (parity.versions or {}).items() if version)
    hashes = {t: w.get("sha256") for t, w in (parity.weights or {}).items() if isinstance(w, dict)}
    return [
        HeaderLine("Certificate", parity.id, code=True),
        HeaderLine("Verdict", parity.status),
        HeaderLine("Climbed", minute(parity.started) or UNKNOWN),
        HeaderLine("Time", UNKNOWN if parity.wall_s is None else seconds(parity.wall_s)),
        HeaderLine("Versions", versions or UNKNOWN),
        *(
            HeaderLine(f"{TWIN_NAMES.get(t, t)} weights SHA-256", str(sha), code=True)
            for t, sha in hashes.items()
            if sha
        ),
    ]


def _said(run: Run, key: str) -> str:
    value = run.facts.get(key)
    return UNKNOWN if value is None else str(value)


def subject(run: Run) -> str:
    """Return what was compared, on what machine, in one line."""
    backbone = run.recipe.model.backbone.replace("resnet", "ResNet-") if run.recipe else ""
    model = f", {backbone} pose network" if backbone else ""
    cpu = (run.facts.get("machine") or {}).get("cpu") or {}
    cores, name = cpu.get("usable_cores"), cpu.get("model")
    where = f", {counted(cores, 'core', 'cores')} of {name}" if isinstance(cores, int) and name else ""
    return f"{' and '.join(TWIN_NAMES.values())}{model}{where}"


def version(run: Run) -> str:
    """Return the version of twinpose that began the run."""
    return str(run.facts.get("twinpose") or "(version not recorded)")


def started(run: Run) -> str | None:
    """Return when the run began, to the minute in UTC, or None where that is not recorded."""
    return minute(run.facts.get("started"))
