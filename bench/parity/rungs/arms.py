"""What rung 7 runs: one set of weights on every runtime, each in a child of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.artifacts import ArtifactFile
from bench.cells.cell import TWINS
from bench.cells.runtimes import RUNTIMES, Runtime, exports
from bench.contract import Emit, RunnerSpec
from bench.parity.rungs.base import Context
from bench.process.launch import ChildFailed
from bench.process.worker import resolve
from bench.scenarios.accuracy import in_batches
from pose import architecture, bootstrap, evaluate, inference, recipe, splits, weights
from pose.errors import Unsupported, UserError
from pose.files import replacing

BATCH = 8
"""Images in every call: as many as conversion exports with, so that a graph of a static batch takes part."""

Precisions = Mapping[str, Sequence[str]]

ArmKind = tuple[str, str, str, str]
"""Runtime, mode, precision and device."""


@dataclass(frozen=True)
class Subject:
    """One set of canonical weights and what was made of them."""

    name: str
    """Whose weights they are, as the table says it: `tf`, `torch`, `imported` or `probe`."""
    twin: str
    """The twin whose framework is the source that every other arm is compared with."""
    weights: Path
    """Canonical safetensors."""
    exports: Mapping[tuple[ArtifactFile, str], Path] = field(default_factory=dict)
    """By (file, twin): what a conversion of these weights through that twin should have left."""
    compiled: tuple[str, ...] = TWINS
    """The frameworks whose compiler takes part: torch.compile and XLA take most of a climb's time."""
    reference: Path | None = None
    """The probe set's heatmaps (N, K, h, w) in float64, as .npy; made by the twin's probe when None."""
    also: tuple[ArmKind, ...] = ()
    """What else is measured of these weights, and is to be certified with the rest."""


@dataclass(frozen=True)
class RuntimeArm:
    """One runtime, as it is asked to run one artifact."""

    runtime: str
    mode: str
    precision: str
    artifact: Path
    through: str | None = None
    """The twin that the artifact was made through, where either may be."""
    device: str = "cpu"
    batch: int | None = None
    """That the artifact is for; None where it takes any."""

    @property
    def name(self) -> str:
        """Return the name in a table: "openvino ir fp32 through tf"; the device where it is not the CPU."""
        words = f"{self.runtime} {self.mode} {self.precision}"
        words += f" b{self.batch}" if self.batch else ""
        words += f" through {self.through}" if self.through else ""
        return words if self.device == "cpu" else f"{words} on {self.device}"

    @property
    def kind(self) -> ArmKind:
        """Return runtime, mode, precision and device."""
        return self.runtime, self.mode, self.precision, self.device


@dataclass(frozen=True, eq=False)
class Ran:
    """What became of an arm."""

    arm: RuntimeArm
    status: str
    """`ok`, `unsupported` or `failed`."""
    reason: str | None = None
    heatmaps: np.ndarray | None = None
    """(N, K, h, w) float32, of the probe set."""
    matches: bootstrap.Matches | None = None
    """Which of its predictions of the validation part are right; None where that part was not predicted."""


def of(subject: Subject, lower: Precisions, device: str = "cpu") -> list[RuntimeArm]:
    """Return the arms of one set of weights, the source's own first, then `lower` precisions and `also`.

    device: where all but what `also` names are run; what does not exist there stays on the CPU.
    """
    standard = _standard(subject, lower)
    there = [device in RUNTIMES[arm.runtime].devices for arm in standard]
    found = [replace(arm, device=device) if on else arm for arm, on in zip(standard, there, strict=True)]
    kinds = {arm.kind for arm in found if arm.through in {None, subject.twin}}
    return [*found, *(arm for kind in subject.also if kind not in kinds for arm in _also(subject, kind))]


def _also(subject: Subject, kind: ArmKind) -> list[RuntimeArm]:
    """Return the arm of what a cell of these weights runs; none where its artifact was not made."""
    runtime, mode, precision, device = kind
    asked = [replace(arm, device=device) for arm in _loading(subject, RUNTIMES[runtime], mode, precision)]
    return [arm for arm in asked if arm.through in {None, subject.twin} and arm.artifact.exists()]


