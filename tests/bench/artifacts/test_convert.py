"""The int8 route: what it is calibrated on, what it is made of, and that both twins can have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from twins import MIRRORED, dataset, job, tiny

from bench.artifacts import calibration, convert
from bench.artifacts.calibration import CalibrationSet
from bench.artifacts.convert import ConversionJob
from bench.process import launch
from bench.process.worker import explain
from bench.run import folder
from bench.run.conversion import Format
from pose import architecture, sample, splits, weights
from pose.errors import Unsupported
from pose.files import sha256_of_bytes


def request(run_folder: Path, out: Path) -> ConversionJob:
    """Return a conversion of the run's recipe that has no source yet."""
    run = folder.opened(run_folder)
    nothing: Any = None
    where = (run.settings.coco, splits.read(run.split_file))
    return ConversionJob(
        "torch", run.recipe, run_folder / "best.safetensors", *where, nothing, nothing, nothing, out
    )


def test_the_calibration_set_is_of_the_training_part_and_unaugmented(run_folder: Path, tmp_path: Path):
    made = request(run_folder, tmp_path)
    found = made.calibration
    train = splits.select(made.manifest, made.coco, "train")
    # Fewer people than would be taken: all of them.
    np.testing.assert_array_equal(found.images, sample.crops(train, made.recipe, range(len(train))))
    facts = found.facts()
    assert (facts["part"], facts["inputs"]) == ("train", len(train))
    assert facts["annotation_ids_sha256"] == sha256_of_bytes(json.dumps(train.ann_ids.tolist()).encode())


def test_the_calibration_set_is_written_down_beside_what_it_quantised(run_folder: Path, tmp_path: Path):
    made = request(run_folder, tmp_path)
    facts = made.calibration.facts()
    written = json.loads((tmp_path / calibration.MANIFEST).read_text())
    assert facts.items() <= written.items()
    assert written["split_sha256"] == made.manifest.sha256
    assert sha256_of_bytes(json.dumps(written["annotation_ids"]).encode()) == facts["annotation_ids_sha256"]


def test_the_calibration_set_is_a_seeded_choice(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(calibration, "IMAGES", 3)
    made = request(run_folder, tmp_path)

    def chosen() -> CalibrationSet:
        return calibration.choose(made.recipe, made.coco, made.manifest)

    one, same = chosen(), chosen()
    np.testing.assert_array_equal(one.images, same.images)
    assert one.facts() == same.facts()
    hashes = set()
    for seed in range(8):
        monkeypatch.setattr(calibration, "SEED", seed)
        assert len(chosen().images) == 3
        hashes.add(chosen().facts()["annotation_ids_sha256"])
    assert len(hashes) > 1


def test_int8_without_an_ir_says_what_is_missing(run_folder: Path, tmp_path: Path):
    with pytest.raises(Unsupported, match=r"made of model\.xml, which this conversion did not leave"):
        convert._route(Format("ir-int8"), request(run_folder, tmp_path))


def test_without_nncf_the_extra_is_named():
    status, reason = explain(ModuleNotFoundError("No module named 'nncf'", name="nncf"))
    assert (status, reason.rpartition(": ")[2]) == ("unsupported", "pip install twinpose[openvino]")


FORMATS = [{"kind": "ir", "batches": [1, 3]}, {"kind": "ir-int8"}]


@pytest.mark.frameworks("openvino", "nncf")
@pytest.mark.parametrize("twin", MIRRORED)
def test_either_twin_is_quantised_beside_its_ir(twin: str, tmp_path: Path):
    coco, out = dataset(tmp_path / "coco"), tmp_path / "artifacts"
    given = job(tmp_path / "job", coco, tiny())
    # Of untrained weights heatmaps are nearly nothing, and what rounding does to them too.
    weights.save(Path(given["initial"]), weights.generic(architecture.build(tiny().model), 0))
    payload = {**given, "twin": twin, "weights": given["initial"], "out": out, "formats": FORMATS}
    record = launch.value_of(launch.call("bench.artifacts.convert:convert", payload, tmp_path / "child"))
    ir, int8 = record["routes"]
    assert [(route["status"], route["file"]) for route in (ir, int8)] == [
        ("ok", "model.xml"),
        ("ok", "model.int8.xml"),
    ]
    assert ir["max_abs_difference"] < 1e-5 * ir["rms_source"] < int8["max_abs_difference"]
    assert int8["max_abs_difference"] < int8["rms_source"]
    assert int8["calibration"]["part"] == "train"
    seen = ir["gate"]
    assert [(one["batch"], one["images"]) for one in seen["checks"]] == [(1, 1), (3, 1), (3, 3)]
    assert all(one["error"] < seen["bound"] < 1e-4 for one in seen["checks"])
    assert "images are float32 of 3x" in seen["refused"]["float32 for uint8"]
    left = {path.name for path in out.iterdir()}
    quantised = {"model.int8.xml", "model.int8.bin", "calibration.json"}
    assert left == {"model.xml", "model.bin", "conversion.json", *quantised}
    assert json.loads((out / "conversion.json").read_text()) == record
