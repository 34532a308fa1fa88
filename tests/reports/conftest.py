"""A run folder as `twinpose run` leaves it, made by hand in milliseconds: good, failed and absent parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import bench_files
import cv2
import ladder_files
import numpy as np
import pytest

from pose import recipe, splits
from pose.skeleton import NUM_JOINTS

RECIPE = {
    "name": "demo",
    "data": {"synthetic": {"train_images": 720, "val_images": 80}},
    "split": {"method": "fractions", "sources": ["train2017", "val2017"]},
    "model": {"backbone": "resnet18", "input_size": [96, 128], "deconv_channels": 64, "sigma_px": 1},
    "training": {"epochs": 12, "batch_size": 16, "schedule": {"kind": "step", "epochs": [9, 11]}},
    "matrix": "demo",
}
MACHINE = {
    "cpu": {
        "model": "Example CPU @ 2.60GHz",
        "flags": ["avx2", "avx512f"],
        "logical": 4,
        "usable_cores": 2,
        "quota_cores": 2.0,
    },
    "memory_bytes": 8 * 2**30,
    "memory_limit_bytes": 8 * 2**30,
    "os": "Debian GNU/Linux 12 (bookworm)",
    "kernel": "6.1.0",
    "arch": "x86_64",
    "python": "3.11.9",
    "packages": {"twinpose": "0.1.0", "tensorflow": "2.21.0", "torch": "2.14.1", "openvino": None},
    "gpus": [],
    "preload": None,
}
AP = {
    "tf": [0.002, 0.031, 0.092, 0.171, 0.236, 0.281, 0.312, 0.344, 0.351, 0.402, 0.409, 0.411],
    "torch": [0.001, 0.024, 0.101, 0.164, 0.243, 0.271, 0.325, 0.338, 0.362, 0.399, 0.418, 0.415],
}
PEOPLE = np.array(
    [
        *(
            [160, 60],
            [166, 54],
            [154, 54],
            [172, 58],
            [148, 58],
            [186, 92],
            [134, 92],
            [200, 128],
            [120, 126],
        ),
        *([196, 160], [112, 92], [176, 160], [144, 160], [180, 196], [138, 196], [182, 228], [128, 226]),
    ],
    float,
)


def dump(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_training(run: Path, twin: str, epochs: int = 12, *, finished: bool = True) -> None:
    """Write the epoch lines and, of a finished training, the summary."""
    folder = run / "train" / twin
    folder.mkdir(parents=True, exist_ok=True)
    shift = 1.0 if twin == "tf" else 1.03
    lines = [
        {
            "epoch": e + 1,
            "lr": 1e-3 if e < 9 else 1e-4 if e < 11 else 1e-5,
            "train_loss": shift * 0.0021 / (1 + 0.35 * e),
            "val_loss": shift * 0.0019 / (1 + 0.28 * e),
            "ap": AP[twin][e],
            "train_s": 26.5,
            "val_s": 5.25,
        }
        for e in range(epochs)
    ]
    (folder / "epochs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if finished:
        best = max(lines, key=lambda line: line["ap"])
        packages = {"tf": {"tensorflow": "2.21.0", "keras": "3.15.0"}, "torch": {"torch": "2.14.1"}}
        summary = {"best_epoch": best["epoch"], "best_ap": best["ap"], "epochs": epochs, "wall_s": 381.0}
        dump(folder / "summary.json", {**summary, "versions": packages[twin]})


def write_conversion(run: Path, twin: str) -> None:
    """Write the routes of a twin; torch has an ONNX file too, and one route that failed."""
    direct = {
        "route": "keras-direct" if twin == "tf" else "torch-direct",
        "file": "model.xml",
        "sha256": "ab" * 32,
        "max_abs_difference": 1.8e-6,
        "rms_source": 0.061,
        "input": [1, 128, 96, 3],
        "wall_s": 8.4,
    }
    onnx = {**direct, "route": "torch-onnx", "file": "model.onnx", "max_abs_difference": 2.1e-6}
    broken = {"route": "torch-export", "status": "failed", "reason": "RuntimeError: no decomposition"}
    routes = [direct] if twin == "tf" else [direct, onnx, broken]
    facts = {"source": twin, "checkpoint": "best", "weights_sha256": "cd" * 32, "routes": routes}
    dump(run / "artifacts" / twin / "conversion.json", facts)


def write_samples(run: Path, count: int = 2) -> None:
    """Write images of gradients and people near where they are predicted."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(1, count + 1):
        ramp = np.linspace(70, 150, 320, dtype=np.uint8)
        image = np.stack([np.tile(ramp, (240, 1))] * 3, axis=2)
        cv2.ellipse(image, (160, 130), (42, 90), 0, 0, 360, (96, 120, 168), -1, cv2.LINE_AA)
        name = f"samples/{number:012d}.jpg"
        (run / "samples").mkdir(exist_ok=True)
        cv2.imwrite(str(run / name), image)
        visible = np.where(np.arange(NUM_JOINTS) == 9, 1, 2)
        visible[3] = 0
        truth = np.column_stack([PEOPLE, visible]).ravel().tolist()
        predictions = {}
        for twin in ("tf", "torch"):
            moved = PEOPLE + rng.normal(0, 4, PEOPLE.shape)
            scores = np.where(np.arange(NUM_JOINTS) == 16, 0.1, rng.uniform(0.4, 0.95, NUM_JOINTS))
            person = np.column_stack([moved, scores]).round(3).ravel().tolist()
            predictions[twin] = [{"keypoints": person, "score": 0.71}]
        samples.append(
            {
                "image": name,
                "image_id": number,
                "width": 320,
                "height": 240,
                "ground_truth": [truth],
                "predictions": predictions,
                "picks": [{"why": "worst", "annotation_id": number, "oks": {"tf": 0.412, "torch": 0.397}}],
            }
        )
    dump(run / "samples" / "samples.json", samples)


