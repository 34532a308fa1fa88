"""The one table of runtimes: a row has all that is known of one, and the rest of the suite looks it up here.

A runtime is added as one row, and as the runner that the row names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.cells.artifacts import ARTIFACTS, Artifact, ArtifactFile, file_of
from bench.cells.cell import TWINS, Cell


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What can run a network: a row of the table."""

    name: str
    """As cells, commands and files have it; of a twin's own framework, the twin's name."""
    title: str
    """As reports have it."""
    runner: str
    """"module:class" of a `bench.contract.Runner`; resolved inside the child alone."""
    packages: tuple[str, ...]
    """The distributions that compute there, whose versions decide a cell; the first is the runtime itself.

    Each is imported under its own name, as those of `tools` are."""
    extra: str | None
    """Of twinpose: what installs them; None where nothing of ours does."""
    tools: tuple[str, ...] = ()
    """Further distributions of the extra: they export or quantise. An artifact's hash binds what they do."""
    modes: tuple[str, ...] = ("ir",)
    """What it can be asked for."""
    as_shipped: str = "ir"
    """The mode of its users by default, and of a twin's own training and loading."""
    at_best: str | None = None
    """The mode that takes part in the comparison `compiled`; None where none does."""
    ahead: str | None = None
    """A mode that is compiled before it is loaded, and takes part in that comparison too."""
    precisions: tuple[str, ...] = ("fp32",)
    """What some machine can run it in; whether this one can, only the runtime says."""
    devices: tuple[str, ...] = ("cpu",)
    """Where some machine can run it."""
    loads: str = "weights"
    """The kind of artifact."""
    loads_at: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By mode and precision: another kind."""
    baseline: int
    """Of two that are compared, the one with the lower number is what the other is held against."""
    methods: Mapping[str, int] = field(default_factory=dict)
    """By scenario that a later version of this suite times otherwise than the first: which of the ways."""
    peak: str | None = None
    """"module:function" that prepares its layers for the measurement of the machine's peak."""
    start_s: float = 5.0
    """What starting a child and importing it is expected to take; only the plan of that measurement
    depends on it, where the quickest comes first."""
    keeps_threads: bool = False
    """Whether a process keeps its first thread count."""

    @property
    def is_framework(self) -> bool:
        """Return whether it is a twin's own framework, which trains and loads too."""
        return self.name in TWINS

    @property
    def to_install(self) -> str:
        """Return what pip is given to get it: twinpose with its extra, or its own package."""
        return f"twinpose[{self.extra}]" if self.extra else self.packages[0]

    def runs(self, twin: str) -> bool:
        """Return whether it can run a twin's network: a framework runs its own alone."""
        return not self.is_framework or self.name == twin

    def artifact(self, mode: str, precision: str) -> Artifact:
        """Return the kind of artifact that it loads in a mode and a precision."""
        return ARTIFACTS[self.loads_at.get((mode, precision), self.loads)]


RUNTIMES = {
    one.name: one
    for one in (
        Runtime(
            name="tf",
            title="TensorFlow",
            runner="tf_impl.runner:Runner",
            packages=("tensorflow", "keras"),
            extra="tf",
            modes=("eager", "graph", "compiled"),
            as_shipped="graph",
            at_best="compiled",
            precisions=("fp32", "bf16", "fp16"),
            devices=("cpu", "cuda"),
            baseline=2,
            peak="tf_impl.peak:prepare",
            start_s=5.0,
            keeps_threads=True,
        ),
        Runtime(
            name="torch",
            title="PyTorch",
            runner="torch_impl.runner:Runner",
            packages=("torch", "torchvision"),
            extra="torch",
            modes=("eager", "contiguous", "compiled", "aot"),
            as_shipped="eager",
            at_best="compiled",
            ahead="aot",
            precisions=("fp32", "bf16", "fp16"),
            devices=("cpu", "cuda"),
            loads_at={("aot", "fp32"): "aot", ("aot", "bf16"): "aot-bf16"},
            baseline=1,
            peak="torch_impl.peak:prepare",
            start_s=2.5,
        ),
        Runtime(
            name="onnxruntime",
            title="ONNX Runtime",
            runner="onnx_impl.runner:Runner",
            packages=("onnxruntime",),
            extra="onnx",
            tools=("onnx", "onnxscript", "tf2onnx"),
            devices=("cpu", "cuda"),
            loads="onnx",
            baseline=3,
        ),
        Runtime(
            name="openvino",
            title="OpenVINO",
            runner="openvino_impl.runner:Runner",
            packages=("openvino",),
            extra="openvino",
            tools=("nncf",),
            at_best="ir",
            precisions=("fp32", "bf16", "fp16", "int8"),
            devices=("cpu", "intel-gpu"),
            loads="ir",
            loads_at={("ir", "int8"): "ir-int8"},
            baseline=4,
            methods={"throughput": 2},
            peak="openvino_impl.peak:prepare",
            start_s=1.0,
        ),
    )
}
"""By name, in the order of tables."""

