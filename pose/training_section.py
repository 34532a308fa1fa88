"""The part of a recipe that says how a network is trained: schedule, augmentation, early stopping."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pose.section import Fraction, Positive, Section


class ColourJitter(Section):
    """Factors drawn uniformly from [1 - x, 1 + x]; an option of the study, off in the reference."""

    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    saturation: Fraction = 0.0


class Occlusion(Section):
    """With probability `p`, one rectangle of the input is painted with the image's mean colour."""

    p: Fraction = 0.0
    min_area: Fraction = 0.02
    max_area: Fraction = 0.15


class Augmentation(Section):
    """Random changes to a training sample, in the order of the reference."""

    scale: Fraction = 0.3
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 40.0
    rotation_p: Fraction = 0.6
    flip_p: Fraction = 0.5
    colour_jitter: ColourJitter | None = None
    occlusion: Occlusion | None = None


class StepSchedule(Section):
    """The rate is multiplied by `factor` when each of the `epochs` (counted from 1) has ended."""

    kind: Literal["step"] = "step"
    epochs: tuple[Positive, ...] = ()
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1


class PlateauSchedule(Section):
    """The rate is multiplied by `factor` after more than `patience` epochs without progress.

    Progress is a validation loss below best x (1 - threshold): the threshold is relative.
    """

    kind: Literal["plateau"] = "plateau"
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=0)] = 10
    threshold: Annotated[float, Field(ge=0)] = 1e-4
    min_lr: Annotated[float, Field(ge=0)] = 0.0


class EarlyStopping(Section):
    """Training ends after more than `patience` epochs without a higher validation AP."""

    patience: Positive = 10


class Training(Section):
    """One run of Adam over the training part."""

    epochs: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    schedule: StepSchedule | PlateauSchedule = Field(default_factory=StepSchedule, discriminator="kind")
    early_stopping: EarlyStopping | None = None
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    optimizer: Literal["aligned", "stock"] = "aligned"
    """`stock`: each framework's own Adam and batch norm, to see what the defaults alone do."""
    seed: int = 0
    augmentation: Augmentation = Field(default_factory=Augmentation)
