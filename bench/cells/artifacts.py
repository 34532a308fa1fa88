"""The one table of the files that runtimes load: what each is made of, by what, and when.

A kind of file is added as one row, and as the maker that the row names.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.cells.cell import TWINS


@dataclass(frozen=True)
class Artifact:
    """A kind of file that runtimes load."""

    kind: str
    file: str
    """Its name. One with `{batch}` in it is made for each batch that the matrix measures, static: where
    another batch costs time, or is refused."""
    twins: tuple[str, ...] = TWINS
    """Those that it can be made of."""
    always: tuple[str, ...] = ()
    """Those of which a conversion makes it unasked; of the others only where a cell loads it."""
    maker: str | None = None
    """"module:function", called in the conversion child with its job and the `ArtifactFile`; None for what
    training leaves."""
    made_of: str | None = None
    """The kind that it is made of, which comes before it; None where that is the checkpoint."""

    @property
    def is_export(self) -> bool:
        """Return whether a conversion makes it."""
        return self.maker is not None

    @property
    def is_of_a_batch(self) -> bool:
        """Return whether there is a file of it for each batch."""
        return "{batch}" in self.file


ARTIFACTS = {
    one.kind: one
    for one in (
        Artifact("weights", "best.safetensors"),
        Artifact("ir", "model.xml", always=TWINS, maker="bench.artifacts.convert:to_ir"),
        Artifact(
            "onnx",
            "model.onnx",
            twins=("torch",),
            always=("torch",),
            maker="bench.artifacts.convert:to_onnx",
        ),
        Artifact("ir-int8", "model.int8.xml", maker="bench.artifacts.convert:to_int8", made_of="ir"),
        Artifact("aot", "model.b{batch}.pt2", twins=("torch",), maker="bench.artifacts.convert:to_aot"),
        Artifact(
            "aot-bf16", "model.bf16.b{batch}.pt2", twins=("torch",), maker="bench.artifacts.convert:to_aot"
        ),
    )
}
"""By kind, each after what it is made of."""


@dataclass(frozen=True)
class ArtifactFile:
    """One file of a kind: of one batch, where there is a file for each."""

    kind: str
    batch: int | None = None
    """None where the file takes any."""

    @property
    def artifact(self) -> Artifact:
        """Return its row of the table."""
        return ARTIFACTS[self.kind]

    @property
    def name(self) -> str:
        """Return the file's name: model.xml."""
        return self.artifact.file.format(batch=self.batch)

    @property
    def source(self) -> ArtifactFile | None:
        """Return the file that it is made of; None where that is the checkpoint."""
        made_of = self.artifact.made_of
        return None if made_of is None else file_of(made_of, self.batch)


def file_of(kind: str, batch: int | None) -> ArtifactFile:
    """Return the file of a kind that serves a batch."""
    return ArtifactFile(kind, batch if ARTIFACTS[kind].is_of_a_batch else None)
