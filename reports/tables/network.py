"""The table of the network: parameters and multiply-adds by stage, beside the reference's."""

from __future__ import annotations

from math import prod

from pose import architecture
from pose.architecture import Architecture, NetworkStage
from pose.recipe import Model
from reports.formats import Absent, Value
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table

REFERENCE = Model(backbone="resnet50", input_size=(192, 256), deconv_layers=3, deconv_channels=256)
REFERENCE_NAME = "Simple Baselines, ResNet-50 at 256x192"


def published_gflops(stages: tuple[NetworkStage, ...]) -> float:
    """Return the cost as the paper's code counts it: transposed convolutions at their output, in 1024^3.

    It gives 8.99 for ResNet-50 at 256x192, printed as 8.9 (Sun et al. 2019, table 1, of Xiao et al. 2018).
    """
    convs = [conv for stage in stages for conv in stage.convs]
    return sum(prod(conv.out_size) * prod(conv.weight_shape) for conv in convs) / 1024**3


def table(run: Run) -> Table | None:
    """Return a row for each stage, for the whole and for the reference; None where no recipe is stored."""
    if run.recipe is None:
        return None
    own, reference = architecture.build(run.recipe.model), architecture.build(REFERENCE)
    network = "{0} at {2}x{1}".format(run.recipe.model.backbone, *run.recipe.model.input_size)
    rows = [_row(stage.name, (stage,)) for stage in own.stages]
    whole, of_reference = _row(f"{network}, whole", own.stages), _row(REFERENCE_NAME, reference.stages)
    return Table(
        name="network",
        title="The network",
        columns=(
            Column("part", "Part"),
            Column("parameters", "Parameters", _thousands, "number"),
            Column("macs", "Multiply-adds", _millions, "number"),
            Column("published", "Published's GFLOPs", _two, "number"),
        ),
        rows=(
            *(Row(values, "Stages") for values in rows),
            Row(whole, "Network"),
            Row(of_reference, "Network"),
            Row(("this network is smaller by", *_reductions(own, reference)), "Network"),
        ),
        note="Trainable parameters, the same in both twins. Multiply-adds count a transposed convolution at "
        "its input, where it computes; the published figure counts it at its output, and divides by 1024³.",
        command=command(run, "run"),
        source="recipe.yaml",
        grouped_by="Kind",
    )


def _row(name: str, stages: tuple[NetworkStage, ...]) -> tuple[Value, ...]:
    whole = Architecture(stages)
    return name, whole.parameters, whole.macs, published_gflops(stages)


def _reductions(own: Architecture, reference: Architecture) -> tuple[Value, ...]:
    """Return how many times fewer parameters and multiply-adds the network has; nothing for the same one."""
    if own == reference:
        same = Absent("it is the reference", quiet=True)
        return same, same, same
    times = (
        reference.parameters / own.parameters,
        reference.macs / own.macs,
        published_gflops(reference.stages) / published_gflops(own.stages),
    )
    return tuple(f"{value:.2f}×" for value in times)


def _thousands(value: object) -> str:
    return value if isinstance(value, str) else f"{value:,}".replace(",", " ")


def _millions(value: object) -> str:
    return f"{value / 1e6:,.1f} M".replace(",", " ") if isinstance(value, int) else str(value)


def _two(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
