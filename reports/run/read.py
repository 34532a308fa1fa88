"""What a report needs of a run folder, read once; a part that is absent stays None or empty."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.cells.cell import TWINS
from bench.parity import certificate
from bench.parity.certificate import Parity
from bench.run import bench_file, conversion, journal, results, trainings
from bench.run.bench_file import BenchFile
from bench.run.conversion import Conversion
from bench.run.results import CellResult
from bench.verdicts import ap_differences, comparisons, noise_floor, peak_doubts
from bench.verdicts.comparisons import Comparison
from pose import recipe as recipes
from pose import splits
from pose.errors import UserError
from pose.files import read_bytes, read_json

T = TypeVar("T")


@dataclass(frozen=True)
class Epoch:
    """One line of epochs.jsonl; None where it holds null or nothing."""

    epoch: int
    lr: float | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    ap: float | None = None
    """COCO AP on the validation part, by ground-truth boxes."""
    train_s: float | None = None
    val_s: float | None = None


@dataclass(frozen=True)
class TrainingHistory:
    """What one twin's training left."""

    epochs: tuple[Epoch, ...]
    summary: dict[str, Any] = field(default_factory=dict)
    """summary.json; empty while the training is unfinished."""

    @property
    def best(self) -> Epoch | None:
        """Return the first epoch of the highest AP: the one that best.safetensors holds."""
        scored = [line for line in self.epochs if line.ap is not None]
        return max(scored, key=lambda line: (line.ap, -line.epoch)) if scored else None


@dataclass(frozen=True)
class Test:
    """test.json: the ten numbers by twin, or the reason why the split has no test part."""

    split: str | None
    split_sha256: str | None = None
    boxes: str | None = None
    channel_order: str | None = None
    twins: dict[str, dict[str, Any]] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class Prediction:
    """One person as a twin sees it."""

    keypoints: tuple[float, ...]
    """17 x (x, y, score), in image pixels."""
    score: float


@dataclass(frozen=True)
class Pick:
    """A person for whom an image is shown."""

    why: str
    """`best`, `median` or `worst` by the mean OKS of the twins; `apart` where those differ most."""
    annotation_id: int
    oks: dict[str, float]
    """By twin."""


@dataclass(frozen=True)
class SampleImage:
    """One image with its people: samples/samples.json and the JPEG beside it."""

    image: str
    """Path of the JPEG, relative to the run."""
    image_id: int
    width: int
    height: int
    ground_truth: tuple[tuple[float, ...], ...]
    """Per person 17 x (x, y, visibility 0, 1 or 2), in image pixels."""
    predictions: dict[str, tuple[Prediction, ...]]
    picks: tuple[Pick, ...] = ()
    """Why it is shown; () of an older version, which took every n-th."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder, read; one is equal to itself alone."""

    path: Path
    facts: dict[str, Any]
    recipe: recipes.Recipe | None = None
    split: splits.Manifest | None = None
    training: dict[str, TrainingHistory] = field(default_factory=dict)
    """By twin, of the recipe's own seed, the first."""
    further: dict[int, dict[str, TrainingHistory]] = field(default_factory=dict)
    """By seed, the trainings of further seeds; {} for a run of one."""
    test: Test | None = None
    conversions: dict[str, Conversion] = field(default_factory=dict)
    parity: Parity | None = None
    bench: BenchFile | None = None
    cells: tuple[CellResult, ...] = ()
    samples: tuple[SampleImage, ...] = ()
    comparisons: tuple[Comparison, ...] | None = None
    """Paired ratios and their verdicts; None before a bench that makes rounds in passes."""
    accuracies: tuple[ap_differences.ApDifference, ...] = ()
    """How far APs are apart, with intervals over images; () before a bench that kept matches."""
    passes: tuple[journal.Pass, ...] = ()
    """The sweeps over lanes, in the order in which they began, as the journal has them."""
    imported: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By twin, the summary of weights that took the place of its training."""
    mlperf: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the name of its file, what LoadGen said of a cell."""

    @property
    def by_seed(self) -> dict[int, dict[str, TrainingHistory]]:
        """Return the trainings of every seed, the first seed's first."""
        return {self.recipe.training.seed if self.recipe else 0: self.training, **self.further}

    @property
    def name(self) -> str:
        """Return the recipe's name, or the folder's where no recipe is stored."""
        return str(self.recipe.name if self.recipe else self.facts.get("name") or self.path.name)

    @property
    def boxes(self) -> str:
        """Return the detection file's name or `ground truth`: the boxes of all AP but that after an epoch."""
        said = (self.test.boxes if self.test else None) or self.facts.get("boxes") or "not recorded"
        return Path(str(said)).name

    @property
    def scored_on(self) -> str:
        """Return what an AP depends on beside the weights, as a note says it: boxes, channel order."""
        return f"Boxes: {self.boxes}.{self.order}"

    @property
    def order(self) -> str:
        """Return the channel order of the networks' input as a sentence; empty where no recipe is stored."""
        return f" Channel order: {self.recipe.data.channel_order}." if self.recipe else ""


