"""An OpenVINO IR as a runner of the bench."""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import cached_property
from typing import Any

import numpy as np
import openvino as ov

from bench.contract import STRICT_ENVIRONMENT, RunnerSpec, strict_environment
from pose import interface
from pose.errors import Unsupported, UserError

DEVICES = {"cpu": "CPU", "intel-gpu": "GPU"}
PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""The hint of each lane; `defaults` gives none. A quantised graph carries its integers itself, and the
hint is for the rest of it."""
CAPABILITIES = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16", "int8": "INT8"}
INTEGERS = {"i8", "u8"}


class Runner:
    """One IR with a static batch; one stream for latency, as many as OpenVINO chooses for throughput."""

    def __init__(self, spec: RunnerSpec):
        if spec.mode != "ir":
            raise Unsupported(f"OpenVINO has no mode '{spec.mode}'; it has ir")
        core = ov.Core()
        self.spec, self.device = spec, _device(core, spec.device)
        if spec.precision != "defaults":
            _require(core, self.device, spec.precision)
            os.environ.update(STRICT_ENVIRONMENT)
        network = _read(core, spec.artifact)
        inputs, outputs = list(map(_port, network.inputs)), list(map(_port, network.outputs))
        interface.require(spec.artifact, inputs, outputs, spec.recipe)
        network.reshape([spec.batch, *list(network.inputs[0].partial_shape)[1:]])
        self.images_shape = tuple(network.inputs[0].shape)
        started = time.perf_counter()
        self.compiled = core.compile_model(network, self.device, _properties(spec, self.device))
        self.compile_s = time.perf_counter() - started
        self.heatmaps: list[np.ndarray | None] = []
        self._require_what_was_asked()

    def _require_what_was_asked(self) -> None:
        asked, found = self.spec.precision, self._switches()["INFERENCE_PRECISION_HINT"]
        if found != PRECISIONS.get(asked, found):
            raise Unsupported(f"asked for {asked}, OpenVINO would run {found} on {self.device}")
        if asked == "int8" and not INTEGERS & self._convolutions().keys():
            raise Unsupported(
                f"asked for int8, OpenVINO runs no convolution of {self.spec.artifact} in it on {self.device}"
            )

    @cached_property
    def _request(self) -> ov.InferRequest:
        return self.compiled.create_infer_request()

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The request's own input and output; another input every time makes the graph rewire itself."""
        return self._request.get_input_tensor(0).data, self._request.get_output_tensor(0).data

    @cached_property
    def _queue(self) -> ov.AsyncInferQueue:
        # As many requests as the compiled model says keep all its streams busy.
        queue = ov.AsyncInferQueue(self.compiled)
        queue.set_callback(self._keep)
        return queue

    def _keep(self, request: ov.InferRequest, place: int) -> None:
        """Take a batch's heatmaps out of a request that the next batch will overwrite."""
        self.heatmaps[place] = request.get_output_tensor(0).data.copy()

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return heatmaps (N, K, h, w) float32 on the host, of images (N, H, W, 3) uint8 RGB."""
        images_in, heatmaps_out = self._ends
        np.copyto(images_in, self._whole(images))
        self._request.infer(share_outputs=True)
        return heatmaps_out[: len(images)].copy()

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Infer all batches, as many at a time as OpenVINO likes; return with all heatmaps here."""
        whole = [self._whole(batch) for batch in batches]
        self.heatmaps = [None] * len(whole)
        for place, batch in enumerate(whole):
            self._queue.start_async([batch], userdata=place, share_inputs=True)
        self._queue.wait_all()

    def _whole(self, images: np.ndarray) -> np.ndarray:
        """Return images (B, H, W, 3), filled up with black ones: the graph's batch is static."""
        interface.require_images(images, self.images_shape)
        missing = self.spec.batch - len(images)
        return np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else images

    def synchronize(self) -> None:
        """Return at once: both ways of inferring end with the heatmaps on the host."""

    def device_timer(self) -> None:
        """Return None: OpenVINO profiles single operations, and hands out no clock of a device."""

    def device_memory_bytes(self) -> None:
        """Return None: OpenVINO tells what a GPU holds now, not the most it has held."""

    def effective(self) -> dict[str, Any]:
        """Return what OpenVINO says it does, read back from the compiled graph."""
        read = self.compiled.get_property
        on_cpu = self.device == "CPU"
        no_clock = "on the CPU the host's clock is the device's" if on_cpu else "OpenVINO hands out no events"
        return {
            "runtime": f"openvino {ov.get_version()}",
            "precision": self._precision(),
            "convolutions": self._convolutions(),
            "switches": self._switches(),
            "threads": read("INFERENCE_NUM_THREADS") if on_cpu else None,
            "hint": str(read("PERFORMANCE_HINT")),
            "streams": int(read("NUM_STREAMS")),
            "requests": read("OPTIMAL_NUMBER_OF_INFER_REQUESTS"),
            "device": ", ".join(read("EXECUTION_DEVICES")),
            "device_clock": f"none: {no_clock}",
            "mode": self.spec.mode,
            "compile_s": self.compile_s,
        }

    def _switches(self) -> dict[str, Any]:
        """Return every precision switch as the compiled graph has it."""
        read = self.compiled.get_property
        return {
            "INFERENCE_PRECISION_HINT": read("INFERENCE_PRECISION_HINT").get_type_name(),
            "EXECUTION_MODE_HINT": read("EXECUTION_MODE_HINT").name,
            **strict_environment(),
        }

    def _precision(self) -> str:
        """Return what most (transposed) convolutions run in, or the hint where the graph names none."""
        found: Counter[str] = Counter()
        for name, count in self._convolutions().items():
            found["int8" if name in INTEGERS else name] += count
        return found.most_common(1)[0][0] if found else self._switches()["INFERENCE_PRECISION_HINT"]

    def _convolutions(self) -> dict[str, int]:
        """Return how many (transposed) convolutions of the executable graph run in each precision."""
        infos = [node.get_rt_info() for node in self.compiled.get_runtime_model().get_ordered_ops()]
        kinds = [(str(info["layerType"].value), str(info["runtimePrecision"].value)) for info in infos]
        return dict(Counter(precision for kind, precision in kinds if "onvolution" in kind))


