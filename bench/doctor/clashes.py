"""What is installed or set that would spoil a measurement, or leaves cells unsupported."""

from __future__ import annotations

import os
import re
from importlib.metadata import PackageNotFoundError, requires

from bench.cells.runtimes import RUNTIMES
from bench.contract import cxx_compiler
from bench.doctor.finding import NOTE, SPOILS, UNSUPPORTED, Finding
from bench.machine.fingerprint import installed
from bench.process import environment as environment_

ONE_OF = (
    (
        (
            "opencv-python-headless",
            "opencv-python",
            "opencv-contrib-python",
            "opencv-contrib-python-headless",
        ),
        "cv2",
    ),
    (("py-cpuinfo2", "py-cpuinfo"), "cpuinfo"),
)
"""Distributions that own the same files, the one to keep first, and the module they overwrite."""

TORCHVISION_AHEAD = 15
"""torch 2.N is paired with torchvision 0.(N + 15), from 2.0 and 0.15 on (torchvision's README)."""

STEERING = (
    "OMP_",
    "KMP_",
    "GOMP_",
    "MKL_",
    "OPENBLAS_",
    "ONEDNN_",
    "DNNL_",
    "TF_",
    "XLA_",
    "TORCH",
    "PYTORCH_",
)
"""Beginnings of variables by which the frameworks and their thread pools are steered."""
HARMLESS = {"TF_CPP_MIN_LOG_LEVEL", "TF_CLI_CONFIG_FILE", "TORCH_HOME"}
"""Of those: what a message says, another program's, and where downloads are kept."""


def environment() -> list[Finding]:
    """Variables that steer the allocator, the thread pools or the frameworks."""
    found = []
    if preload := os.environ.get("LD_PRELOAD"):
        what = f"LD_PRELOAD is set to {preload}: an allocator loaded so is in every lane"
        found.append(Finding(SPOILS, what, "unset LD_PRELOAD"))
    allocator = sorted(n for n in os.environ if n.startswith("MALLOC_") or n == "GLIBC_TUNABLES")
    if allocator:
        what = f"{', '.join(allocator)} set: the bench hides it from its children, other programs obey it"
        found.append(Finding(NOTE, what, f"unset {' '.join(allocator)}"))
    # What every child is given anew cannot spoil it.
    given = environment_.thread_environment(1).keys()
    steering = sorted(n for n in os.environ if n.startswith(STEERING) and n not in HARMLESS | given)
    if steering:
        what = f"{', '.join(steering)} set: every cell obeys it, and another machine will not have it"
        found.append(Finding(SPOILS, what, f"unset {' '.join(steering)}"))
    return found


def twins_of_a_module() -> list[Finding]:
    """Distributions that are installed beside another that owns the same files."""
    found = []
    for names, module in ONE_OF:
        there = [name for name in names if installed(name)]
        if len(there) > 1:
            what = f"{' and '.join(there)} are both installed and overwrite each other's {module}"
            others = " ".join(there[1:])
            cure = f"pip uninstall {others}; pip install --force-reinstall --no-deps {there[0]}"
            found.append(Finding(SPOILS, what, cure))
    return found


def torch_pair() -> list[Finding]:
    """A torchvision that was not built for the torch beside it."""
    torch, vision = installed("torch"), installed("torchvision")
    if torch is None or vision is None or (why := _mismatch(torch, vision)) is None:
        return []
    what = f"torch {torch} and torchvision {vision} were not built together ({why}): importing may fail"
    cure = "install both in one command from one index: pip install -c constraints.txt 'twinpose[torch]'"
    return [Finding(SPOILS, what, cure)]


def _mismatch(torch: str, vision: str) -> str | None:
    """Return why two versions are no pair, or None where they are or the rule does not reach."""
    builds = [text.partition("+")[2] or "the index's own" for text in (torch, vision)]
    if builds[0] != builds[1]:
        return f"builds '{builds[0]}' and '{builds[1]}'"
    numbers = [re.match(r"(\d+)\.(\d+)", text) for text in (torch, vision)]
    if not all(numbers):
        return None
    (major, minor), (_, got) = ((int(n[1]), int(n[2])) for n in numbers if n)
    wanted = minor + TORCHVISION_AHEAD
    return f"torch {major}.{minor} goes with torchvision 0.{wanted}" if major == 2 and got != wanted else None


def cuda_libraries() -> list[Finding]:
    """CUDA TensorFlow beside CUDA torch, when their cuDNN are two distributions with the same files."""
    wanted = {name: _installed_cudnn(name) for name in ("tensorflow", "torch")}
    if not all(wanted.values()) or wanted["tensorflow"] == wanted["torch"]:
        return []
    both = " and ".join(sorted({name for names in wanted.values() for name in names}))
    what = f"{both} both own libcudnn.so.9: CUDA TensorFlow and CUDA torch break each other here"
    return [Finding(SPOILS, what, "an environment for each; a cell names its interpreter")]


def _installed_cudnn(package: str) -> set[str]:
    """Return the cuDNN distributions that a package asks for, in any extra, and that are installed."""
    try:
        lines = requires(package) or []
    except PackageNotFoundError:
        return set()
    found = (re.match(r"nvidia-cudnn-[\w-]+", line) for line in lines)
    return {name[0] for name in found if name and installed(name[0])}


def compiler() -> list[Finding]:
    """No C++ compiler where torch.compile would look for it."""
    if cxx_compiler():
        return []
    what = "no C++ compiler: torch.compile cells are unsupported"
    return [Finding(UNSUPPORTED, what, "install g++, or set CXX to another")]


def frameworks() -> list[Finding]:
    """Frameworks that are not installed."""
    return [
        Finding(
            UNSUPPORTED,
            f"{one.packages[0]} is not installed: its cells are unsupported",
            f"pip install '{one.to_install}'",
        )
        for one in RUNTIMES.values()
        if installed(one.packages[0]) is None
    ]
