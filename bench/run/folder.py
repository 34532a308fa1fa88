"""A run folder: what one `twinpose run` made, and which of its stages are done."""

from __future__ import annotations

import fcntl
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from bench.run import results
from pose import recipe, splits
from pose.errors import UserError
from pose.files import TEMPORARY, leftovers, make_folder, read_json, write_json
from pose.recipe import Recipe

GROUND_TRUTH = "ground truth"
"""What run.json calls the boxes where there are no detections."""


class RunFacts(TypedDict):
    """run.json."""

    schema: Literal[1]
    twinpose: NotRequired[str]
    """The version that made the run."""
    name: NotRequired[str]
    """Of the recipe."""
    coco: str
    """Where the data set lies: absolute, or below the run."""
    dataset: NotRequired[str]
    """What the data set is called."""
    split_sha256: NotRequired[str]
    boxes: str
    """The detection file, or `ground truth`."""
    boxes_sha256: NotRequired[str | None]
    device: str
    threads: int
    workers: int
    seeds: NotRequired[int]
    """How many seeds each twin is to be trained with; 1 where it is absent."""
    stages: dict[str, dict[str, Any]]
    """What became of each, by name."""
    machine: NotRequired[dict[str, Any]]
    """`bench.machine.fingerprint`'s."""
    started: NotRequired[str]
    """ISO 8601, UTC."""
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
        return run_facts(self.path)

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


def run_facts(path: Path) -> dict[str, Any]:
    """Return the content of run.json; UserError where it is absent, malformed or newer than this version."""
    file, expected = path / "run.json", "a run folder that 'twinpose run' or 'twinpose train' made"
    facts: dict[str, Any] = read_json(file, expected)
    results.require_known(file, facts, results.RUN_SCHEMA)
    try:
        msgspec.convert(facts, RunFacts)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{file} is no run description of schema {results.RUN_SCHEMA} ({error}); expected {expected}"
        ) from error
    return facts


def opened(path: Path, coco: Path | None = None) -> RunFolder:
    """Return an existing run folder; UserError when it is none, or not whole.

    coco: where the data set lies now, which is recorded; UserError unless it is the run's.
    """
    facts = run_facts(path)
    boxes = facts["boxes"]
    settings = Settings(
        coco=path / facts["coco"],
        boxes=None if boxes == GROUND_TRUTH else Path(boxes),
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
        run_facts(path)
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
    found = {one.name for one in path.iterdir()} if path.is_dir() else set()
    names = {name for name in found if not name.startswith(TEMPORARY)}
    if (path.exists() and not path.is_dir()) or (names and not (LOCK in names and names <= _MADE_BEFORE)):
        raise UserError(f"{path} exists and is no run folder; expected a new or an empty folder for --out")