def _device(core: ov.Core, name: str) -> str:
    wanted = DEVICES.get(name)
    if wanted is None or not any(found.split(".")[0] == wanted for found in core.available_devices):
        there = ", ".join(core.available_devices)
        raise Unsupported(f"OpenVINO has no device for '{name}' on this machine; available: {there}")
    return wanted


def _require(core: ov.Core, device: str, precision: str) -> None:
    able = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    if CAPABILITIES[precision] not in able:
        raise Unsupported(
            f"OpenVINO cannot run {precision} on {device} here; it can: {', '.join(sorted(able))}"
        )


def _read(core: ov.Core, path: str) -> ov.Model:
    try:
        return core.read_model(path)
    except RuntimeError as error:
        cause = str(error).strip().splitlines()[-1][:200]
        raise UserError(
            f"OpenVINO cannot read {path} ({cause}); expected an IR, its .bin beside its .xml, "
            "as 'twinpose convert' writes it"
        ) from error


def _port(node: ov.Output) -> interface.Port:
    kind, shape = node.element_type.get_type_name(), node.get_partial_shape()
    sides = () if shape.rank.is_dynamic else tuple(s.get_length() if s.is_static else None for s in shape)
    return interface.Port({"u8": "uint8", "f32": "float32"}.get(kind, kind), sides)


def _properties(spec: RunnerSpec, device: str) -> dict[str, Any]:
    """Return what is left to no default: above all the precision, or OpenVINO takes bf16 by itself.

    The lane `defaults` is there to show that.
    """
    properties: dict[str, Any] = {}
    if spec.precision != "defaults":
        properties["INFERENCE_PRECISION_HINT"] = PRECISIONS[spec.precision]
    if device == "CPU":
        # Its own hint decides how many batches are under way at once, within the lane's threads.
        throughput = spec.scenario == "throughput"
        how = {"PERFORMANCE_HINT": "THROUGHPUT"} if throughput else {"NUM_STREAMS": 1}
        properties |= {"INFERENCE_NUM_THREADS": spec.threads, **how}
    return properties