def _standard(subject: Subject, lower: Precisions) -> list[RuntimeArm]:
    twins = sorted(TWINS, key=lambda twin: twin != subject.twin)
    own = [RuntimeArm(twin, RUNTIMES[twin].as_shipped, "fp32", subject.weights) for twin in twins]
    compiled = [
        RuntimeArm(twin, mode, "fp32", subject.weights)
        for twin in twins
        if twin in subject.compiled and (mode := RUNTIMES[twin].at_best)
    ]
    others = [
        arm
        for one in RUNTIMES.values()
        if not one.is_framework
        for arm in _loading(subject, one, one.as_shipped, "fp32")
        if _is_always_made(arm, subject)
    ]
    reported = [
        lowered
        for arm in (*own, *others)
        for precision in lower.get(arm.runtime, ())
        for lowered in _loading(subject, RUNTIMES[arm.runtime], arm.mode, precision)
        if lowered.through == arm.through
    ]
    return [*own, *compiled, *others, *reported]


def _is_always_made(arm: RuntimeArm, subject: Subject) -> bool:
    """Return whether no matrix has to ask for what an arm loads."""
    wanted = RUNTIMES[arm.runtime].artifact(arm.mode, arm.precision)
    return not wanted.is_export or (arm.through or subject.twin) in wanted.always


def _loading(subject: Subject, runtime: Runtime, mode: str, precision: str) -> list[RuntimeArm]:
    """Return a runtime's arms: one for each twin that what it loads was made through, and for each batch.

    None for an artifact that is made on demand, as a quantised one is, and that nothing asked for.
    """
    wanted = runtime.artifact(mode, precision)
    if not wanted.is_export:
        return [RuntimeArm(runtime.name, mode, precision, subject.weights)]
    return [
        RuntimeArm(
            runtime.name,
            mode,
            precision,
            path,
            through=twin if len(wanted.twins) > 1 else None,
            batch=file.batch,
        )
        for (file, twin), path in subject.exports.items()
        if file.artifact == wanted and (path.exists() or twin in wanted.always)
    ]


def run(context: Context, subject: Subject, arm: RuntimeArm, runner: str, probe: Path, truth: Any) -> Ran:
    """Return what `runner` ("module:class") makes of the arm, in a child that its runtime's plant reaches.

    probe: .npz with `images`; truth: the validation part's COCO ground truth, or None to leave it out.
    """
    if not arm.artifact.exists():
        return Ran(arm, "failed", f"no file {arm.artifact}; expected what a conversion leaves")
    out = context.folder.resolve() / "deployment" / f"{subject.name} {arm.name}".replace(" ", "-")
    out.mkdir(parents=True, exist_ok=True)
    spec = RunnerSpec(
        recipe=context.recipe.model_dump(mode="json"),
        artifact=str(arm.artifact.resolve()),
        mode=arm.mode,
        precision=arm.precision,
        device=arm.device,
        threads=context.threads,
        batch=arm.batch or BATCH,
    )
    payload = {
        "runner": runner,
        "spec": asdict(spec),
        "probe": probe.resolve(),
        "coco": context.coco.resolve(),
        "split": context.split.resolve(),
        "out": out,
        "predictions": truth is not None,
    }
    try:
        context.call(arm.runtime, "bench.parity.rungs.arms:infer", payload, device=arm.device)
    except Unsupported as error:
        return Ran(arm, "unsupported", str(error))
    except (ChildFailed, UserError) as error:
        return Ran(arm, "failed", str(error))
    heatmaps, path = np.load(out / "heatmaps.npy"), out / "predictions.json"
    matches = None
    if truth is not None and path.exists():
        matches = bootstrap.match(evaluate.read_predictions(path, truth), truth)
    return Ran(arm, "ok", None, heatmaps, matches)


