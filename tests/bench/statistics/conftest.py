"""The tables that simulations print."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[list[str]]:
    """Collect the lines of a module's simulations, and print them with `-s`."""
    rows = ["", "| interval | noise | sigma | drift | rounds | covers |", "|---|---|---|---|---|---|"]
    yield rows
    if len(rows) > 3:
        print("\n".join(rows))