def write_run(run: Path, name: str = "demo", *, table_epochs: list[int] | None = None) -> splits.Manifest:
    """Write what every run has: run.json, recipe.yaml and split.json."""
    run.mkdir(parents=True, exist_ok=True)
    stages = {
        stage: {"status": "done", "wall_s": wall_s, "command": f"twinpose {verb}"}
        for stage, wall_s, verb in (
            ("train tf", 381.2, "train runs/demo --twin tf"),
            ("train torch", 386.9, "train runs/demo --twin torch"),
            ("test", 14.1, "eval runs/demo"),
            ("convert tf", 12.7, "convert runs/demo --twin tf"),
            ("convert torch", 18.2, "convert runs/demo --twin torch"),
            ("bench", 205.4, "bench runs/demo"),
        )
    }
    facts = {
        "schema": 1,
        "twinpose": "0.1.0",
        "name": name,
        "command": "twinpose run --recipe demo --out runs/demo",
        "started": "2025-01-02T03:04:05+00:00",
        "coco": "/somewhere/demo/data",
        "dataset": "rendered people",
        "boxes": "ground truth",
        "threads": 2,
        "device": "cpu",
        "machine": MACHINE,
        "stages": stages,
    }
    dump(run / "run.json", facts)
    raw = {**RECIPE, "name": name, "report": {"table_epochs": table_epochs}}
    (run / "recipe.yaml").write_text(recipe.from_dict(raw).to_yaml())
    parts: dict[str, splits.Part | None] = {
        "train": splits.Part([1, 2, 3], [10, 11, 12]),
        "val": splits.Part([4], [13]),
        "test": splits.Part([5], [14]),
    }
    manifest = splits.Manifest("fractions", 0, {"train2017": "12" * 32, "val2017": "34" * 32}, parts)
    splits.save(manifest, run / "split.json")
    return manifest


def write_test(run: Path) -> None:
    """Write the test part's score of both twins; there is no large person in it."""
    names = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
    values = {"tf": 0.398, "torch": 0.404}
    twins = {
        twin: {
            "checkpoint": "best",
            "epoch": 12 if twin == "tf" else 11,
            **{name: ap + 0.013 * i for i, name in enumerate(names)},
            "APL": -1.0,
            "ARL": -1.0,
        }
        for twin, ap in values.items()
    }
    dump(run / "test.json", {"split": "test", "boxes": "ground truth", "twins": twins})


def write_full(run: Path, name: str = "demo") -> Path:
    """Write a whole run with failed, timed out, out-of-memory and unsupported cells."""
    manifest = write_run(run, name)
    for twin in ("tf", "torch"):
        write_training(run, twin)
        write_conversion(run, twin)
    write_test(run)
    found = bench_files.write(run, manifest.sha256, MACHINE)
    dump(run / "parity.json", ladder_files.passed([cell.axes for cell in found if cell.status == "ok"]))
    write_samples(run)
    return run


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a whole run; tests read it and build its report, and change nothing else."""
    return write_full(tmp_path_factory.mktemp("run") / "demo")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a whole run the test may change: make_run("name")."""
    return lambda name="demo": write_full(tmp_path / "own", name)