def read(path: Path | str) -> Run:
    """Return the run in a folder.

    Raises UserError when the folder is no run, or when a file in it is malformed.
    """
    path = Path(path)
    if not (path / "run.json").is_file():
        raise UserError(
            f"{path} is no run folder (no run.json in it); expected one that 'twinpose run' made; "
            f"type: twinpose run --recipe demo --out {shlex.quote(str(path))}"
        )
    facts = _versioned(path / "run.json", results.RUN_SCHEMA, dict[str, Any])
    bench = path / "bench"
    recipe, split = path / "recipe.yaml", path / "split.json"
    cells = results.cells(path)
    return Run(
        path=path,
        facts=facts,
        recipe=recipes.load(str(recipe)) if recipe.is_file() else None,
        split=splits.read(split) if split.is_file() else None,
        training=_trainings(path),
        further={seed: left for seed, run in trainings.begun(path).items() if (left := _trainings(run))},
        imported={twin: given for twin in TWINS if (given := _imported(path / "train" / twin))},
        test=_optional(path / "test.json", Test),
        conversions={twin: found for twin in TWINS if (found := conversion.read(path, twin))},
        parity=certificate.read(path),
        bench=_bench(path, cells),
        cells=tuple(cells),
        samples=_optional(path / "samples" / "samples.json", tuple[SampleImage, ...]) or (),
        comparisons=comparisons.read(path),
        accuracies=tuple(ap_differences.differences(path)),
        passes=journal.passes(path),
        mlperf={p.stem: _json(p, dict[str, Any]) for p in sorted((bench / "mlperf").glob("*.json"))},
    )


def _bench(path: Path, cells: list[CellResult]) -> BenchFile | None:
    """Return bench.json with what older versions did not ask: the run's sight, doubts about ceilings."""
    record = bench_file.read(path)
    if record is None:
        return None
    seen = msgspec.structs.replace(record, noise=noise_floor.with_sight(record.noise))
    return peak_doubts.doubted(seen, cells)


def _versioned(path: Path, newest: int, kind: type[T]) -> T:
    raw = _json(path, dict[str, Any])
    results.require_known(path, raw, newest)
    return _as(path, raw, kind)


def _optional(path: Path, kind: type[T]) -> T | None:
    return _json(path, kind) if path.is_file() else None


def _json(path: Path, kind: type[T]) -> T:
    return _as(path, read_json(path, "a file that 'twinpose run' wrote"), kind)


def _as(path: Path, raw: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is not what 'twinpose run' writes ({error}); make it again") from error


def _imported(folder: Path) -> dict[str, Any] | None:
    summary = _optional(folder / "summary.json", dict[str, Any]) or {}
    return summary if isinstance(summary.get("imported"), dict) else None


def _trainings(run: Path) -> dict[str, TrainingHistory]:
    return {twin: left for twin in TWINS if (left := _training(run / "train" / twin))}


def _training(folder: Path) -> TrainingHistory | None:
    path = folder / "epochs.jsonl"
    if not path.is_file():
        return None
    lines = read_bytes(path, "a line of JSON an epoch").split(b"\n")
    # Only a line that ends with a newline is whole: training may be writing this moment.
    epochs = tuple(_epoch(path, line) for line in lines[:-1] if line.strip())
    summary = _optional(folder / "summary.json", dict[str, Any]) or {}
    return TrainingHistory(tuple(sorted(epochs, key=lambda line: line.epoch)), summary) if epochs else None


def _epoch(path: Path, line: bytes) -> Epoch:
    try:
        return msgspec.json.decode(line, type=Epoch)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} has a line that is no epoch ({error}); train again") from error
