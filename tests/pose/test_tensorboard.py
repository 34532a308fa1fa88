"""TensorBoard's events of a training; tests/tf_impl/test_tensorboard.py has them read by TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import twins

from pose import tensorboard

LINES = twins.epoch_lines(range(1, 301))


def test_the_checksum_is_that_of_the_rfc() -> None:
    """RFC 3720, appendix B.4; and the check value of the catalogue of CRCs."""
    assert tensorboard.crc32c(bytes(32)) == 0x8A9136AA
    assert tensorboard.crc32c(bytes([0xFF] * 32)) == 0x62A8AB43
    assert tensorboard.crc32c(b"123456789") == 0xE3069283


def test_an_epoch_is_added_to_what_is_there(tmp_path: Path) -> None:
    """A TensorBoard that reads the file holds on to it, and goes on where it was."""
    path = tmp_path / tensorboard.FILE
    tensorboard.publish(tmp_path, LINES[:1])
    file, one = path.stat().st_ino, path.read_bytes()
    for count in range(2, 6):
        tensorboard.publish(tmp_path, LINES[:count])
    assert path.stat().st_ino == file
    assert path.read_bytes().startswith(one)
    started = tensorboard._started(one)
    assert started is not None
    assert path.read_bytes() == tensorboard.events(LINES[:5], started)


@pytest.mark.parametrize("kept", [0, 1, 13, 20, 21, 100, 400])
def test_what_a_kill_left_half_written_is_completed(tmp_path: Path, kept: int) -> None:
    path = tmp_path / tensorboard.FILE
    tensorboard.publish(tmp_path, LINES[:3])
    whole = path.read_bytes()
    os.truncate(path, kept)
    tensorboard.publish(tmp_path, LINES[:3])
    assert len(path.read_bytes()) == len(whole)
    if kept >= 21:
        assert path.read_bytes() == whole


@pytest.mark.parametrize("there", [b"not a file of events, but a longer one than its header", b"\0"])
def test_what_is_of_another_training_is_written_anew(tmp_path: Path, there: bytes) -> None:
    path = tmp_path / tensorboard.FILE
    path.write_bytes(there)
    tensorboard.publish(tmp_path, LINES[:2])
    first = path.read_bytes()
    assert len(first) == len(tensorboard.events(LINES[:2], 0.0))
    tensorboard.publish(tmp_path, [{**line, "ap": 0.5} for line in LINES[:1]])
    assert len(path.read_bytes()) == len(tensorboard.events(LINES[:1], 0.0)) < len(first)


def test_a_line_that_lacks_a_number_is_no_mistake(tmp_path: Path) -> None:
    tensorboard.publish(tmp_path, [{"epoch": 1, "lr": 1e-3, "ap": None}])
    assert b"learning_rate" in (tmp_path / tensorboard.FILE).read_bytes()
    assert b"AP/validation" not in (tmp_path / tensorboard.FILE).read_bytes()
