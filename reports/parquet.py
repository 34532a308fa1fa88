"""A run's cells as Parquet: flat, typed columns, a row a round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from bench.run import bench_file, results
from pose.errors import UserError
from pose.files import replacing
from reports.frames.round_rows import round_columns, round_rows

METADATA = b"twinpose"
"""Under this key of the file: JSON of the schema, the run, the matrix and the machine."""


def to_parquet(run: Path, path: Path) -> int:
    """Write a run's cells to `path`, a row a round, one row for a cell without any; return the rows.

    The columns are those of `frames.rounds`. Raises UserError for a run without a bench or where
    pyarrow is not installed.
    """
    pa = _pyarrow()
    facts = msgspec.to_builtins(bench_file.required(run))
    rows = list(round_rows(results.cells(run)))
    kinds = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}
    kinds |= {"strings": pa.list_(pa.string()), "time": pa.timestamp("us", tz="UTC")}
    described = json.dumps({"schema": results.SCHEMA, "run": str(run)} | facts).encode()
    schema = pa.schema(
        [(name, kinds[kind]) for name, kind in round_columns(rows).items()], {METADATA: described}
    )
    from pyarrow import parquet

    with replacing(path) as temporary:
        parquet.write_table(pa.Table.from_pylist(rows, schema), temporary)
    return len(rows)


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise UserError(
            "Parquet needs pyarrow, which is not installed; 'pip install twinpose[parquet]' brings it"
        ) from error
    return pa
