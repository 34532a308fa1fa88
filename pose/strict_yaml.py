"""YAML in which no key is given twice: of two values the last would win in silence."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from pose.errors import UserError
from pose.files import read_bytes


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[tuple[str, str], int] = {}
        # Before aliases are merged in (<<), whose keys may be given again.
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if (key.tag, key.value) in lines:
                first = lines[key.tag, key.value]
                where = f"line {line}" if first == line else f"lines {first} and {line}"
                raise yaml.constructor.ConstructorError(problem=f"'{key.value}' is given twice, in {where}")
            lines[key.tag, key.value] = line
        return super().construct_mapping(node, deep)


def parse(text: str) -> Any:
    """Return the value of a YAML text; ValueError of one line where it is none, or gives a key twice."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that knows no tag beyond its own
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def read(path: Path, expected: str) -> Any:
    """Return the value of a YAML file; `expected` names the kind of file for the UserError."""
    try:
        return parse(read_bytes(path, expected).decode())
    except ValueError as error:
        raise UserError(f"{path} is not YAML: {error}; expected {expected}") from error
