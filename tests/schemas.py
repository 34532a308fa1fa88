"""A run's files of text, held against their JSON Schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from twinpose import schema

OPEN = {"annotations", "event"}
"""Whose records have fields that the schema does not name, in every version."""


def documents(path: Path) -> list[Any]:
    """Return what a schema is for: the content of a file, or each of its lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        return [yaml.safe_load(text)]
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]


def closed(node: Any) -> Any:
    """Return a schema in which what a record does not name is an error."""
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    shut = {"additionalProperties": False} if isinstance(node.get("properties"), dict) else {}
    return {name: closed(value) for name, value in node.items()} | shut


def validate(path: Path, one: schema.FileOfRun, *, of_before: bool = False) -> None:
    """Raise jsonschema.ValidationError unless a file is as its schema says.

    What this version writes is named there, too; one of before wrote what nobody reads.
    """
    wanted = schema.of(one)
    validator = jsonschema.Draft202012Validator(wanted if of_before or one.name in OPEN else closed(wanted))
    for document in documents(path):
        validator.validate(document)


def of_run(run: Path) -> dict[Path, list[schema.FileOfRun]]:
    """Return each file of text in a run, and the schemas that say they are for it."""
    texts = sorted(path for path in run.rglob("*") if path.suffix in {".json", ".jsonl", ".yaml"})
    return {path: [one for one in schema.FILES if path in run.glob(one.path)] for path in texts}
