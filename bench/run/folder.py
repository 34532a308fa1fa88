"""A run folder: what one `twinpose run` made, and which of its stages are done."""

from __future__ import annotations

import fcntl
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from bench.artifacts import checkpoints
from bench.machine import fingerprint
from bench.run import results
from pose import __version__, architecture, channel_order, coco, recipe, splits, weights
from pose.errors import UserError
from pose.files import leftovers, make_folder, read_json, write_json, write_text
from pose.recipe import Recipe


class _Facts(TypedDict):
    """What must be in run.json, among the rest."""

    schema: Literal[1]
    coco: str
    boxes: str
    device: str
    threads: int
    workers: int
    stages: dict[str, dict[str, Any]]
    machine: NotRequired[dict[str, Any]]
    started: NotRequired[str]
    command: NotRequired[str]


@dataclass(frozen=True)
class Settings:
    """What of a run is no part of the recipe: where the data lies and what computes."""

    coco: Path
    boxes: Path | None
    device: str
    threads: int
    workers: int


@dataclass(frozen=True)
class RunFolder:
    """A prepared run folder."""

    path: Path
    recipe: Recipe
    settings: Settings

    @property
    def quoted(self) -> str:
        """Return the path as a shell takes it, for a command to type."""
        return shlex.quote(str(self.path))

    @property
    def split_file(self) -> Path:
        """Return the path of the split's manifest."""
        return self.path / "split.json"

    @property
    def initial_weights(self) -> Path:
        """Return the path of the weights that both twins start from."""
        return self.path / "weights" / "init.safetensors"

    def train_folder(self, twin: str) -> Path:
        """Return the folder of a twin's training."""
        return self.path / "train" / twin

    def artifact_folder(self, twin: str) -> Path:
        """Return the folder of a twin's IR and ONNX."""
        return self.path / "artifacts" / twin

    def facts(self) -> dict[str, Any]:
        """Return the content of run.json."""
        return _read_facts(self.path)

    def record(self, stage: str, fields: dict[str, Any]) -> None:
        """Write what became of a stage into run.json."""
        facts = self.facts()
        facts["stages"][stage] = fields
        write_json(self.path / "run.json", facts)

    @contextmanager
    def stage(self, name: str, command: str) -> Iterator[None]:
        """Time a block and record it in run.json as done when it ends well."""
        started = time.perf_counter()
        yield
        wall_s = round(time.perf_counter() - started, 3)
        self.record(name, {"status": "done", "wall_s": wall_s, "command": command})


def _read_facts(path: Path) -> dict[str, Any]:
    file, expected = path / "run.json", "a run folder that 'twinpose run' or 'twinpose train' made"
    facts: dict[str, Any] = read_json(file, expected)
    results.require_known(file, facts, results.RUN_SCHEMA)
    try:
        msgspec.convert(facts, _Facts)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{file} is no run description of schema {results.RUN_SCHEMA} ({error}); expected {expected}"
        ) from error
    return facts


def opened(path: Path, coco: Path | None = None) -> RunFolder:
    """Return an existing run folder; UserError when it is none, or not whole.

    coco: where the data set lies now, which is recorded; UserError unless it is the run's.
    """
    facts = _read_facts(path)
    boxes = facts["boxes"]
    settings = Settings(
        coco=path / facts["coco"],
        boxes=None if boxes == "ground truth" else Path(boxes),
        device=facts["device"],
        threads=facts["threads"],
        workers=facts["workers"],
    )
    run = RunFolder(path, recipe.load(str(path / "recipe.yaml")), settings)
    return run if coco is None else at_new_place(run, coco)


def at_new_place(run: RunFolder, coco: Path) -> RunFolder:
    """Return the run with its data set in the folder `coco`, where the same annotation files must lie."""
    if coco.resolve() == run.settings.coco.resolve():
        return run
    try:
        splits.require_sources(splits.read(run.split_file), coco)
    except UserError as error:
        made_with = f"{run.path} was made with coco {run.settings.coco}"
        raise UserError(f"{made_with}, and --coco {coco} is another data set: {error}") from error
    write_json(run.path / "run.json", run.facts() | {"coco": str(coco.resolve())})
    return opened(run.path)


