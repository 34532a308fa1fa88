"""Runners that need no framework: one that knows the answers, and one for each way to go wrong."""

from __future__ import annotations

import ctypes
import hashlib
import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract import RunnerSpec
from bench.machine import fingerprint
from bench.scenarios.null_runner import NullRunner
from pose.errors import Unsupported, UserError


class Oracle(NullRunner):
    """Looks the heatmaps up in its artifact: an .npz of images (N, H, W, 3) and heatmaps (N, K, h, w)."""

    def __init__(self, spec: RunnerSpec) -> None:
        super().__init__(spec)
        self.spec = spec
        known = np.load(io.BytesIO(Path(spec.artifact).read_bytes()))
        pairs = zip(known["images"], known["heatmaps"], strict=True)
        self.known = {image.tobytes(): maps for image, maps in pairs}

    def infer(self, images: np.ndarray) -> np.ndarray:
        blank = np.zeros(self.heatmaps.shape[1:], np.float32)
        return np.stack([self.known.get(image.tobytes(), blank) for image in images])

    def effective(self) -> dict[str, Any]:
        pools = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MALLOC_TOP_PAD_")}
        return {"precision": "fp32", "threads": self.spec.threads, "compile_s": 0.0, **pools}


class Lost(NullRunner):
    """Answers as weights that have diverged do."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        return np.full((len(images), *self.heatmaps.shape[1:]), np.nan, np.float32)


class Sleeper(NullRunner):
    """Takes 2 ms for a query and 5 ms for a block."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        time.sleep(0.002)
        return super().infer(images)

    def submit_all(self, batches: list[np.ndarray]) -> None:
        assert all(len(batch) == len(self.heatmaps) for batch in batches)
        time.sleep(0.005)


class Oversubscribed(NullRunner):
    """Keeps four times as many threads busy as there are processors, and no other process."""

    THREADS = 4 * fingerprint.usable_cores()

    def infer(self, images: np.ndarray) -> np.ndarray:
        # Hashing megabytes leaves the interpreter's lock to the others.
        work = [threading.Thread(target=hashlib.sha256, args=(bytes(2**20),)) for _ in range(self.THREADS)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        return super().infer(images)


class HalfIdle(NullRunner):
    """Says that it runs its lane's threads, and has a pool of two of which one computes."""

    def __init__(self, spec: RunnerSpec) -> None:
        super().__init__(spec)
        self.threads, self.work = spec.threads, bytes(2**24)
        self.busy, self.idle = (ThreadPoolExecutor(1) for _ in range(2))
        self.idle.submit(int).result()

    def infer(self, images: np.ndarray) -> np.ndarray:
        self.busy.submit(hashlib.sha256, self.work).result()
        return super().infer(images)

    def effective(self) -> dict[str, Any]:
        return {"precision": "fp32", "threads": self.threads}


class Lazy(Sleeper):
    """Says that it runs one thread, and on which processors it may."""

    def effective(self) -> dict[str, Any]:
        return {"precision": "fp32", "threads": 1, "processors": sorted(fingerprint.affinity())}


class Placed(Sleeper):
    """Says what the cell's place gave it."""

    def effective(self) -> dict[str, Any]:
        given = {name: os.environ.get(name) for name in ("TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS")}
        return {**super().effective(), "folder": str(Path.cwd()), **given}


class Aborts(NullRunner):
    def infer(self, images: np.ndarray) -> np.ndarray:
        os.abort()


class Segfaults(NullRunner):
    def infer(self, images: np.ndarray) -> np.ndarray:
        ctypes.string_at(0)
        return images


class Hangs(NullRunner):
    def infer(self, images: np.ndarray) -> np.ndarray:
        time.sleep(600)
        return images


class EatsMemory(NullRunner):
    def infer(self, images: np.ndarray) -> np.ndarray:
        eaten = []
        while True:
            eaten.append(np.ones(2**21))
            time.sleep(0.02)


class Raises(NullRunner):
    def infer(self, images: np.ndarray) -> np.ndarray:
        raise RuntimeError("a kernel\nwas not found")


class NotHere(NullRunner):
    def __init__(self, spec: RunnerSpec) -> None:
        raise Unsupported("no CUDA device is visible to this runner")


class Misused(NullRunner):
    def __init__(self, spec: RunnerSpec) -> None:
        raise UserError("the weights are of another model; expected this recipe's")


class HangsWhenAsked(Sleeper):
    """Hangs in a query while a file `hang` lies beside its artifact, and says so by a file `hanging`."""

    def __init__(self, spec: RunnerSpec) -> None:
        super().__init__(spec)
        self.asked = Path(spec.artifact).with_name("hang")

    def infer(self, images: np.ndarray) -> np.ndarray:
        if self.asked.exists():
            self.asked.with_name("hanging").touch()
            time.sleep(600)
        return super().infer(images)
