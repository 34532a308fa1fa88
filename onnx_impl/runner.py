"""An ONNX graph on ONNX Runtime as a runner of the bench."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnxruntime as ort

from bench.contract import RunnerSpec
from pose.errors import Unsupported, UserError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Runner:
    """One ONNX file in fp32, on the CPU or a CUDA GPU."""

    def __init__(self, spec: RunnerSpec):
        if spec.mode != "ir":
            raise Unsupported(f"ONNX Runtime has no mode '{spec.mode}'; it has ir")
        if spec.precision != "fp32":
            raise Unsupported(f"the exported ONNX graph is fp32; {spec.precision} needs a graph of its own")
        provider = _provider(spec.device)
        started = time.perf_counter()
        self.session = _session(spec, provider)
        self.compile_s = time.perf_counter() - started
        if provider not in self.session.get_providers():
            raise Unsupported(f"ONNX Runtime could not start {provider}; it fell back to another")
        self.spec = spec
        self.input = self.session.get_inputs()[0]
        size = self.input.shape[0]
        if isinstance(size, int) and size != spec.batch:
            raise UserError(
                f"{spec.artifact} has a static batch of {size}, not {spec.batch}; expected a dynamic one, "
                "as 'twinpose convert' writes it"
            )

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return heatmaps (N, K, h, w) float32 on the host, of images (N, H, W, 3) uint8 RGB."""
        return self.session.run(None, {self.input.name: images})[0]

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Infer all batches one after another: all threads already work on each."""
        for batch in batches:
            self.infer(batch)

    def synchronize(self) -> None:
        """Return at once: `run` ends with the heatmaps on the host."""

    def effective(self) -> dict[str, Any]:
        """Return what ONNX Runtime says it does, read back from the session."""
        options = self.session.get_session_options()
        return {
            "runtime": f"onnxruntime {ort.__version__}",
            "precision": self.session.get_outputs()[0].type.removeprefix("tensor(").removesuffix(")"),
            "threads": options.intra_op_num_threads,
            "device": self.session.get_providers()[0],
            "mode": self.spec.mode,
            "compile_s": self.compile_s,
        }


def _provider(device: str) -> str:
    wanted, able = PROVIDERS.get(device), ort.get_available_providers()
    if wanted is None or wanted not in able:
        raise Unsupported(f"ONNX Runtime has no provider for '{device}' here; available: {', '.join(able)}")
    return wanted


def _session(spec: RunnerSpec, provider: str) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(spec.artifact, _options(spec.threads), providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        _, reading, cause = " ".join(str(error).split()).partition(f"Load model from {spec.artifact} failed:")
        if not reading:
            raise
        raise UserError(
            f"ONNX Runtime cannot read {spec.artifact} ({cause[:200]}); expected an ONNX file, "
            "as 'twinpose convert' writes it"
        ) from error


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options