def infer(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write the probe set's heatmaps and, if asked, predictions of the validation part (in the child)."""
    spec, out = RunnerSpec(**payload["spec"]), Path(payload["out"])
    runner = resolve(payload["runner"])(spec)
    whole = in_batches(runner.infer, spec.batch)
    with np.load(payload["probe"]) as stored:
        heatmaps = whole(stored["images"])
    _save(out / "heatmaps.npy", heatmaps)
    # Of heatmaps with a NaN there are no keypoints; the probe set says so.
    if payload["predictions"] and np.isfinite(heatmaps).all():
        resolved, manifest = recipe.from_dict(spec.recipe), splits.read(Path(payload["split"]))
        inputs = inference.Inputs(resolved, Path(payload["coco"]), manifest, "val")
        evaluate.save_predictions(out / "predictions.json", inference.predict(_finite(whole), inputs))
    return {"effective": runner.effective()}


def _finite(infer: inference.Infer) -> inference.Infer:
    """Return `infer` that raises FloatingPointError for heatmaps that hold a NaN or an infinity."""

    def checked(images: np.ndarray) -> np.ndarray:
        heatmaps = infer(images)
        if not np.isfinite(heatmaps).all():
            raise FloatingPointError("a heatmap of the validation part is not a number")
        return heatmaps

    return checked


def reference(context: Context, subject: Subject, probe: Path) -> np.ndarray:
    """Return the probe set's heatmaps (N, K, h, w) in float64, by the source twin where none are given."""
    path = subject.reference
    if path is None:
        path = context.folder.resolve() / "deployment" / f"{subject.name}-float64.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        payload = {
            "twin": subject.twin,
            "recipe": context.recipe.model_dump(mode="json"),
            "weights": subject.weights.resolve(),
            "threads": context.threads,
            "probe": probe.resolve(),
            "out": path,
        }
        context.call(subject.twin, "bench.parity.rungs.arms:infer_float64", payload)
    return np.asarray(np.load(path), np.float64)


def infer_float64(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write the heatmaps of one twin's float64 probe in evaluation mode (in the child)."""
    twin, resolved = payload["twin"], recipe.from_dict(payload["recipe"])
    resolve(f"{twin}_impl.train:setup")("cpu", payload["threads"])
    probe = resolve(f"{twin}_impl.probe:Probe")(resolved, "float64")
    probe.load(weights.load(Path(payload["weights"]), architecture.build(resolved.model)))
    forward = in_batches(partial(probe.forward, training=False), BATCH)
    with np.load(payload["probe"]) as stored:
        _save(Path(payload["out"]), forward(stored["images"]))
    return {}


def converted(context: Context, name: str, twin: str, weights_path: Path) -> Subject:
    """Return the subject of `weights_path` after converting it through each twin.

    A conversion that failed leaves no file, and its arm fails; one that is unsupported here has no arm.
    """
    made = context.together(
        *(partial(_converted, context, name, through, exports(through), weights_path) for through in TWINS)
    )
    return Subject(name, twin, weights_path, {file: path for one in made for file, path in one.items()})


def _converted(
    context: Context, name: str, through: str, files: list[ArtifactFile], weights_path: Path
) -> dict[tuple[ArtifactFile, str], Path]:
    """Return by (file, twin) what one conversion child should have left."""
    made = {}
    out = context.folder.resolve() / "deployment" / name / through
    payload = {
        "recipe": context.recipe.model_dump(mode="json"),
        "split": context.split.resolve(),
        "coco": context.coco.resolve(),
        "twin": through,
        "weights": weights_path.resolve(),
        "formats": [{"kind": file.kind, "batch": file.batch} for file in files],
        "out": out,
    }
    try:
        routes = context.call(through, "bench.artifacts.convert:convert", payload)["routes"]
    except (Unsupported, ChildFailed) as error:
        status = "unsupported" if isinstance(error, Unsupported) else "failed"
        routes = [{"status": status, "reason": str(error)} for _ in files]
    for file, route in zip(files, routes, strict=True):
        if route["status"] != "ok":
            context.say(f"{file.name} through {through}: {route['status']}: {route['reason']}")
        if route["status"] != "unsupported":
            made[file, through] = out / file.name
    return made


def _save(path: Path, values: np.ndarray) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as handle:
        np.save(handle, values)
