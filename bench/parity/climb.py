"""What a climb proves: a run's trained weights and exports, or a recipe's network by itself."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import console
from bench.cells import matrix
from bench.cells.cell import TWINS, Cell
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS
from bench.data.built_in import make_data
from bench.machine import fingerprint
from bench.parity import certificate, document, kept_rungs, ladder
from bench.parity.certificate import Certificate, Parity
from bench.parity.rungs import arms
from bench.parity.rungs.arms import ArmKind, Precisions, Subject
from bench.parity.rungs.base import Context
from bench.parity.rungs.deployment import unjudged
from bench.run import artifacts
from bench.run import folder as folder_
from bench.run.folder import RunFolder
from pose import architecture, channel_order, splits, synthetic, weights
from pose.errors import Unsupported, UserError
from pose.files import make_folder, write_json
from pose.recipe import Recipe, Split

SCRATCH = "parity"
"""The folder of a climb's children and arrays; it goes when the climb passed."""
MARK = "climb.json"
"""In the scratch: by it a climb knows a folder that an earlier one made, and may empty."""
PEOPLE_IMAGES = (48, 16)
"""Rendered for a recipe of real images when no COCO folder is given: enough for a probe set."""


@dataclass(frozen=True)
class ClimbRequest:
    """What `twinpose parity` was asked for."""

    rungs: tuple[int, ...]
    command: str


def run_folder(run: RunFolder, wanted: ClimbRequest, measured: matrix.Matrix | None) -> Parity:
    """Climb for a run's trained twins and their exports; write and return its certificate.

    It keeps what the certificate before says of the rungs that are not wanted, where that still holds.
    """
    folder = _fresh(run.path / SCRATCH, wanted)
    generic = folder / "weights.safetensors"
    _save_weights(run.recipe, generic)
    context = Context(
        recipe=run.recipe,
        folder=folder,
        coco=run.settings.coco,
        split=run.split_file,
        weights=generic,
        threads=run.settings.threads,
        device=run.settings.device,
        places=measured.places if measured else {},
        say=console.say,
    )
    subjects = _subjects(run, measured)
    if not subjects and ladder.DEPLOYMENT in wanted.rungs:
        raise Unsupported(
            f"{run.path} has no trained twin to certify; 'twinpose train {run.quoted}' makes them, "
            "'twinpose parity --recipe' needs none"
        )
    return _climb(context, subjects, _lower(measured), wanted, run.path, _before(run.path))


def expected(run: RunFolder, measured: matrix.Matrix | None) -> list[Certificate]:
    """Return what rung 7 would look at now: of each arm and artifact a certificate without figures."""
    asked = [
        (subject, arm)
        for subject in _subjects(run, measured)
        for arm in arms.of(subject, _lower(measured), run.settings.device)
    ]
    hashes = {path: artifacts.artifact_sha256(path) for path in {arm.artifact for _, arm in asked}}
    places = measured.places if measured else {}
    return [unjudged(subject, arm, hashes[arm.artifact], places) for subject, arm in asked]


def _before(path: Path) -> Parity | None:
    """Return the run's certificate; None where there is none, or none that can be read."""
    try:
        return certificate.read(path)
    except UserError:  # the climb makes it anew
        return None


def _subjects(run: RunFolder, measured: matrix.Matrix | None) -> list[Subject]:
    return [_trained(run, twin, measured) for twin in TWINS if _best(run, twin).exists()]


def _best(run: RunFolder, twin: str) -> Path:
    return run.train_folder(twin) / "best.safetensors"


def _trained(run: RunFolder, twin: str, measured: matrix.Matrix | None) -> Subject:
    """Return a twin's best weights and exports; what the matrix measures of them takes part."""
    cells = measured.cells if measured else ()
    at_best = (twin, RUNTIMES[twin].at_best)
    compiled = any((cell.twin, cell.mode) == at_best for cell in cells)
    exports = {(file, twin): path for file, path in artifacts.exported(run.path, twin).items()}
    return Subject(
        name=twin,
        twin=twin,
        weights=_best(run, twin),
        exports=exports,
        compiled=(twin,) if compiled else (),
        also=_kinds([cell for cell in cells if cell.twin == twin]),
    )


def _kinds(cells: Sequence[Cell]) -> tuple[ArmKind, ...]:
    """Return what cells run, each once: not of a loader, nor on a GPU that is not here."""
    asked = dict.fromkeys(
        (c.runtime, c.mode, c.precision, c.device) for c in cells if SCENARIOS[c.scenario].runs_network
    )
    here = {"cuda": any(kind[3] == "cuda" for kind in asked) and bool(fingerprint.gpus())}
    return tuple(kind for kind in asked if here.get(kind[3], True))


