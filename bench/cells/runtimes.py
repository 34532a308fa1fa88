"""The runtimes: where each one's runner is, what it is made of, which modes and scenarios exist for it."""

from __future__ import annotations

from bench.cells.cell import Cell

RUNTIMES = ("tf", "torch", "onnxruntime", "openvino")


RUNNERS = {
    "tf": "tf_impl.runner:Runner",
    "torch": "torch_impl.runner:Runner",
    "onnxruntime": "onnx_impl.runner:Runner",
    "openvino": "openvino_impl.runner:Runner",
}
"""Where each runtime's runner is found; resolved inside the child alone."""


RUNTIME_PACKAGES = {
    "tf": ("tensorflow", "keras"),
    "torch": ("torch", "torchvision"),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
}
"""By runtime: the packages that compute there. What exported an artifact is bound by the artifact's hash."""

MODES = {
    "torch": ("eager", "compiled"),
    "tf": ("eager", "graph", "compiled"),
    "onnxruntime": ("ir",),
    "openvino": ("ir",),
}
"""What each runtime can be asked for."""


AS_SHIPPED = {"tf": "graph", "torch": "eager", "onnxruntime": "ir", "openvino": "ir"}
"""What each runtime is asked for as it is shipped."""


OWN_MODE = {"tf": "graph", "torch": "eager"}
"""How each twin trains and loads: the one mode in which its step and its loader exist."""


TRAINING_PRECISION = {"fp32": "float32", "bf16": "mixed_bfloat16"}
"""A cell's precision as a recipe's training calls it."""


def why_not(cell: Cell) -> str | None:
    """Return why a cell's scenario does not exist for its runtime, mode, precision or device, or None.

    Whether this machine has the device, and the runtime the precision, only the runtime can say.
    """
    if cell.scenario not in {"train", "data"}:
        return None
    if cell.runtime not in OWN_MODE:
        return f"{cell.runtime} only infers: '{cell.scenario}' is for the twins' own frameworks, tf and torch"
    if cell.runtime != cell.twin:
        return f"{cell.runtime} cannot train or feed the twin {cell.twin}; expected its own framework"
    if cell.mode != OWN_MODE[cell.runtime]:
        only = OWN_MODE[cell.runtime]
        return f"the twin {cell.twin} trains and loads in mode {only} alone, not in {cell.mode}"
    return _why_no_training(cell) if cell.scenario == "train" else _why_no_loading(cell)


def _why_no_training(cell: Cell) -> str | None:
    if cell.precision not in TRAINING_PRECISION:
        known = " and ".join(TRAINING_PRECISION)
        return f"the twins train in {known} (a recipe's training.precision), not in {cell.precision}"
    if cell.device not in {"cpu", "cuda"}:
        return f"the twins train on cpu and cuda, not on {cell.device}"
    return None


def _why_no_loading(cell: Cell) -> str | None:
    if cell.precision != "fp32":
        return f"a loader makes uint8 and float32 alone; expected precision fp32, not {cell.precision}"
    if cell.device != "cpu":
        return f"a loader ends in host memory; expected device cpu, not {cell.device}"
    return None
