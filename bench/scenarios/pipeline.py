"""`pipeline`: from the bytes of a JPEG in memory to keypoints in image coordinates, stage by stage."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

import cv2
import numpy as np

from bench.scenarios.base import RoundJob, Summary
from bench.statistics import samples as samples_
from pose import evaluate, files, geometry, images, inference, sample

STAGES = ("decode", "warp", "network", "keypoints")
"""The spans of a query, in order. Normalising is a part of every network's own graph: it has no span."""


class Pipeline:
    """A query is a batch of people: each person's JPEG is decoded and warped, as `twinpose predict` does.

    One pass of the network unless the payload's "flip_test" asks for the mirrored one too: who counts
    milliseconds does not pay for two. `keypoints_image` (B, K, 2) is what the last query found.
    """

    def __init__(self, job: RoundJob) -> None:
        self.batch = job.spec.batch
        self.dataset, self.size = job.inputs.dataset, job.recipe.model.input_size
        flip = {"flip_test": bool(job.payload.get("flip_test", False))}
        self.options = job.recipe.evaluation.model_copy(update=flip)
        self.people = min(len(job.inputs), job.protocol["images"] * self.batch)
        self.paths = [self.dataset.image_path(int(i)) for i in self.dataset.image_ids[: self.people]]
        self.jpegs = {path: files.read_bytes(path, "a JPEG of the dataset") for path in self.paths}
        self.runner = job.runner()
        # OpenCV would warp on every core there is, whatever the lane.
        cv2.setNumThreads(job.spec.threads)
        self.marks_ns: list[tuple[int, ...]] = []
        self.keypoints_image = np.zeros((0, 0, 2))

    def once(self, number: int) -> None:
        """Take the number-th people from bytes to keypoints; the clock is read between stages."""
        started = perf_counter_ns()
        chosen = [i % self.people for i in range(number * self.batch, (number + 1) * self.batch)]
        pictures = [images.decode(self.jpegs[self.paths[i]], self.paths[i]) for i in chosen]
        decoded = perf_counter_ns()
        placed = [geometry.center_scale(self.dataset.boxes[i], self.size) for i in chosen]
        pairs = zip(pictures, placed, strict=True)
        inputs = np.stack([sample.cut(picture, *place, self.size) for picture, place in pairs])
        warped = perf_counter_ns()
        _, maps = inference.straight_and_averaged(self.runner.infer, inputs, self.options)
        self.runner.synchronize()
        inferred = perf_counter_ns()
        centers, scales = (np.array(column) for column in zip(*placed, strict=True))
        self.keypoints_image, _ = evaluate.keypoints_in_image(maps, centers, scales)
        self.marks_ns.append((started, decoded, warped, inferred, perf_counter_ns()))

    def start(self) -> None:
        """Forget the spans of the warm-up."""
        self.marks_ns = []

    def summarise(self, durations_ns: np.ndarray) -> Summary:
        """Return the median latency in ms, its percentiles, and the median of each stage."""
        spans = dict(zip(STAGES, np.diff(np.array(self.marks_ns, np.int64), axis=1).T, strict=True))
        found = samples_.latency(durations_ns)
        found["spans_ms"] = {name: samples_.percentile(span, 50) / 1e6 for name, span in spans.items()}
        samples = {"latency_ns": durations_ns} | {f"{name}_ns": span for name, span in spans.items()}
        return Summary(found["latency_ms"]["p50"], found, len(durations_ns), samples)

    def effective(self) -> dict[str, Any]:
        """Return what the runner reads back, and how the stages around it run."""
        return self.runner.effective() | {
            "batch": self.batch,
            "flip_test": self.options.flip_test,
            "pipeline": "shared",
            "normalise": "in the network",
            "opencv": cv2.__version__,
            "opencv_threads": cv2.getNumThreads(),
        }
