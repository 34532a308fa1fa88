"""A reason names a log only where the log stays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.process import launch


@pytest.mark.parametrize("entry", ["fails", "dies"])
def test_a_log_that_goes_is_not_named_and_one_that_stays_is_there(tmp_path: Path, entry: str) -> None:
    (tmp_path / "failing.py").write_text(
        "import os, sys\n"
        "def fails(payload, emit):\n    raise IndexError('list index out of range')\n"
        "def dies(payload, emit):\n    print('last words', file=sys.stderr); os._exit(3)\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    stays = launch.call(f"failing:{entry}", {}, tmp_path / "a", env=env).reason or ""
    named = re.search(r"\(see (.*log\.txt)\)$", stays)
    assert named is not None
    assert Path(named[1]).is_file()
    goes = launch.call(f"failing:{entry}", {}, tmp_path / "b", env=env, log_stays=False).reason or ""
    assert goes == stays.removesuffix(f" {named[0]}")


def test_a_reader_in_a_temporary_folder_names_no_log() -> None:
    with pytest.raises(launch.ChildFailed) as failed:
        launch.in_child("bench.artifacts.checkpoints:read_in_child", {})
    assert str(failed.value) == "KeyError: 'source'"
