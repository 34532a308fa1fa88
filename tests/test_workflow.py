"""The workflow that docs/ci.md gives away is one: its shell parses, its commands and its files exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from bench.cells import matrix
from pose import recipe
from twinpose.cli import app

DOCS = Path(__file__).resolve().parent.parent / "docs"
WORKFLOW: dict[Any, Any] = yaml.safe_load((DOCS / "ci" / "pull-request.yml").read_text(encoding="utf-8"))
[JOB] = WORKFLOW["jobs"].values()
SCRIPTS = [step["run"] for step in JOB["steps"] if "run" in step]


def test_every_script_parses() -> None:
    for script in SCRIPTS:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_every_command_is_understood() -> None:
    lines = re.findall(r"env/\S+/bin/twinpose (.*)", "\n".join(SCRIPTS))
    assert [line.split()[0] for line in lines] == ["run", "run", "bench", "compare"]
    for line in lines:
        words = shlex.split(line.partition(" >>")[0].replace("$RECIPE", WORKFLOW["env"]["RECIPE"]))
        command = get_command(app).commands[words[0]]  # type: ignore[attr-defined]
        assert command.make_context("twinpose", words[1:]).params


def test_the_recipe_has_no_bench_of_its_own_there() -> None:
    assert recipe.load(WORKFLOW["env"]["RECIPE"], ["matrix=null"]).matrix is None


def test_each_pass_asks_for_one_round_more(tmp_path: Path) -> None:
    """By the workflow's own replacement in the matrix that it names."""
    [script] = [script for script in SCRIPTS if "sed" in script]
    [line] = [line.strip() for line in script.splitlines() if "sed" in line]
    [named] = re.findall(r"head/(\S+)", line)
    local = line.replace(f"head/{named}", str(DOCS.parent / named))
    hashes = set()
    for number in (1, 2, 5):
        subprocess.run(
            ["bash", "-c", local],
            cwd=tmp_path,
            env={"pass": str(number), "PATH": "/usr/bin:/bin"},
            check=True,
        )
        made = matrix.load(str(tmp_path / "matrix.yaml"))
        assert (made.protocol.rounds, made.protocol.rounds_max) == (number, number)
        hashes.add((made.name, made.cells))
    assert len(hashes) == 1


def test_the_sides_take_turns() -> None:
    [script] = [script for script in SCRIPTS if "order=" in script]
    said = re.sub(r"sed .*", ":", script).replace("env/$side/bin/twinpose", "echo $side #")
    done = subprocess.run(["bash", "-ec", said], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:6] == ["base", "head", "head", "base", "base", "head"]
