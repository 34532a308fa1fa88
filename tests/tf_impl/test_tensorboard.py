"""The events that both twins' trainings leave, as TensorFlow's own reader takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
import twins

from pose import tensorboard


def test_tensorflow_reads_the_scalars_of_every_epoch(tmp_path: Path) -> None:
    lines = twins.epoch_lines((1, 2, 3, 300))
    for count in range(1, len(lines) + 1):
        tensorboard.publish(tmp_path, lines[:count])
    path = tmp_path / tensorboard.FILE
    # TFRecord's reader checks both checksums of every record.
    header, *events = [
        tf.compat.v1.Event.FromString(one.numpy()) for one in tf.data.TFRecordDataset(str(path))
    ]
    assert header.file_version == "brain.Event:2"
    assert [one.step for one in events] == [1, 2, 3, 300]
    assert [one.wall_time - header.wall_time for one in events] == pytest.approx([10, 20, 30, 40])
    for line, event in zip(lines, events, strict=True):
        said = {value.tag: value.simple_value for value in event.summary.value}
        assert said == pytest.approx({tag: line[name] for name, tag in tensorboard.TAGS.items()})
