"""A training's epochs as scalars that TensorBoard shows, written without it or any framework.

The file is a sequence of TFRecords (tensorflow/core/lib/io/record_writer.h), each an Event of
tensorflow/core/util/event.proto, in the encoding of protocol buffers.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from pose.files import write_bytes

FILE = "events.out.tfevents.epochs"
"""TensorBoard takes what has `tfevents` in its name."""

TAGS = {
    "train_loss": "loss/train",
    "val_loss": "loss/validation",
    "ap": "AP/validation",
    "lr": "learning_rate",
    "train_s": "seconds/train",
    "val_s": "seconds/validation",
}
"""By the name in a line of epochs.jsonl; alike for both twins, whose curves TensorBoard lays together."""


def publish(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Bring the events in a training's folder up to `lines` of epochs.jsonl.

    What is there is only added to, so that a TensorBoard which reads it goes on; where it is of another
    training it is written anew.
    """
    path = folder / FILE
    there = path.read_bytes() if path.exists() else b""
    started_s = _started(there)
    made = b"" if started_s is None else events(lines, started_s)
    if there and made.startswith(there):
        with open(path, "ab") as file:
            file.write(made[len(there) :])
    else:
        write_bytes(path, events(lines, time.time() - sum(map(_seconds, lines))))


def events(lines: Iterable[Mapping[str, Any]], started_s: float) -> bytes:
    """Return an event file of `lines` of epochs.jsonl.

    started_s: seconds since 1970. An epoch's time is that and the seconds of all epochs up to it: a pause
    between two commands is no part of a training.
    """
    lines = list(lines)
    ends = accumulate(map(_seconds, lines), initial=started_s)
    records = [_double(1, next(ends)) + _bytes(3, b"brain.Event:2")]
    for line, end in zip(lines, ends, strict=True):
        known = [(tag, line[name]) for name, tag in TAGS.items() if line.get(name) is not None]
        values = [_bytes(1, tag.encode()) + _float(2, value) for tag, value in known]
        summary = b"".join(_bytes(1, value) for value in values)
        records.append(_double(1, end) + _varint(2 << 3) + _varint(line["epoch"]) + _bytes(5, summary))
    return b"".join(map(_record, records))


def _started(file: bytes) -> float | None:
    """Return the time of a file's first event; None where it is not whole."""
    whole = len(file) >= 21
    return float(struct.unpack_from("<d", file, 13)[0]) if whole else None


def _seconds(line: Mapping[str, Any]) -> float:
    return float(line.get("train_s", 0.0) + line.get("val_s", 0.0))


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of data, as in RFC 3720, appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _entry(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


_CRC = [_entry(byte) for byte in range(256)]


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
