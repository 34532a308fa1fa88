"""What a runner reads back in a process of its own: precision switches belong to the whole process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twins import tiny

from bench.cells.runtimes import RUNNERS
from bench.contract import RunnerSpec
from pose import architecture, weights

ROOT = Path(__file__).resolve().parent.parent
LOOSE = {
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "TF_SET_ONEDNN_FPMATH_MODE": "BF16",
    "NVIDIA_TF32_OVERRIDE": "1",
}
"""An environment that lets float32 lose bits."""

CHILD = """
import json, sys
{before}
from bench.contract import RunnerSpec
from bench.process.worker import resolve
made = resolve(sys.argv[1])(RunnerSpec(**json.loads(sys.argv[2])))
print("\\n" + json.dumps(made.effective()))
"""


def effective(runtime: str, spec: RunnerSpec, before: str = "", env: Mapping[str, str] | None = None) -> Any:
    """Return what a runner's effective() says in a fresh process that ran the code `before` first."""
    code = CHILD.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", code, RUNNERS[runtime], json.dumps(asdict(spec))],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def twin(folder: Path, mode: str = "eager", **patch: Any) -> RunnerSpec:
    """Return a runner's request for the tiny recipe's network, its untrained weights in `folder`."""
    resolved, artifact = tiny(), folder / "init.safetensors"
    weights.save(artifact, weights.initial(architecture.build(resolved.model), 0))
    spec = {"precision": "fp32", "device": "cpu", "threads": 1, "batch": 2}
    return RunnerSpec(resolved.model_dump(mode="json"), str(artifact), mode, **(spec | patch))