def prepare(path: Path, wanted: Recipe, settings: Settings, given: Path | None = None) -> RunFolder:
    """Return the run folder at `path` for a recipe, made if it is not there yet.

    given: canonical weights that are to be measured and not trained, which then are the initial ones too.
    Fixes the split, the ground truth and the initial weights. Raises UserError when the folder
    holds a run of another recipe, dataset or settings, and when the detections have no box for a
    part that will be predicted. That the folder is ours to write in is for `locked` to say.
    """
    if (path / "run.json").exists():
        existing = opened(path)
        require_recipe(existing, wanted)
        _require_settings(existing, settings)
        return at_new_place(existing, settings.coco)
    # Weights that are given need no training part.
    manifest = (splits.of_what_is_there if given else splits.of)(wanted, settings.coco)
    _check_boxes(manifest, settings)
    splits.save(manifest, path / "split.json")
    write_text(path / "recipe.yaml", wanted.to_yaml())
    for part, name in (("val", "ground_truth.json"), ("test", "ground_truth_test.json")):
        if manifest.parts.get(part):
            write_json(path / name, splits.ground_truth(manifest, settings.coco, part), indent=None)
    if given is None:
        _write_initial(path / "weights" / "init.safetensors", wanted)
    else:
        described = architecture.build(wanted.model)
        order = {channel_order.KEY: wanted.data.channel_order}
        weights.save(path / "weights" / "init.safetensors", weights.load(given, described), order)
    facts = {
        "schema": results.RUN_SCHEMA,
        "twinpose": __version__,
        "name": wanted.name,
        "command": shlex.join(["twinpose", *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "coco": "data" if settings.coco == path / "data" else str(settings.coco.resolve()),
        "dataset": "rendered people"
        if wanted.data.synthetic and settings.coco == path / "data"
        else settings.coco.name,
        "boxes": str(settings.boxes.resolve()) if settings.boxes else "ground truth",
        "device": settings.device,
        "threads": settings.threads,
        "workers": settings.workers,
        "split_sha256": manifest.sha256,
        "machine": fingerprint.fingerprint(),
        "stages": {},
    }
    write_json(path / "run.json", facts)
    return opened(path)


def _check_boxes(manifest: splits.Manifest, settings: Settings) -> None:
    if settings.boxes is not None:
        for part in ("val", "test"):
            if manifest.parts.get(part):
                coco.with_detections(splits.select(manifest, settings.coco, part), settings.boxes)


def require_recipe(existing: RunFolder, wanted: Recipe) -> None:
    """Raise UserError naming the values in which a run's recipe differs from `wanted`."""
    changed = _differences(existing.recipe.model_dump(mode="json"), wanted.model_dump(mode="json"))
    if changed:
        raise UserError(
            f"{existing.path} was made with another recipe ({'; '.join(changed[:3])}); "
            "use a new --out folder, or the recipe and --set that it was made with"
        )


def _require_settings(existing: RunFolder, settings: Settings) -> None:
    ours, theirs = _comparable(existing.settings), _comparable(settings)
    for name, value in ours.items():
        if value != theirs[name]:
            raise UserError(
                f"{existing.path} was made with {name} {value}, not {theirs[name]}; "
                f"give the same --{name}, or a new --out"
            )


def _comparable(settings: Settings) -> dict[str, Any]:
    boxes = settings.boxes.resolve() if settings.boxes else "ground truth"
    return {name: value for name, value in asdict(settings).items() if name != "coco"} | {"boxes": boxes}


def _differences(stored: Any, given: Any, key: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(given, dict):
        keys = [*stored, *(k for k in given if k not in stored)]
        return [d for k in keys for d in _differences(stored.get(k), given.get(k), f"{key}.{k}".lstrip("."))]
    return [] if stored == given else [f"{key}: {stored} there, {given} given"]


def _write_initial(path: Path, wanted: Recipe) -> None:
    described = architecture.build(wanted.model)
    made = weights.initial(described, wanted.training.seed)
    source = wanted.model.pretrained
    if source is not None:
        body = path.with_name("pretrained.safetensors")
        checkpoints.read(source, wanted.model, body)
        made = weights.overlay(made, weights.read(body), source)
    order = {channel_order.KEY: wanted.data.channel_order}
    weights.save(path, made, {"seed": wanted.training.seed, "pretrained": source, **order})


LOCK = ".lock"
_MADE_BEFORE = {
    LOCK,
    "data",
    "split.json",
    "recipe.yaml",
    "ground_truth.json",
    "ground_truth_test.json",
    "weights",
}
"""What an interrupted preparation may have left; the lock is made first and run.json last."""


@contextmanager
def locked(path: Path, *, create: bool = False) -> Iterator[None]:
    """Hold the run folder for this process; UserError when another one works on it.

    Only with `create` is a folder made that is not there, and only an empty one is taken, or what an
    interrupted preparation left: in any other nothing is touched. A new folder in which nothing came to
    be goes again.
    """
    new = create and not (path / "run.json").exists()
    if new:
        _require_free(path)
        make_folder(path)
    else:
        _read_facts(path)
    with exclusive(path):
        for leftover in leftovers(path, but={"data"}):
            leftover.unlink(missing_ok=True)
        try:
            yield
        finally:
            if new and [one.name for one in path.iterdir()] == [LOCK]:
                (path / LOCK).unlink()
                path.rmdir()


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a folder for this process; UserError when another one works there."""
    try:
        handle = open(path / LOCK, "a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"cannot write in {path}: {error.strerror}; expected a writable folder") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"another twinpose process works on {path}; wait for it, or use another --out"
            ) from error
        yield


def _require_free(path: Path) -> None:
    """Raise UserError where `path` is neither absent, nor empty, nor an interrupted preparation of a run."""
    names = {one.name for one in path.iterdir()} if path.is_dir() else set()
    if (path.exists() and not path.is_dir()) or (names and not (LOCK in names and names <= _MADE_BEFORE)):
        raise UserError(f"{path} exists and is no run folder; expected a new or an empty folder for --out")
