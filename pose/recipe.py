"""The pydantic models of a recipe: everything that decides an accuracy, in one YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from pose import strict_yaml
from pose.errors import UserError
from pose.mistakes import did_you_mean, explain
from pose.section import Fraction, Positive, Section
from pose.training_section import Training

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


class Synthetic(Section):
    """The built-in dataset to render when no COCO folder is given."""

    train_images: Positive
    val_images: Positive
    seed: int = 0


class PartFiles(Section):
    """A part's COCO annotation file and the folder of its images, below the folder of --coco or absolute."""

    annotations: Annotated[str, Field(min_length=1)]
    images: Annotated[str, Field(min_length=1)]


class OwnFiles(Section):
    """One's own data set; a part that is not named lies where the official layout has it (none tests)."""

    train: PartFiles | None = None
    val: PartFiles | None = None
    test: PartFiles | None = None


class Data(Section):
    """Where samples come from. `synthetic` names the built-in dataset that `run` renders."""

    synthetic: Synthetic | None = None
    files: OwnFiles | None = None
    channel_order: Literal["rgb", "bgr"] = "rgb"
    pipeline: Literal["shared", "native"] = "shared"
    """`native`: each framework's own decoder and warp, to see what the framework itself gives."""

    @model_validator(mode="after")
    def _one_data_set(self) -> Data:
        if self.synthetic is not None and self.files is not None:
            raise ValueError(
                "synthetic and files are two data sets; give --set data.synthetic=null, or no files"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_absent_files(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Cells hash this section: those of the official layout keep the hash that they had before.
        return {key: value for key, value in dump(self).items() if (key, value) != ("files", None)}


class Split(Section):
    """How images are divided: the official files, or seeded fractions by image."""

    method: Literal["official", "fractions"] = "official"
    fractions: tuple[Fraction, Fraction, Fraction] = (0.8, 0.1, 0.1)
    sources: tuple[Literal["train2017", "val2017"], ...] = ("train2017",)
    seed: int = 0

    @model_validator(mode="after")
    def _fractions_sum_to_one(self) -> Split:
        if self.method == "fractions" and abs(sum(self.fractions) - 1) > 1e-9:
            raise ValueError(f"fractions {self.fractions} must sum to 1")
        if len(set(self.sources)) != len(self.sources) or not self.sources:
            raise ValueError(f"sources {self.sources} must name each annotation file once")
        return self


class Model(Section):
    """A ResNet body with a head of transposed convolutions (Xiao et al. 2018, section 3)."""

    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    input_size: tuple[Positive, Positive]
    """Width and height of the network's input, in pixels."""
    deconv_layers: Annotated[int, Field(ge=1, le=4)] = 3
    deconv_channels: Positive = 256
    sigma_px: Annotated[float, Field(gt=0)] = 2.0
    """Standard deviation of the target Gaussian, in heatmap pixels."""
    pretrained: str | None = None
    """`imagenet`, the path of a checkpoint, or null for a random start."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Model:
        if any(side % 32 for side in self.input_size):
            raise ValueError(f"input_size {self.input_size} must be multiples of 32 (the body's stride)")
        if not (self.sigma_px * 3).is_integer():
            raise ValueError(
                f"sigma_px {self.sigma_px}: 3 sigma must be whole pixels, or the window has no middle"
            )
        return self

    @property
    def heatmap_size(self) -> tuple[int, int]:
        """Width and height of the heatmaps, in pixels."""
        width, height = self.input_size
        up = 2**self.deconv_layers
        return width // 32 * up, height // 32 * up


class Evaluation(Section):
    """The reference's test protocol: flip test, rescoring, OKS-NMS."""

    batch_size: Positive = 32
    flip_test: bool = True
    shift_flipped: bool = True
    joint_threshold: Fraction = 0.2
    oks_nms_threshold: Fraction = 0.9


class Report(Section):
    """What the report prints of this recipe; null prints every epoch."""

    table_epochs: tuple[Positive, ...] | None = None


class Recipe(Section):
    """Everything that decides an accuracy."""

    name: str
    data: Data = Field(default_factory=Data)
    split: Split = Field(default_factory=Split)
    model: Model
    training: Training
    evaluation: Evaluation = Field(default_factory=Evaluation)
    report: Report = Field(default_factory=Report)
    matrix: str | None = None
    """The matrix that `run` benchmarks: a name in configs/matrices or a path; null skips the bench."""

    @model_validator(mode="after")
    def _native_pixels_keep_their_colours(self) -> Recipe:
        # The frameworks' own jitters are other augmentations (tf.image turns hues in HSV), not other pixels.
        augmentation = self.training.augmentation
        options = {"colour_jitter": augmentation.colour_jitter, "occlusion": augmentation.occlusion}
        given = [f"training.augmentation.{name}" for name, value in options.items() if value is not None]
        if self.data.pipeline == "native" and given:
            nothing = " ".join(f"--set {name}=null" for name in given)
            raise ValueError(f"data.pipeline native has no {' nor '.join(given)}; give {nothing}, or shared")
        return self

    def to_yaml(self) -> str:
        """Return the resolved recipe as YAML, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def shipped(kind: str) -> list[str]:
    """Return the names of the YAML files shipped under configs/`kind`."""
    return sorted(path.stem for path in (CONFIGS / kind).glob("*.yaml"))


def find(name_or_path: str, kind: str = "recipes") -> Path:
    """Return the path of a shipped YAML by name, or of the user's own by path.

    Raises UserError when neither exists, with the nearest names.
    """
    own = Path(name_or_path)
    if own.suffix in {".yaml", ".yml"}:
        if own.is_file():
            return own
        raise UserError(f"no file {own}; expected a YAML of {kind}, or one of: {', '.join(shipped(kind))}")
    if name_or_path in shipped(kind):
        return CONFIGS / kind / f"{name_or_path}.yaml"
    singular = {"recipes": "recipe", "matrices": "matrix"}.get(kind, kind)
    raise UserError(f"unknown {singular} '{name_or_path}'{did_you_mean(name_or_path, shipped(kind))}")


def load(name_or_path: str, overrides: list[str] | None = None) -> Recipe:
    """Return the recipe in a YAML file, `overrides` ("training.epochs=3") applied.

    A matrix of one's own is looked for beside the recipe, then from the working folder, and its path made
    absolute: a run has its matrix wherever one stands.
    Raises UserError for a missing file, malformed YAML, an unknown key or a wrong value.
    """
    path = find(name_or_path)
    raw = strict_yaml.read(path, "a recipe")
    if not isinstance(raw, dict):
        raise UserError(
            f"{path} holds a {type(raw).__name__}; expected a recipe (a mapping with 'name', 'model' ...)"
        )
    if _is_path(raw.get("matrix")) and (path.parent / raw["matrix"]).is_file():
        raw["matrix"] = str(path.parent / raw["matrix"])
    for override in overrides or []:
        _apply(raw, override)
    if _is_path(raw.get("matrix")):
        raw["matrix"] = str(Path(raw["matrix"]).absolute())
    return from_dict(raw, source=str(path))


def _is_path(name: Any) -> bool:
    """Return whether a matrix is named by its path, as `find` tells it from a shipped one."""
    return isinstance(name, str) and Path(name).suffix in {".yaml", ".yml"}


def from_dict(raw: dict[str, Any], source: str = "recipe") -> Recipe:
    """Return the recipe in a plain dict; UserError names `source` and the first wrong key."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{source}: {explain(error, Recipe)}") from error


def _apply(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"--set {override!r} is not KEY=VALUE; expected for example training.epochs=3")
    *parents, last = key.split(".")
    section = raw
    for parent in parents:
        value = section.get(parent)
        if value is None:
            value = section[parent] = {}
        if not isinstance(value, dict):
            raise UserError(f"--set {override!r}: '{parent}' is a value, not a section")
        section = value
    try:
        section[last] = strict_yaml.parse(text)
    except ValueError as error:
        raise UserError(f"--set {override!r}: the value is not YAML: {error}") from error
