"""`data pipelines`: what it measures of either twin's own pixels, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import twins

from bench.data import native_pixels
from pose import architecture, recipe, weights
from pose.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return twins.dataset(tmp_path_factory.mktemp("coco"))


def request(coco: Path, **given: object) -> native_pixels.Request:
    values = {"part": "val", "weights": None, "samples": 3, "rounds": 1, "workers": 0}
    return native_pixels.Request(coco, **(values | given))


def test_a_distance_counts_every_value_of_every_image() -> None:
    found = native_pixels.Distance()
    found.add(np.array([10, 10, 10], np.uint8), np.array([10, 12, 9], np.uint8))
    found.add(np.array([0], np.uint8), np.array([255], np.uint8))
    assert found.to_dict() == {"max": 255, "mean_abs": 64.5, "mean_signed": -64.0, "share": 0.75}


def test_colours_that_no_native_pipeline_has_are_refused_in_one_line(rendered: Path) -> None:
    study = recipe.load("study_resnet50_256x192", ["split.method=official"])
    with pytest.raises(UserError, match=r"--set training\.augmentation\.colour_jitter=null") as refused:
        native_pixels.compare_pipelines(study, request(rendered))
    assert str(refused.value).startswith("study_resnet50_256x192: recipe: data.pipeline native")
    assert "\n" not in str(refused.value)


def test_weights_that_are_not_there_are_refused_before_anything_is_measured(rendered: Path) -> None:
    with pytest.raises(UserError, match=r"no file nowhere\.safetensors; expected weights"):
        native_pixels.compare_pipelines(twins.tiny(), request(rendered, weights=Path("nowhere.safetensors")))


def measured(coco: Path, folder: Path, *first: Path) -> dict[str, Any]:
    """Return what `data pipelines` prints of three people and untrained weights.

    first: folders in which the command and its children look for modules before anywhere else.
    """
    initial = folder / "init.safetensors"
    drawn = weights.initial(architecture.build(recipe.load("smoke").model), 0)
    weights.save(initial, drawn, {"channel_order": "rgb"})
    command = [sys.executable, "-m", "twinpose", "data", "pipelines", "--recipe", "smoke"]
    command += ["--coco", str(coco), "--weights", str(initial), "--samples", "3", "--rounds", "2"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*first, ROOT)))}
    done = subprocess.run(
        [*command, "--workers", "0", "--json"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert list(found["twins"]) == ["tf", "torch"]
    return found


@pytest.mark.slow
@pytest.mark.frameworks("tensorflow", "torch")
def test_the_verb_measures_each_twin_and_shows_that_the_causes_explain_it(
    rendered: Path, tmp_path: Path
) -> None:
    found = measured(rendered, tmp_path)
    for own in found["twins"].values():
        distances = own["pixels"]["distances"]
        assert distances["decoder_aligned"]["max"] == 0
        assert distances["warp_aligned"]["max"] <= 1
        assert distances["warp_aligned"]["share"] < 0.005 < distances["warp"]["share"]
        assert distances["both"]["share"] > 0.005
        apart = own["accuracy"]["native"] - own["accuracy"]["shared"]
        assert own["accuracy"]["difference"] == pytest.approx(apart)
        assert len(own["speed"]["ratios"]) == 2
        assert own["speed"]["ratio"] > 0
        assert own["pixels"]["why"]["warp"] in native_pixels.text(found)


def test_a_twin_whose_framework_is_not_installed_has_the_reason_in_its_place(
    rendered: Path, tmp_path: Path
) -> None:
    for name in twins.FRAMEWORKS.values():
        words = f"No module named {name!r}"
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError({words!r}, name={name!r})\n")
    for twin, own in measured(rendered, tmp_path, tmp_path)["twins"].items():
        assert f"{twins.FRAMEWORKS[twin]} is not installed" in own["unsupported"]


def test_the_table_names_a_twin_that_cannot_run_here_with_the_reason() -> None:
    absent = {"tf": {"unsupported": "tensorflow is not installed in this interpreter"}}
    found = {"part": "val", "people": 9, "samples": 3, "workers": 2, "twins": absent}
    assert "tf tensorflow is not installed" in native_pixels.text(found)
