"""Says what is wrong with a YAML of ours, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one line about the first problem of a `model` that did not validate.

    A misspelt key is also a missing one; the spelling is what helps, so it goes first.
    """
    problems = error.errors()
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    path = [str(part) for part in first["loc"]]
    where = ".".join(_without_kinds(model, path)) or model.__name__.lower()
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key '{where}'{did_you_mean(path[-1], known_keys(model, path[:-1]))}{more}"
    if first["type"] == "union_tag_not_found":
        kinds = [str(section.model_fields["kind"].default) for section in _walk(model, path)]
        return f"{where}: lacks 'kind'; expected one of: {', '.join(kinds)}{more}"
    message = first["msg"].removeprefix("Value error, ")
    # What a whole model contradicts itself in, its message says; the model would fill the screen.
    contradiction = first["type"] == "value_error" and isinstance(first["input"], dict)
    whole = first["type"] == "missing" or not path or contradiction
    given = "" if whole else f" (given: {first['input']!r})"
    return f"{where}: {message}{given}{more}"


def known_keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the keys of the section of `model` that `path` leads to.

    Where a key takes one of several sections, the next part of the path may be the `kind` that
    chooses among them; without it their keys are joined.
    """
    models = _walk(model, path)
    return list(dict.fromkeys(key for m in models for key in m.model_fields))


def did_you_mean(given: str, known: Sequence[str]) -> str:
    """Return the end of an error message: the nearest of the `known` names, or all of them."""
    near = difflib.get_close_matches(given, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; expected one of: {', '.join(known)}"


def _walk(model: type[BaseModel], path: Sequence[str]) -> list[type[BaseModel]]:
    models = [model]
    for part in path:
        inside = _of_kind(models, part) or [
            section
            for m in models
            if part in m.model_fields
            for section in _sections(m.model_fields[part].annotation)
        ]
        # A place in a list of sections, or a name in a table of them, leads no deeper.
        models = inside or models
    return models


def _of_kind(models: list[type[BaseModel]], kind: str) -> list[type[BaseModel]]:
    return [m for m in models if "kind" in m.model_fields and m.model_fields["kind"].default == kind]


def _without_kinds(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return `path` without the tags that pydantic puts after a key with several sections."""
    return [part for i, part in enumerate(path) if not _of_kind(_walk(model, path[:i]), part)]


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in getattr(annotation, "__args__", ()) for section in _sections(part)]
