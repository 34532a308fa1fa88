"""One process that holds both frameworks must load torch first.

torchvision imports triton, whose copy of LLVM crashes the interpreter when TensorFlow's is already
loaded; the other way round both work. The product never loads both in one process; pytest does.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("torchvision"):
    import torchvision  # noqa: F401
