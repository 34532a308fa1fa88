"""An ONNX graph on ONNX Runtime as a runner of the bench."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnxruntime as ort

from bench.contract import RunnerSpec
from pose import interface
from pose.errors import Unsupported, UserError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

FAST_GEMM = "mlas.enable_gemm_fastmath_arm64_bfloat16"
"""A session's switch: float32 products in bfloat16, on Arm processors alone."""

TF32 = "use_tf32"
"""The CUDA provider's switch; on by default."""


class Runner:
    """One ONNX file, whose graph is in fp32, on the CPU or a CUDA GPU."""

    def __init__(self, spec: RunnerSpec):
        if spec.mode != "ir":
            raise Unsupported(f"ONNX Runtime has no mode '{spec.mode}'; it has ir")
        if spec.precision not in {"fp32", "defaults"}:
            raise Unsupported(
                f"the exported ONNX graph is fp32; {spec.precision} needs a graph of its own, "
                "which 'twinpose convert' does not write"
            )
        provider = _provider(spec.device)
        started = time.perf_counter()
        self.session = _session(spec, provider)
        self.compile_s = time.perf_counter() - started
        if provider not in self.session.get_providers():
            raise Unsupported(f"ONNX Runtime could not start {provider}; it fell back to another")
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        interface.require(spec.artifact, list(map(_port, inputs)), list(map(_port, outputs)), spec.recipe)
        self.spec, self.input = spec, inputs[0]
        width, height = spec.recipe.get("model", {}).get("input_size", self.input.shape[2:0:-1])
        self.images_shape = (spec.batch, height, width, 3)
        size = self.input.shape[0]
        if isinstance(size, int) and size != spec.batch:
            raise UserError(
                f"{spec.artifact} has a static batch of {size}, not {spec.batch}; expected a dynamic one, "
                "as 'twinpose convert' writes it"
            )

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return heatmaps (N, K, h, w) float32 on the host, of images (N, H, W, 3) uint8 RGB."""
        interface.require_images(images, self.images_shape)
        return self.session.run(None, {self.input.name: images})[0]

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Infer all batches one after another: all threads already work on each."""
        for batch in batches:
            self.infer(batch)

    def synchronize(self) -> None:
        """Return at once: `run` ends with the heatmaps on the host."""

    def device_timer(self) -> None:
        """Return None: ONNX Runtime's sessions hand out no CUDA events."""

    def device_memory_bytes(self) -> None:
        """Return None: ONNX Runtime tells Python nothing of its GPU memory."""

    def effective(self) -> dict[str, Any]:
        """Return what ONNX Runtime says it does, read back from the session."""
        options = self.session.get_session_options()
        on_gpu = self.spec.device == "cuda"
        no_clock = (
            "ONNX Runtime hands out no CUDA events"
            if on_gpu
            else "on the CPU the host's clock is the device's"
        )
        return {
            "runtime": f"onnxruntime {ort.__version__}",
            "precision": self.session.get_outputs()[0].type.removeprefix("tensor(").removesuffix(")"),
            "switches": self._switches(options),
            "threads": options.intra_op_num_threads,
            "interop_threads": options.inter_op_num_threads,
            "device": self.session.get_providers()[0],
            "device_clock": f"none: {no_clock}",
            "mode": self.spec.mode,
            "compile_s": self.compile_s,
        }

    def _switches(self, options: ort.SessionOptions) -> dict[str, Any]:
        """Return every precision switch as the session has it; None is unset."""
        try:
            fast_gemm = options.get_session_config_entry(FAST_GEMM)
        except RuntimeError:  # so it says that an entry was never made
            fast_gemm = None
        cuda = self.session.get_provider_options().get(PROVIDERS["cuda"], {})
        return {FAST_GEMM: fast_gemm, TF32: cuda.get(TF32)}


def _port(node: ort.NodeArg) -> interface.Port:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    sides = (side if isinstance(side, int) else None for side in node.shape)
    return interface.Port({"float": "float32"}.get(kind, kind), tuple(sides))


def _provider(device: str) -> str:
    wanted, able = PROVIDERS.get(device), ort.get_available_providers()
    if wanted is None or wanted not in able:
        raise Unsupported(f"ONNX Runtime has no provider for '{device}' here; available: {', '.join(able)}")
    return wanted


def _session(spec: RunnerSpec, provider: str) -> ort.InferenceSession:
    given = {TF32: "0"} if provider == PROVIDERS["cuda"] and spec.precision == "fp32" else {}
    try:
        return ort.InferenceSession(spec.artifact, _options(spec), providers=[(provider, given)])
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        _, reading, cause = " ".join(str(error).split()).partition(f"Load model from {spec.artifact} failed:")
        if not reading:
            raise
        raise UserError(
            f"ONNX Runtime cannot read {spec.artifact} ({cause[:200]}); expected an ONNX file, "
            "as 'twinpose convert' writes it"
        ) from error


def _options(spec: RunnerSpec) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = spec.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if spec.precision == "fp32":
        options.add_session_config_entry(FAST_GEMM, "0")
    return options
