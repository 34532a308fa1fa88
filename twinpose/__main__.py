"""The command's door: `twinpose`, or `python -m twinpose`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from twinpose import INTERRUPTED

HOME = Path(__file__).resolve().parent.parent
SIBLINGS = ("pose", "bench", "reports", "tf_impl", "torch_impl", "onnx_impl", "openvino_impl")


def main() -> None:
    """Run the command line, unless another project's package stands in the way of one of ours."""
    try:
        if foreign := _foreign():
            print(f"twinpose: {foreign}", file=sys.stderr)
            sys.exit(2)
        # Not before: these imports are what would fail, and they take a second in which Ctrl-C may come.
        from twinpose import cli
    except KeyboardInterrupt:
        print(f"twinpose: {INTERRUPTED}", file=sys.stderr)
        sys.exit(130)
    cli.main()


def _foreign() -> str | None:
    """Return what is wrong where Python finds a package of another project under a name of ours."""
    for name in SIBLINGS:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != HOME / name / "__init__.py":
            return (
                f"Python finds '{name}' in {found or 'no place'}, expected {HOME / name}; "
                "run it elsewhere, or without that folder in PYTHONPATH"
            )
    return None


if __name__ == "__main__":
    main()