RUNNERS = {one.name: one.runner for one in RUNTIMES.values()}


def _all(found: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for some in found for one in some))


MODES = _all(one.modes for one in RUNTIMES.values())
DEVICES = _all(one.devices for one in RUNTIMES.values())
PRECISIONS = (*_all(one.precisions for one in RUNTIMES.values()), "defaults")
"""What cells can be asked for. `defaults` is the runtime's own choice."""

PACKAGES = _all(one.packages for one in RUNTIMES.values())
"""The distributions that compute in some runtime."""


SPELLINGS = {
    **dict.fromkeys(("float32", "float", "f32", "FP32"), "fp32"),
    **dict.fromkeys(("bfloat16", "BF16"), "bf16"),
    **dict.fromkeys(("float16", "f16", "FP16"), "fp16"),
}
"""The lanes' names of precisions that runtimes name otherwise."""


TF32 = "tf32"
"""What a GPU computes float32 in where it may round the operands of a product to 10 bits."""

TF32_SWITCHES = {"cudnn.conv.fp32_precision": "tf32", "tensor_float_32_execution": True, "use_tf32": "1"}
"""torch's, TensorFlow's and ONNX Runtime's switch, with the value that allows convolutions on a GPU TF32."""


def read_back(effective: Mapping[str, Any]) -> str | None:
    """Return the precision that a runtime said it used, in the suite's spelling; None where it said none.

    Float32 is `tf32` on a GPU where the runtime's switches allow it: they say nothing on a CPU, and
    NVIDIA_TF32_OVERRIDE decides before them.
    """
    said = effective.get("precision")
    if said is None:
        return None
    spelled = SPELLINGS.get(str(said).removeprefix("torch."), str(said))
    return TF32 if spelled == "fp32" and _allows_tf32(effective) else spelled


def computed_in(asked: str, effective: Mapping[str, Any]) -> str | None:
    """Return the precision that a cell computed in: the one it was asked for, or in `defaults` as read back.

    TF32 is told wherever the switches allow it: no peak of float32 is the ceiling of that.
    """
    said = read_back(effective)
    return said if asked == "defaults" or said == TF32 else asked


def _allows_tf32(effective: Mapping[str, Any]) -> bool:
    switches = effective.get("switches") or {}
    override = switches.get("NVIDIA_TF32_OVERRIDE")
    if effective.get("device", "cpu") == "cpu" or override == "0":
        return False
    return override == "1" or any(switches.get(name) == on for name, on in TF32_SWITCHES.items())


def needing(package: str) -> Runtime | None:
    """Return the first runtime that a package belongs to, by the name that it is imported under."""

    def imports(one: Runtime) -> bool:
        return package in [name.replace("-", "_") for name in (*one.packages, *one.tools)]

    return next(filter(imports, RUNTIMES.values()), None)


def versions() -> dict[str, str | None]:
    """Return the installed version of each package that has a part in a figure, null where it is absent."""
    from bench.machine import fingerprint  # not for a child, which reads this table in any interpreter

    return fingerprint.packages(PACKAGES)


def artifact_of(cell: Cell) -> ArtifactFile:
    """Return the file that a cell's runner loads."""
    return file_of(RUNTIMES[cell.runtime].artifact(cell.mode, cell.precision).kind, cell.batch)


def exports(twin: str, cells: Iterable[Cell] = (), kinds: Collection[str] = ()) -> list[ArtifactFile]:
    """Return what a conversion of a twin makes, each file after the one that it is made of.

    That is what is always made, what cells load, and `kinds`, of which there is no file for each batch.
    """
    of_twin = {one.kind: one for one in ARTIFACTS.values() if one.is_export and twin in one.twins}
    asked = [artifact_of(cell) for cell in cells if cell.twin == twin]
    asked += [ArtifactFile(one.kind) for one in of_twin.values() if twin in one.always or one.kind in kinds]
    found = {part for one in asked if one.kind in of_twin for part in _with_sources(one)}
    order = list(ARTIFACTS)
    return sorted(found, key=lambda one: (order.index(one.kind), one.batch or 0))


def _with_sources(file: ArtifactFile) -> list[ArtifactFile]:
    return [file] if file.source is None else [*_with_sources(file.source), file]


def batches_of(file: ArtifactFile, cells: Iterable[Cell]) -> list[int]:
    """Return the batches at which cells run a file; [] where none does."""
    return sorted({cell.batch for cell in cells if artifact_of(cell) == file})


def first_user(kind: str) -> tuple[Runtime, str, str]:
    """Return the runtime, mode and precision that a kind of artifact is made for: the first that load it."""
    return next(
        (runtime, mode, precision)
        for runtime in RUNTIMES.values()
        for mode in runtime.modes
        for precision in runtime.precisions
        if runtime.artifact(mode, precision).kind == kind
    )
