"""Which files an artifact of a run consists of."""

from __future__ import annotations

from pathlib import Path

from bench.run import artifacts


def test_an_onnx_file_has_no_part_in_the_weights_of_the_ir_beside_it(tmp_path: Path):
    for name in ("model.xml", "model.bin", "model.onnx"):
        (tmp_path / name).write_text(name)
    ir, onnx = (tmp_path / name for name in ("model.xml", "model.onnx"))
    before = artifacts.artifact_sha256(ir), artifacts.artifact_sha256(onnx)
    assert artifacts.parts(onnx) == [onnx, tmp_path / "model.onnx.data"]
    (tmp_path / "model.bin").write_text("others")
    now = artifacts.artifact_sha256(ir), artifacts.artifact_sha256(onnx)
    assert (now[0] == before[0], now[1] == before[1]) == (False, True)
