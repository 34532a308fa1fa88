"""The JSON Schemas of a run's files, held against a whole run of before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from commands import Say, refuses
from schemas import documents, of_run, validate

from bench.process import launch
from twinpose import schema

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
BY_NAME = {one.name: one for one in schema.FILES}
WHOLE = GOLDEN / "run"
WRITTEN = {
    path: one for run in ("run", "schema_2") for one in schema.FILES for path in (GOLDEN / run).glob(one.path)
}
"""Every file of the golden runs that has a schema."""


@pytest.mark.parametrize("one", schema.FILES, ids=BY_NAME)
def test_a_schema_is_sound(one: schema.FileOfRun) -> None:
    jsonschema.Draft202012Validator.check_schema(schema.of(one))


@pytest.mark.parametrize(("path", "one"), WRITTEN.items(), ids=[str(p.relative_to(GOLDEN)) for p in WRITTEN])
def test_a_file_of_a_run_is_as_its_schema_says(path: Path, one: schema.FileOfRun) -> None:
    validate(path, one, of_before=WHOLE not in path.parents)


def test_every_file_of_text_in_a_run_has_one_schema() -> None:
    found = of_run(WHOLE)
    assert len(found) > 20
    assert {path: [one.name for one in known] for path, known in found.items() if len(known) != 1} == {}


@pytest.mark.parametrize(
    ("function", "payload", "status"),
    [("echo", {"steps": 2}, "ok"), ("raises", {"kind": "runtime", "message": "it broke"}, "failed")],
)
def test_what_a_child_is_told_and_answers_has_schemas(
    tmp_path: Path, function: str, payload: dict[str, Any], status: str
) -> None:
    folder = tmp_path / "bench" / "children" / "ID"
    folder.mkdir(parents=True)
    env = {"PYTHONPATH": str(GOLDEN.parent / "bench")}
    assert launch.call(f"children:{function}", payload, folder, env=env).status == status
    found = {path.name: known for path, known in of_run(tmp_path).items()}
    assert {name: [one.name for one in known] for name, known in found.items()} == {
        "events.jsonl": ["event"],
        "request.json": ["request"],
        "result.json": ["result"],
    }
    for name, [one] in found.items():
        validate(folder / name, one)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("cell", {"rounds": 3}),
        ("run", {"threads": "two"}),
        ("recipe", {"model": {"backbone": "resnet9000", "input_size": [64, 96]}}),
        ("recipe", {"nonsense": 1}),
        ("split", {"sha256": None}),
    ],
)
def test_what_no_version_wrote_is_refused(name: str, broken: dict[str, Any]) -> None:
    path = next(path for path, one in WRITTEN.items() if one.name == name)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**documents(path)[0], **broken}, schema.of(BY_NAME[name]))


def test_a_later_version_may_write_more() -> None:
    [path] = [path for path, one in WRITTEN.items() if one.name == "bench" and "run" in path.parts]
    jsonschema.validate({**documents(path)[0], "added_since": 1}, schema.of(BY_NAME["bench"]))


def test_a_field_has_the_words_of_its_class() -> None:
    """Under the name that the file has: a round's `pass_` is written as `pass`."""
    fields = schema.of(BY_NAME["cell"])["$defs"]["Round"]["properties"]
    assert "median ms of a query" in fields["value"]["description"]
    assert "rounds of one pass are pairs" in fields["pass"]["description"]
    model = schema.of(BY_NAME["recipe"])["$defs"]["Model"]["properties"]
    assert model["sigma_px"]["description"] == "Standard deviation of the target Gaussian, in heatmap pixels."
    assert "split_sha256" in schema.of(BY_NAME["run"])["$defs"]["RunFacts"]["properties"]


def test_the_verb_lists_the_files_and_prints_one_schema(say: Say) -> None:
    listed = say("schema")
    assert [line.split() for line in listed.out.splitlines()] == [
        [one.name, one.path] for one in schema.FILES
    ]
    assert json.loads(say("schema", "--json").out)[0] == {"name": "run", "path": "run.json"}
    assert json.loads(say("schema", "cell").out) == json.loads(json.dumps(schema.of(BY_NAME["cell"])))
    assert "no file of a run is called 'cells'; expected one of: run, recipe" in refuses("schema", "cells")
