"""The layers by which a machine's ceiling is measured, and the child that times them in one library."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

from bench.contract import Emit
from bench.process.worker import resolve
from pose.errors import Unsupported

Kernel = dict[str, Any]
"""{"name", "n"}: the product of two n x n matrices; or {"name", "size", "channels_in", "channels_out",
"height", "width", "batch"}: a size x size convolution of stride 1 that keeps height and width."""

STAGES = ((64, 64, 48), (128, 32, 24), (256, 16, 12), (512, 8, 6))
"""Channels, height and width of the 3x3 convolutions in a ResNet's four stages at 256x192."""

IMAGES_ON_GPU = 64
MATRIX_ON_CPU, MATRIX_ON_GPU = 1024, 8192


def kernels(device: str, threads: int) -> list[Kernel]:
    """Return the layers to time: a matrix product, 3x3 convolutions and 1x1 convolutions.

    On a CPU a layer holds an image a thread, about a millisecond of work: short calls slip between
    the interruptions of a busy machine, and the best of many is what it can do.
    """
    batch = threads if device == "cpu" else IMAGES_ON_GPU
    n = MATRIX_ON_CPU if device == "cpu" else MATRIX_ON_GPU
    spatial = [_convolution(3, c, c, h, w, batch) for c, h, w in STAGES]
    pointwise = [_convolution(1, i, o, 16, 12, 2 * batch) for i, o in ((256, 1024), (1024, 256))]
    # The likely fastest first: a short budget may reach no further.
    return [*reversed(spatial), {"name": f"matmul {n}", "n": n}, *pointwise]


def _convolution(size: int, channels_in: int, channels_out: int, h: int, w: int, batch: int) -> Kernel:
    name = f"conv {size}x{size} {channels_in}-{channels_out} {h}x{w} b{batch}"
    shape = {"size": size, "channels_in": channels_in, "channels_out": channels_out}
    return {"name": name, **shape, "height": h, "width": w, "batch": batch}


def flop(kernel: Kernel) -> int:
    """Return floating-point operations of a layer: two for each multiply-add of the direct algorithm.

    Multiplications with the zeros of the border count, as `pose.architecture` counts them too.
    """
    if "n" in kernel:
        return int(2 * kernel["n"] ** 3)
    pixels = kernel["batch"] * kernel["height"] * kernel["width"]
    return int(2 * pixels * kernel["size"] ** 2 * kernel["channels_in"] * kernel["channels_out"])


def time_all(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Time layers in one library and return {"kernels": [...], "absent": {precision: reason}}.

    payload: prepare ("module:function"), device, threads and precisions (lists), until_s (of
    `time.monotonic`, which all processes share): when to be done. Half of the time finds the fastest
    layer of each precision and thread count, the other half measures those on. When time is up before
    all were tried, each precision and thread count still gets its first.
    """
    prepare, until_s = resolve(payload["prepare"]), payload["until_s"]
    timed: list[dict[str, Any]] = []
    absent: dict[str, str] = {}
    middle_s = (time.monotonic() + until_s) / 2
    groups = list(product(payload["precisions"], payload["threads"]))
    # The first layer of every group before the second of any: what time forbids is a layer, not a group.
    layers = [kernels(payload["device"], threads) for _, threads in groups]
    todo = [
        (p, t, layer) for row in zip(*layers, strict=True) for (p, t), layer in zip(groups, row, strict=True)
    ]
    for done, (precision, threads, kernel) in enumerate(todo):
        late = time.monotonic() > middle_s and done >= len(groups)
        if precision in absent or late:
            continue
        seconds = (middle_s - time.monotonic()) / (len(todo) - done)
        build = partial(prepare, kernel, precision, payload["device"], threads)
        try:
            best_s = shortest(build, seconds)
        except Unsupported as reason:
            absent[precision] = str(reason)
            continue
        row = {"name": kernel["name"], "precision": precision, "threads": threads, "flop": flop(kernel)}
        timed.append(row | {"s": best_s, "build": build})
    _measure_on(timed, until_s)
    return {"kernels": timed, "absent": absent}


def _measure_on(timed: list[dict[str, Any]], until_s: float) -> None:
    """Give what is left until `until_s` to the fastest layer of each precision and thread count."""
    fastest: dict[tuple[str, int], dict[str, Any]] = {}
    for row in sorted(timed, key=lambda row: row["flop"] / row["s"]):
        fastest[row["precision"], row["threads"]] = row
    for done, row in enumerate(fastest.values()):
        seconds = (until_s - time.monotonic()) / (len(fastest) - done)
        if seconds > 0:
            row["s"] = min(row["s"], shortest(row["build"], seconds))
    for row in timed:
        del row["build"]


def shortest(build: Callable[[], Callable[[], Any]], seconds: float) -> float:
    """Return the shortest call of what `build` returns, in seconds; building counts towards `seconds`.

    The first call, which compiles and allocates, is not timed; at least one more is.
    """
    end = time.monotonic() + seconds
    call = build()
    call()
    best_ns = None
    while best_ns is None or time.monotonic() < end:
        started_ns = time.perf_counter_ns()
        call()
        took_ns = time.perf_counter_ns() - started_ns
        best_ns = took_ns if best_ns is None else min(best_ns, took_ns)
    return best_ns / 1e9
