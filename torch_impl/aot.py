"""The PyTorch twin compiled ahead of time: an AOTInductor package (.pt2), for one batch and processor.

Keras has no counterpart of it: this file alone has no mirror image.
"""

from __future__ import annotations

import copy
import json
import os
import platform
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._inductor.utils import fresh_cache
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench.contract import cxx_compiler
from pose import recipe
from pose.errors import Unsupported, UserError
from pose.files import replacing
from torch_impl import export, model

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""The parameters' type, by the precision of a package."""

CHECK_INPUTS = {"AOTI_RUNTIME_CHECK_INPUTS": "1"}
"""A package looks at its inputs only where the environment says so. Without it, one of batch 1 computes the
first of two images and says nothing, and reads float32 as bytes. It is read at the first call."""

OPTIONS = {
    # The parameters become constants, laid out for the kernels that read them.
    "freezing": True,
    # Or the thread count of this process is written into the generated loops, whatever a cell asks for.
    "cpp.dynamic_threads": True,
}
"""Inductor's."""

METADATA = re.compile(r"data/aotinductor/model/[^/]*wrapper_metadata\.json$")
SOURCE = re.compile(r"data/aotinductor/model/[^/]*wrapper\.cpp$")
CONSTANT = re.compile(r"constants_info_\[\d+\]\.dtype = .*?cached_torch_dtype_(\w+)")


def folded(net: model.PoseNet) -> model.PoseNet:
    """Return a float64 copy of a network in evaluation mode whose batch norms are in its convolutions.

    Inductor's freezing would fold them itself, and folds those after a transposed convolution of as many
    input as output channels along the wrong axis, without a word (torch 2.14): 0.2 x max(heatmaps) off.
    In float64, so that the fold rounds nothing that the cast to the package's precision does not.
    """
    net = copy.deepcopy(net).double()
    for parent in list(net.modules()):
        before = ("", parent)
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                conv_name, conv = before
                if not isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
                    raise TypeError(f"batch norm {name} follows a {type(conv).__name__}, which takes no norm")
                transposed = isinstance(conv, nn.ConvTranspose2d)
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, child, transpose=transposed))
                setattr(parent, name, nn.Identity())
            before = (name, child)
    return net


def write(
    recipe_: recipe.Recipe, weights_path: Path, batch: int, precision: str, out: Path
) -> dict[str, Any]:
    """Write the twin as a package for `batch` images on this processor; return the route's facts.

    precision: of `DTYPES`. Raises UserError for wrong weights, Unsupported without a C++ compiler.
    """
    if not cxx_compiler():
        raise Unsupported("AOTInductor needs a C++ compiler: neither g++ nor $CXX is on the path")
    net = export.source(recipe_, weights_path, batch).model
    net = folded(net).to(DTYPES[precision]).to(memory_format=torch.channels_last)
    images = export._example(recipe_, batch)
    compile_module(net, images, out, {"PRECISION": precision, "BATCH": str(batch)})
    return {"route": f"torch-aot-{precision}", "input": list(images.shape), "processor": read(out).isa}


def compile_module(
    module: nn.Module, example: torch.Tensor, out: Path, facts: Mapping[str, str] | None = None
) -> None:
    """Write a module as a package that takes tensors like `example`, frozen as it is.

    facts: what its metadata say, beside the version and the processor that it is bound to.
    """
    bound_to = {"TORCH": torch.__version__, "CAPABILITIES": " ".join(sorted(_capabilities()))}
    options = OPTIONS | {"aot_inductor.metadata": bound_to | dict(facts or {})}
    # What it compiles it keeps, a hundred megabytes a package, in a cache that nothing here reads again.
    with fresh_cache(), replacing(out) as temporary, torch.no_grad():
        exported = torch.export.export(module.eval(), (example,))
        torch._inductor.aoti_compile_and_package(
            exported, package_path=str(temporary), inductor_configs=options
        )


@dataclass(frozen=True)
class Facts:
    """What a package says of itself, read without loading it."""

    metadata: Mapping[str, str]
    constants: Mapping[str, int]
    """How many of the compiled constants are of each type."""

    @property
    def isa(self) -> str:
        """Return the instruction sets that its vector code is written in: AVX512 AVX512_VNNI."""
        return self.metadata.get("AOTI_CPU_ISA", "")

    @property
    def dtype(self) -> str:
        """Return the type of most constants, the parameters."""
        return Counter(self.constants).most_common(1)[0][0] if self.constants else "unknown"


def read(path: Path) -> Facts:
    """Return what a package says of itself; UserError where the file is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {kind: next(filter(kind.search, archive.namelist()), None) for kind in (METADATA, SOURCE)}
            if None in names.values():
                raise ValueError("it holds no AOTInductor model")
            metadata = json.loads(archive.read(str(names[METADATA])))
            source = archive.read(str(names[SOURCE])).decode()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, str(error)) from error
    return Facts(metadata, Counter(CONSTANT.findall(source)))


def _unreadable(path: Path, cause: str) -> UserError:
    return UserError(
        f"AOTInductor cannot read {path} ({cause}); expected a .pt2 package, as 'twinpose convert' writes it"
    )


def require(path: Path, facts: Facts, precision: str, batch: int) -> None:
    """Raise UserError unless a package is of this torch, this processor, a precision and a batch."""
    found = facts.metadata
    anew = "'twinpose convert' makes it anew"
    if found.get("TORCH") != torch.__version__:
        raise UserError(f"{path} is of torch {found.get('TORCH')}; this is torch {torch.__version__}: {anew}")
    wanted = {str(found.get("AOTI_MACHINE")): found.get("AOTI_MACHINE") == platform.machine()}
    wanted |= {one: one in _capabilities() for one in found.get("CAPABILITIES", "").split()}
    if lacking := [name for name, is_here in wanted.items() if not is_here]:
        here = f"this one is not or lacks: {', '.join(lacking)}"
        raise UserError(f"{path} is compiled for a processor with {facts.isa}; {here}; {anew}")
    asked = {"PRECISION": precision, "BATCH": str(batch)}
    for name, value in asked.items():
        if found.get(name) != value:
            raise UserError(f"{path} is of {name.lower()} {found.get(name)}, not {value}; {anew}")


def require_made(precision: str, device: str) -> None:
    """Raise Unsupported for a precision or a device that no package is made for."""
    if precision not in DTYPES or device != "cpu":
        made = " and ".join(DTYPES)
        raise Unsupported(f"AOTInductor packages are made in {made} on the cpu, not {precision} on {device}")


def effective(facts: Facts) -> dict[str, Any]:
    """Return what a loaded package is bound to, and whether it looks at its inputs."""
    return {"processor": facts.isa, **{name: os.environ.get(name) for name in CHECK_INPUTS}}


def load(path: Path) -> Any:
    """Return a package as a function of tensors, which refuses those that it was not compiled for."""
    os.environ.update(CHECK_INPUTS)
    try:
        # It unpacks itself into a folder that a process which ends at once would leave behind.
        with _unpacked_apart():
            return torch._inductor.aoti_load_package(str(path))
    except RuntimeError as error:
        raise _unreadable(path, str(error).strip().splitlines()[0]) from error


def _capabilities() -> set[str]:
    """Return what this processor can, by cpuinfo's names: g++ is told to use all of it."""
    return {name for name, can in torch.cpu.get_capabilities().items() if can is True}


@contextmanager
def _unpacked_apart() -> Iterator[None]:
    """Have temporary files written into a folder that is gone afterwards."""
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before
