"""How a comparison of two runs is said, and the share that it is asked to fail over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import run_folders
from compared import ACCURACY, LATENCY, around, found

from bench.compare import rows as rows_
from bench.compare import text as text_
from pose.errors import UserError


def test_the_worst_comes_first(tmp_path: Path) -> None:
    axes = [run_folders.cell(batch=batch) for batch in range(1, 6)]
    a = [run_folders.result(cell, around(20, cell.batch)) for cell in axes]
    b = [run_folders.result(cell, around(20 + 2 * cell.batch, cell.batch)) for cell in axes[:4]]
    a.append(run_folders.result(ACCURACY, [0.5]))
    b.append(run_folders.result(ACCURACY, [0.1]))
    both = found(tmp_path, a, b)
    assert [row.id for row in both.rows] == [axes[i].id for i in (3, 2, 1, 0)] + [ACCURACY.id, axes[4].id]
    lines = text_.text(both).splitlines()
    order = [line.split()[0] for line in lines if re.match(r"\s*torch-", line)]
    assert order == [row.id for row in both.rows]
    assert lines[-1] == "5 regressed, 1 lower, 1 not measured, 4 slower"


def test_columns_are_aligned_and_times_have_a_unit_that_suits_them(tmp_path: Path) -> None:
    both = found(
        tmp_path, [run_folders.result(LATENCY, around(0.02))], [run_folders.result(LATENCY, around(2000))]
    )
    [head, line] = [line for line in text_.text(both).splitlines() if "B / A" in line or LATENCY.id in line]
    assert re.search(r"20\.\d+ us +2\.00\d s|19\.\d+ us +(2|1\.99)\d* s", line)
    assert line.index("slower, REGRESSED") + len("slower, REGRESSED") == head.index("B is") + len("B is")


def test_everything_is_json(tmp_path: Path) -> None:
    both = found(tmp_path, [run_folders.result(LATENCY, [20.0])], [run_folders.result(LATENCY, [21.0])])
    facts = json.loads(json.dumps(both.to_dict(), allow_nan=False))
    assert facts["rows"][0]["verdict"] == "inconclusive"
    assert facts["rows"][0]["interval"] is None
    assert (facts["exit_code"], facts["counts"]) == (0, {"inconclusive": 1, "regressed": 0})


@pytest.mark.parametrize(
    ("text", "share"),
    [("5%", 0.05), ("0.05", 0.05), ("0%", 0.0), ("0", 0.0), (" 2.5 % ", 0.025), ("150%", 1.5)],
)
def test_a_share_is_a_percentage_or_a_fraction(text: str, share: float) -> None:
    assert rows_.parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "-5%", "five", "", "nan", "inf%", "1e-2"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"expected for example 5% or 0\.05"):
        rows_.parse_share(text)
