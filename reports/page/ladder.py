"""parity.md: the certificate of a climb outside of a run, in the tables that a run's report shows."""

from __future__ import annotations

from pathlib import Path

from bench.parity import certificate
from pose.files import write_text
from reports.run.read import Run
from reports.tables import parity
from reports.tables.table import to_markdown
from reports.words.ladder import verdict


def write(folder: Path) -> Path:
    """Write parity.md beside the parity.json of `folder` and return its path."""
    climbed = Run(folder, {}, parity=certificate.read(folder))
    claim, basis = verdict(climbed.parity)
    found = (parity.checks(climbed), parity.certificates(climbed))
    text = "\n".join((f"# {claim}\n\n{basis}\n", *(to_markdown(table) for table in found if table)))
    write_text(folder / "parity.md", text)
    return folder / "parity.md"
