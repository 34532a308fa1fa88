"""A run as data frames: cells, rounds, comparisons and epochs, for tables, Parquet and notebooks alike.

Each frame is made of rows that say why a figure is absent, which the report's tables show; a data frame
holds NA instead. CELLS, COMPARISONS and EPOCHS name the columns, with their units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from reports.formats import Columns, bare
from reports.frames.cell_rows import CELLS, cell_rows
from reports.frames.comparison_rows import COMPARISONS, comparison_row
from reports.frames.epoch_rows import EPOCHS, epoch_rows
from reports.frames.round_rows import round_columns, round_rows
from reports.run.read import Run, read
from reports.words.comparisons import pairs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CELLS", "COMPARISONS", "EPOCHS", "cells", "comparisons", "epochs", "read", "rounds"]

DTYPES = {
    "string": "string",
    "int64": "Int64",
    "float64": "float64",
    "strings": "object",
    "time": "datetime64[us, UTC]",
}


def cells(run: Run) -> pd.DataFrame:
    """Return a row for each cell, measured or not, with the columns CELLS."""
    return _frame(cell_rows(run), CELLS)


def rounds(run: Run) -> pd.DataFrame:
    """Return a row for each round and one for each cell without any, with the columns of `round_columns`."""
    rows = list(round_rows(run.cells))
    return _frame(rows, {name: (kind, "") for name, kind in round_columns(rows).items()})


def comparisons(run: Run) -> pd.DataFrame:
    """Return a row for each two cells that were compared, with the columns COMPARISONS."""
    return _frame([comparison_row(pair) for pair in pairs(run)], COMPARISONS)


def epochs(run: Run) -> pd.DataFrame:
    """Return a row for each epoch of each twin and seed, with the columns EPOCHS."""
    return _frame(epoch_rows(run), EPOCHS)


def _frame(rows: Iterable[Mapping[str, Any]], columns: Columns) -> pd.DataFrame:
    import pandas as pd  # half a second that only those who want a frame should wait

    kept = [{name: bare(row.get(name)) for name in columns} for row in rows]
    return pd.DataFrame(kept, columns=list(columns)).astype(
        {name: DTYPES[kind] for name, (kind, _) in columns.items()}
    )
