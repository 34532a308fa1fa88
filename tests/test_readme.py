"""The commands of the README and of the documentation exist, with the options that they give them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from pose import recipe
from twinpose.cli import app

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for page in PAGES
        for block in re.findall(r"```\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for line in block.splitlines()
        if line.startswith("twinpose ")
    }
)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_is_written_down_is_understood(line: str) -> None:
    command, words = get_command(app), shlex.split(line)[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context("twinpose", words, resilient_parsing=False)
    assert context.params


def test_every_verb_and_every_recipe_stands_in_the_readme() -> None:
    root = get_command(app)
    for name, command in root.commands.items():
        nested = getattr(command, "commands", None)
        for verb in [f"{name} {sub}" for sub in nested] if nested else [name]:
            assert f"| `{verb}`" in TEXT, verb
    for name in recipe.shipped("recipes"):
        assert f"`{name}`" in TEXT


def test_make_demo_and_make_test_are_the_first_commands() -> None:
    block = re.search(r"```\n(.*?)```", TEXT, re.DOTALL)
    assert block
    assert [line.split("#")[0].strip() for line in block.group(1).splitlines()] == ["make demo", "make test"]
