"""The page in a browser: it sorts, filters and changes its baseline, every link leads somewhere, no error."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from reports.build import build

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on the path: apt-get install chromium"),
]

ACTS = f"<script>{(Path(__file__).parent / 'acts.js').read_text()}</script>"
WATCH = "<script>window.failures = []; addEventListener('error', (e) => failures.push(e.message));</script>"


@pytest.fixture(scope="module")
def told(full_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a browser saw after it sorted, filtered and changed the baseline."""
    page = build(full_run).read_text()
    folder = tmp_path_factory.mktemp("browser")
    acted = page.replace("<style>", f"{WATCH}<style>", 1).replace("</body>", f"{ACTS}</body>")
    (folder / "page.html").write_text(acted)
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr"]
    done = subprocess.run(
        [*command, f"file://{folder / 'page.html'}"], capture_output=True, text=True, timeout=120
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(unescape(found[1])) | {"console": console}


def test_a_column_sorts_both_ways_and_says_so(told: dict[str, Any]):
    assert told["up"] == sorted(told["up"], key=float)
    assert told["down"] == told["up"][::-1]
    assert (told["order_up"], told["order_down"]) == ("ascending", "descending")


def test_what_is_no_number_stands_last_whichever_way(told: dict[str, Any]):
    figures = [re.match(r"[\d.]+", text) for text in told["absent_last"]]
    known = [float(one.group()) for one in figures if one]
    assert known == sorted(known)
    assert not any(figures[len(known) :])
    assert len(figures) > len(known)


def test_a_baseline_turns_ratio_interval_and_verdict_around(told: dict[str, Any]):
    assert set(told["against"]) == {"PyTorch on OpenVINO"}
    ratios = [float(one.rstrip("×")) for one in told["turned"]]
    for ratio, interval, verdict in zip(ratios, told["turned_interval"], told["verdicts"], strict=True):
        low, high = map(float, re.findall(r"[\d.]+", interval))
        assert low <= ratio <= high
        assert (ratio < 1) == verdict.startswith("slower") or verdict.startswith("equivalent")
    assert told["back"] == told["every"]


def test_words_filter_rows_and_their_lanes(told: dict[str, Any]):
    assert told["filtered"] == ["PyTorch on ONNX Runtime"]
    assert (told["count"], told["lanes"]) == ("1 of 45 rows", 1)


def test_every_link_leads_somewhere_and_into_what_is_folded(told: dict[str, Any]):
    assert told["links"] > 60
    assert told["broken"] == []
    assert told["unfolded"] is True


def test_the_page_has_no_error_and_makes_no_request(told: dict[str, Any]):
    assert told["errors"] == told["console"] == []
    assert told["requests"] == 0
    assert told["buttons"] > 50
