"""Two climbs do not share a folder."""

from __future__ import annotations

import pytest
import twins

from bench.parity import climb
from bench.run import folder
from pose.errors import UserError


def nothing(*_):
    pytest.fail("data were made")


def test_a_second_climb_into_a_folder_is_told_and_touches_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(climb, "_data", lambda *_: pytest.fail("made"))
    out = tmp_path / "p"
    (out / "parity").mkdir(parents=True)
    (out / "parity" / climb.MARK).write_text("{}")
    (out / "parity" / "half.npz").write_bytes(b"of the first")
    wanted = climb.ClimbRequest((1,), "twinpose parity")
    with (
        folder.exclusive(out),
        pytest.raises(UserError, match="another twinpose process works on"),
    ):
        climb.recipe(
            twins.tiny(),
            out,
            wanted,
            coco=None,
            given=None,
            threads=1,
        )
    assert (out / "parity" / "half.npz").read_bytes() == b"of the first"