def _lower(measured: matrix.Matrix | None) -> Precisions:
    """Return by runtime the precisions below fp32 that a matrix measures."""
    found: dict[str, list[str]] = {}
    for cell in measured.cells if measured else ():
        if cell.precision != "fp32" and cell.precision not in found.setdefault(cell.runtime, []):
            found[cell.runtime].append(cell.precision)
    return found


def recipe(
    resolved: Recipe,
    out: Path,
    wanted: ClimbRequest,
    *,
    coco: Path | None,
    given: Path | None,
    threads: int,
    device: str = "cpu",
) -> Parity:
    """Climb for a recipe's network with `given` weights, or generic ones; write and return its certificate.

    Without `coco` the recipe's built-in dataset is rendered, or a small one for a recipe that has none.
    Raises UserError when `out` is a run, holds a scratch folder that no climb made, or another climbs there.
    """
    _require_free(out)
    require_device(device)
    make_folder(out)
    with folder_.exclusive(out):
        people, manifest = _data(resolved, out / "data", coco)
        folder = _fresh(out / SCRATCH, wanted)
        context = Context(
            recipe=resolved,
            folder=folder,
            coco=people,
            split=folder / "split.json",
            weights=folder / "weights.safetensors",
            threads=threads,
            device=device,
            say=console.say,
        )
        splits.save(manifest, context.split)
        _save_weights(resolved, context.weights, given)
        subjects = []
        if ladder.DEPLOYMENT in wanted.rungs:
            name = "probe" if given is None else "imported"
            subjects = [arms.converted(context, name, "torch", context.weights)]
        return _climb(context, subjects, {}, wanted, out)


def _data(resolved: Recipe, folder: Path, coco: Path | None) -> tuple[Path, splits.Manifest]:
    """Return where the data of a climb for a recipe lie, rendered into `folder` if need be, and the split."""
    if coco is not None:
        return coco, splits.of(resolved, coco)
    if resolved.data.synthetic is not None:
        make_data(resolved, folder)
        return folder, splits.of(resolved, folder)
    synthetic.make(folder, train_images=PEOPLE_IMAGES[0], val_images=PEOPLE_IMAGES[1], seed=0)
    return folder, splits.make(Split(), folder)


def require_device(device: str | None) -> None:
    """Raise UserError for a GPU that is not here: a climb that looked at nothing would pass."""
    if device == "cuda" and not fingerprint.gpus():
        raise UserError(
            "--device cuda: nvidia-smi sees no GPU here; expected a machine with one, or no --device"
        )


def _require_free(out: Path) -> None:
    """Raise UserError when a climb into `out` would overwrite what it did not make."""
    if (out / "run.json").exists():
        raise UserError(
            f"--out {out} is a run, whose certificate would be overwritten; expected a folder of its own; "
            f"'twinpose parity {shlex.quote(str(out))}' certifies the run"
        )
    scratch = out / SCRATCH
    # A link may lead anywhere, even to another climb's.
    ours = scratch.is_dir() and not scratch.is_symlink() and (scratch / MARK).is_file()
    empty = scratch.is_dir() and not scratch.is_symlink() and not any(scratch.iterdir())
    if (scratch.exists() or scratch.is_symlink()) and not ours and not empty:
        raise UserError(
            f"{scratch} was not made by 'twinpose parity', which would empty it; "
            "expected no such folder; move it, or give another --out"
        )


def _fresh(folder: Path, wanted: ClimbRequest) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    write_json(folder / MARK, {"command": wanted.command})
    return folder


def _save_weights(resolved: Recipe, path: Path, given: Path | None = None) -> None:
    """Write the weights that rungs 2 to 5 load: `given` ones, or generic ones."""
    described = architecture.build(resolved.model)
    if given is None:
        weights.save(path, weights.generic(described, resolved.training.seed))
    else:
        weights.save(path, weights.load(given, described))
        channel_order.require(given, resolved)


def _climb(
    context: Context,
    subjects: Sequence[Subject],
    lower: Precisions,
    wanted: ClimbRequest,
    out: Path,
    before: Parity | None = None,
) -> Parity:
    started = datetime.now(UTC)
    rungs, facts = ladder.climb(context, subjects, lower, wanted.rungs)
    found = document.document(context, rungs, facts, subjects, wanted.command, started, before)
    kept_rungs.say(found, context.say)
    document.write(found, out)
    if found.status == "pass":
        shutil.rmtree(context.folder)
    return found
