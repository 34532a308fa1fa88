"""The environment of a child: how many threads, which allocator, which devices, how threads wait."""

from __future__ import annotations

from pose.errors import UserError

TUNED_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**28),
}
"""glibc keeps freed blocks instead of handing them back, so that large ones are not paged in anew."""

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
"""For a child that computes while it reads images: an OpenMP thread that spins takes a core from the
work it waits for. Never for a timed cell, which has its cores for itself and is measured as shipped."""

BRIEF = {"GOMP_SPINCOUNT": "10000"}
"""For a training, whose loader workers leave most of both cores to it: a thread spins for some 20
microseconds between two operations, too short to keep anyone off a core, instead of going to sleep."""

ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "1"}
"""For a training, and for the ladder where it compares trainings: left alone, TensorFlow computes with oneDNN
on some processors and with Eigen on others. Never for a cell, which is measured as shipped."""


def thread_environment(threads: int, allocator: str = "glibc", device: str = "cpu") -> dict[str, str]:
    """Return the variables that bound every pool to `threads`, choose the allocator and hide absent devices.

    allocator: `glibc` (its defaults) or `tuned`. Every device but `cuda` sees no CUDA GPU.
    """
    if allocator not in {"glibc", "tuned"}:
        raise UserError(f"unknown allocator '{allocator}'; expected glibc or tuned")
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    environment = dict.fromkeys(pools, str(threads))
    environment |= {"TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if device != "cuda":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return environment | (TUNED_ALLOCATOR if allocator == "tuned" else {})
