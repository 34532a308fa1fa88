"""The verb that says what stands in each file of a run: JSON Schemas, made from the types that read them."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

import msgspec
import typer
from pydantic import BaseModel

from bench import console
from bench.mlperf.records import LoadGenRow
from bench.parity.certificate import Parity
from bench.process import messages
from bench.run import bench_file, conversion, folder, journal, results, trainings
from bench.stages import evaluation
from bench.verdicts import ap_differences, comparisons
from pose import evaluate, records, splits
from pose.errors import UserError
from pose.recipe import Recipe
from pose.synthetic import dataset
from reports.run import read
from twinpose.options import AsJson

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class FileOfRun:
    """A kind of file that a run folder holds."""

    name: str
    path: str
    """Below the run, as a glob."""
    kind: Any
    """The type of what is read of it; of a file of lines, of each line. Several: one or the other."""


FILES = (
    FileOfRun("run", "run.json", folder.RunFacts),
    FileOfRun("recipe", "recipe.yaml", Recipe),
    FileOfRun("rendered", "data/synthetic.json", dataset.SyntheticFile),
    FileOfRun("annotations", "data/annotations/*.json", records.StrictFile),
    FileOfRun("split", "split.json", splits.ManifestFile),
    FileOfRun("ground-truth", "ground_truth*.json", evaluation.GroundTruth),
    FileOfRun("epoch", "train/*/epochs.jsonl", read.Epoch),
    FileOfRun("training", "train/*/summary.json", trainings.TrainingSummary),
    FileOfRun("predictions", "train/*/predictions/*.json", list[evaluate.Result]),
    FileOfRun("test", "test.json", read.Test),
    FileOfRun("conversion", "artifacts/*/conversion.json", conversion.Conversion),
    FileOfRun("parity", "parity.json", Parity),
    FileOfRun("bench", "bench/bench.json", bench_file.BenchFile),
    FileOfRun("pass", "bench/passes.jsonl", (journal.Pass, journal.End)),
    FileOfRun("cell", "bench/cells/**/*.json", results.CellResult),
    FileOfRun("comparisons", "bench/comparisons.json", comparisons.ComparisonsFile),
    FileOfRun("accuracies", "bench/accuracies.json", ap_differences.ApDifferencesFile),
    FileOfRun("mlperf", "bench/mlperf/*.json", LoadGenRow),
    FileOfRun("samples", "samples/samples.json", tuple[read.SampleImage, ...]),
    FileOfRun("sample-epochs", "samples/made_from.json", dict[str, int]),
    FileOfRun("request", "**/request.json", messages.ChildRequest),
    FileOfRun("event", "**/events.jsonl", messages.ChildEvent),
    FileOfRun("result", "**/result.json", messages.ChildResult),
)
"""In the order in which a run comes to them. A further seed's folder, seeds/N, is a run folder of its own."""


def schema(
    name: Annotated[str | None, typer.Argument(help="A kind of file; without one they are listed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the JSON Schema of a file of a run, for whoever reads runs by other tools."""
    if name is None:
        lines = console.aligned(((one.name, one.path) for one in FILES), left=(0, 1))
        console.facts([{"name": one.name, "path": one.path} for one in FILES], as_json, "\n".join(lines))
        return
    found = next((one for one in FILES if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in FILES)
        raise UserError(f"no file of a run is called '{name}'; expected one of: {known}")
    console.facts(of(found), True, "")


def of(file: FileOfRun) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file; fields have the words of their classes.

    What it does not name is allowed: a later version writes more, and readers pass it over.
    """
    kinds = file.kind if isinstance(file.kind, tuple) else (file.kind,)
    if isinstance(file.kind, type) and issubclass(file.kind, BaseModel):
        made = file.kind.model_json_schema()
    else:
        found, records = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
        made = {**(found[0] if len(found) == 1 else {"anyOf": list(found)}), "$defs": records}
    seen: set[type] = set()
    classes = {one.__name__: one for kind in kinds for one in _classes(kind, seen)}
    for name, described in [*made.get("$defs", {}).items(), (made.get("title", ""), made)]:
        if name in classes:
            _describe(described, classes[name])
    return {"$schema": DIALECT, "title": file.path, **{k: v for k, v in made.items() if k != "title"}}


def _classes(kind: Any, seen: set[type]) -> Iterator[type]:
    """Yield the records that a type is made of, each once."""
    for part in typing.get_args(kind):
        yield from _classes(part, seen)
    if (
        isinstance(kind, type)
        and kind.__module__.split(".")[0] in {"pose", "bench", "reports"}
        and kind not in seen
    ):
        seen.add(kind)
        yield kind
        for field in typing.get_type_hints(kind, include_extras=True).values():
            yield from _classes(field, seen)


def _describe(described: dict[str, Any], kind: type) -> None:
    """Give the properties of a record's schema the words that stand below its fields."""
    names = {}
    if issubclass(kind, msgspec.Struct):
        names = {one.name: one.encode_name for one in msgspec.structs.fields(kind)}
    for base in reversed(kind.__mro__):
        for field, words in _words(base).items():
            if entry := described.get("properties", {}).get(names.get(field, field)):
                entry["description"] = words


@cache
def _words(kind: type) -> dict[str, str]:
    """Return the docstring below each annotated field of a class of ours, by the field's name."""
    if not kind.__module__.startswith(("pose.", "bench.", "reports.")):
        return {}
    [body] = [node.body for node in ast.parse(textwrap.dedent(inspect.getsource(kind))).body]  # type: ignore[attr-defined]
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(words))):
                    found[field.target.id] = " ".join(words.split())
    return found
