"""Each package imports where the frameworks of the others are absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = {
    "tf_impl": ["tensorflow", "keras"],
    "torch_impl": ["torch", "torchvision"],
    "onnx_impl": ["onnxruntime"],
    "openvino_impl": ["openvino", "nncf"],
}

# Finders that do not find a package are how third-party code sees one that is not installed. A None in
# sys.modules is not: SciPy takes it for the module.
IMPORT_ALL = """
import importlib, pkgutil, sys
package, *blocked = sys.argv[1:]

class Blind:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Blind(finder) for finder in sys.meta_path]
found = importlib.import_module(package)
for module in pkgutil.walk_packages(found.__path__, package + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


def import_all(package: str, blocked: list[str]) -> str:
    """Return the names of the modules of `package`, imported in a process that lacks `blocked`."""
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, package, *blocked],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"{package} without {', '.join(blocked)}:\n{result.stderr}"
    return result.stdout


def others(package: str) -> list[str]:
    """Return the implementation packages other than `package`, and their frameworks."""
    return [name for impl, needs in FRAMEWORKS.items() if impl != package for name in (impl, *needs)]


@pytest.mark.parametrize(
    "package",
    [pytest.param(name, marks=pytest.mark.frameworks(needs[0])) for name, needs in FRAMEWORKS.items()],
)
def test_an_implementation_imports_without_the_other_frameworks(package: str):
    assert f"{package}.runner" in import_all(package, others(package))


@pytest.mark.parametrize(
    ("package", "blocked"),
    [
        ("pose", ["bench", "reports", "twinpose"]),
        ("bench", ["reports", "twinpose"]),
        ("reports", ["twinpose"]),
        ("twinpose", []),
    ],
)
def test_the_core_imports_without_any_framework(package: str, blocked: list[str]):
    assert import_all(package, [*others(package), *blocked])


def test_a_blocked_framework_cannot_be_imported():
    with pytest.raises(AssertionError, match="without json"):
        import_all("pose", ["json"])
