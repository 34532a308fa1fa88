"""The stages of a run, one function each; `run` is nothing but their sequence."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import certificate, console, launch, machine, matrix, parity, proving, sitting, store
from bench.contract import TWINS
from bench.rundir import RunFolder
from pose import splits, synthetic
from pose.errors import Unsupported, UserError
from pose.evaluate import read_predictions
from pose.files import read_json, sha256_of_file, write_json
from pose.recipe import Recipe

SAMPLE_IMAGES = 6


def make_data(recipe: Recipe, out: Path) -> dict[str, Any]:
    """Render the recipe's built-in dataset into `out`; a whole one of the same parameters is kept."""
    wanted = recipe.data.synthetic
    if wanted is None:
        raise UserError(
            f"recipe '{recipe.name}' has no built-in dataset; give the folder of COCO with --coco DIR"
        )
    with console.bar("render") as move:
        made: dict[str, Any] = synthetic.make(
            out,
            train_images=wanted.train_images,
            val_images=wanted.val_images,
            seed=wanted.seed,
            on_progress=move,
        )
    return made


def train(run: RunFolder, twin: str) -> dict[str, Any]:
    """Train one twin in a process of its own, resuming where it stopped; return its summary."""
    settings, out = run.settings, run.train_folder(twin)
    payload = {
        "recipe": run.recipe.model_dump(mode="json"),
        "coco": str(settings.coco),
        "split": str(run.split_file.resolve()),
        "initial": str(run.initial_weights.resolve()),
        "out": str(out.resolve()),
        "device": settings.device,
        "threads": settings.threads,
        "workers": settings.workers,
    }
    with console.bar(f"train {twin}") as move:

        def on_event(name: str, event: dict[str, Any]) -> None:
            if name == "batch":
                move(event["seen"], event["of"], f"epoch {event['epoch']}  loss {event['loss']:.5f}")
            if name == "epoch":
                console.say(
                    f"{twin:5s} epoch {event['epoch']:3d}  train loss {event['train_loss']:.6f}  "
                    f"val loss {event['val_loss']:.6f}  AP {event['ap']:.3f}  "
                    f"{event['train_s'] + event['val_s']:.0f} s"
                )

        outcome = launch.call(
            f"{twin}_impl.train:train",
            payload,
            out / "child",
            env=launch.thread_environment(settings.threads, "tuned", settings.device) | launch.PASSIVE,
            on_event=on_event,
        )
    return launch.value_of(outcome)


def evaluate(run: RunFolder) -> dict[str, Any]:
    """Score the test part once, on each trained twin's best checkpoint; write and return test.json."""
    manifest = splits.read(run.split_file)
    record: dict[str, Any]
    if manifest.parts.get("test") is None:
        record = {"split": None, "reason": f"the '{manifest.method}' split has no labelled test part"}
    else:
        record = {"split": "test", "split_sha256": manifest.sha256, "boxes": _boxes(run), "twins": {}}
        for twin, epoch in _trained(run).items():
            numbers = predict(
                run,
                runtime=twin,
                artifact=run.train_folder(twin) / "best.safetensors",
                part="test",
                out=run.train_folder(twin) / "predictions" / "test.json",
            )["numbers"]
            record["twins"][twin] = {"checkpoint": "best", "epoch": epoch, **numbers}
    write_json(run.path / "test.json", record)
    return record


def predict(run: RunFolder, *, runtime: str, artifact: Path, part: str, out: Path) -> dict[str, Any]:
    """Predict one part of the run's split with one runtime in a process of its own."""
    settings = run.settings
    payload = {
        "recipe": run.recipe.model_dump(mode="json"),
        "coco": str(settings.coco),
        "split": str(run.split_file.resolve()),
        "boxes": str(settings.boxes) if settings.boxes else None,
        "part": part,
        "runtime": runtime,
        "artifact": str(artifact.resolve()),
        "device": settings.device,
        "threads": settings.threads,
        "out": str(out.resolve()),
    }
    return call_with_bar(
        "bench.predict:predict", payload, out.parent / f".{out.stem}.child", f"predict {runtime}", run
    )


def convert(run: RunFolder, twin: str, *, int8: bool = False) -> dict[str, Any]:
    """Convert a twin's best checkpoint to IR (and ONNX for torch) in a process of its own.

    `int8` quantises the IR too; so does a recipe whose matrix measures it.
    """
    out, weights = run.artifact_folder(twin), run.train_folder(twin) / "best.safetensors"
    if not weights.exists():
        raise Unsupported(
            f"{run.path} has no trained {twin}; 'twinpose train {run.path} --twin {twin}' makes it"
        )
    payload = {
        "recipe": run.recipe.model_dump(mode="json"),
        "coco": str(run.settings.coco),
        "split": str(run.split_file.resolve()),
        "twin": twin,
        "weights": str(weights.resolve()),
        "out": str(out.resolve()),
        "formats": [
            "ir",
            *(["onnx"] if twin == "torch" else []),
            *(["int8"] if int8 or _measures_int8(run) else []),
        ],
    }
    record = call_with_bar("bench.convert:convert", payload, out / "child", f"convert {twin}", run)
    for route in record["routes"]:
        console.say(f"{twin:5s} {route['route']}: {route_text(route)}")
    return record


def _measures_int8(run: RunFolder) -> bool:
    """Return whether the matrix of the run's recipe has a cell of int8."""
    return bool(run.recipe.matrix) and any(c.precision == "int8" for c in load_matrix(run, None).cells)


def route_text(route: dict[str, Any]) -> str:
    """Return how a conversion went: its difference from the source, or why there is none."""
    if route["status"] != "ok":
        return f"{route['status']}: {route['reason']}"
    return f"max |difference| {route['max_abs_difference']:.2e} (rms of the source {route['rms_source']:.2e})"


def call_with_bar(
    entry: str, payload: dict[str, Any], folder: Path, title: str, run: RunFolder | None = None
) -> dict[str, Any]:
    """Return what a child gives, its "batch" events shown as a bar; its folder goes when it went well."""
    threads = run.settings.threads if run else machine.usable_cores()
    device = payload.get("device", "cpu")
    with console.bar(title) as move:
        outcome = launch.call(
            entry,
            payload,
            folder,
            env=launch.thread_environment(threads, device=device) | launch.PASSIVE,
            on_event=lambda name, event: move(event["seen"], event["of"]) if name == "batch" else None,
        )
    value = launch.value_of(outcome)
    shutil.rmtree(folder, ignore_errors=True)
    return value


def load_matrix(
    run: RunFolder, name: str | None, device: str | None = None, profile: str | None = None
) -> matrix.Matrix:
    """Return a matrix (the recipe's unless named), on a device (the run's unless named) and by a profile."""
    wanted = name or run.recipe.matrix
    if wanted is None:
        raise UserError(f"recipe '{run.recipe.name}' names no matrix; give one with --matrix")
    loaded = matrix.on_device(matrix.load(wanted), device or run.settings.device)
    return matrix.with_profile(loaded, profile) if profile else loaded


def prove(
    run: RunFolder, rungs: tuple[int, ...] = parity.QUICK, matrix_name: str | None = None
) -> dict[str, Any]:
    """Climb the parity ladder for the run's trained twins; write and return the certificate.

    It covers the modes and precisions that a matrix (the recipe's unless named) measures.
    """
    measured = load_matrix(run, matrix_name) if matrix_name or run.recipe.matrix else None
    command = f"twinpose parity {shlex.quote(str(run.path))}"
    command += f" --matrix {shlex.quote(matrix_name)}" if matrix_name else ""
    if rungs != parity.ALL:
        command += " --quick" if rungs == parity.QUICK else f" --rungs {','.join(map(str, rungs))}"
    return proving.run_folder(run, proving.Wanted(rungs, command), measured)


def bench(run: RunFolder, chosen: matrix.Matrix, wanted: sitting.Wanted) -> sitting.Sat:
    """Measure the cells of a matrix that `wanted` selects; return what the sitting leaves."""

    def on_event(event: str, fields: dict[str, Any]) -> None:
        if event == "stage":
            console.say(f"measuring {fields['what']}")
        if event == "pass_started":
            console.say(f"{fields['lane']}  pass {fields['number']}, {fields['cells']} cells")
        if event == "round_finished":
            console.say(f"  {round_text(fields)}")
        if event == "cell_finished" and (fields["skipped"] or fields["status"] == "uncertified"):
            mark = "kept" if fields["skipped"] else fields["status"]
            reason = f"  {fields['reason']}" if fields["reason"] else ""
            console.say(f"[{fields['number']}/{fields['count']}] {fields['id']}  {mark}{reason}")

    return sitting.sit(run, chosen, wanted, on_event)


def round_text(fields: dict[str, Any]) -> str:
    """Return a line about a round that has ended."""
    head = f"{fields['id']}  round {fields['round']}"
    if fields["status"] != "ok":
        return f"{head}  {fields['status']}: {fields['reason']}"
    doubt = "" if fields["verdict"] == "VALID" else f"  {fields['verdict']}"
    scenario = fields["id"].removesuffix("-again").rpartition("-")[2]
    return f"{head}  {fields['value']:.4g} {UNITS[scenario]}{doubt}"


UNITS = {
    "latency": "ms",
    "pipeline": "ms",
    "throughput": "images/s",
    "train": "steps/s",
    "data": "samples/s",
    "accuracy": "AP",
}
"""Of a round's value, by scenario."""


def samples(run: RunFolder) -> None:
    """Copy a few validation images and both twins' predictions on them into the run, for the report."""
    manifest = splits.read(run.split_file)
    truth = read_json(run.path / "ground_truth.json", "the run's ground truth")
    predicted = {
        twin: read_predictions(run.train_folder(twin) / "predictions" / f"epoch_{epoch:04d}.json", truth)
        for twin, epoch in _trained(run).items()
    }
    dataset = splits.select(manifest, run.settings.coco, "val")
    rows = []
    for image_id in _spread(sorted(set(dataset.image_ids.tolist())), SAMPLE_IMAGES):
        image = dataset.images[image_id][1]
        target = run.path / "samples" / f"{image_id:012d}.jpg"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(dataset.image_path(image_id), target)
        rows.append(
            {
                "image": f"samples/{target.name}",
                "image_id": image_id,
                "width": image.width,
                "height": image.height,
                "ground_truth": [a["keypoints"] for a in truth["annotations"] if a["image_id"] == image_id],
                "predictions": {
                    twin: [
                        {"keypoints": p["keypoints"], "score": p["score"]}
                        for p in rows_
                        if p["image_id"] == image_id
                    ]
                    for twin, rows_ in predicted.items()
                },
            }
        )
    write_json(run.path / "samples" / "samples.json", rows, indent=None)
    write_json(run.path / "samples" / "made_from.json", _best_epochs(run))


def _spread(values: list[int], count: int) -> list[int]:
    """Return up to `count` of `values`, evenly spaced."""
    step = max(1, len(values) // count)
    return values[::step][:count]


def _trained(run: RunFolder) -> dict[str, int]:
    """Return the best epoch of each trained twin; Unsupported when there is none."""
    done = _best_epochs(run)
    if not done:
        raise Unsupported(f"{run.path} has no trained twin; 'twinpose train {run.path}' makes one")
    return done


def _boxes(run: RunFolder) -> str:
    return run.settings.boxes.name if run.settings.boxes else "ground truth"


@dataclass(frozen=True)
class Stage:
    """One step of a run: its name in run.json, the verb that does it alone, and what to call."""

    name: str
    command: str
    action: Callable[[], Any]
    holds: Callable[[], bool]
    """Whether what the stage makes is there, and made from what is there now."""


def sequence(run: RunFolder, *, uncertified: bool = False) -> list[Stage]:
    """Return the stages after preparation, in order; without the parity ladder when `uncertified`."""
    path = shlex.quote(str(run.path))
    stages = [
        Stage(
            f"train {t}",
            f"twinpose train {path} --twin {t}",
            partial(train, run, t),
            partial(_is_trained, run, t),
        )
        for t in TWINS
    ]
    stages.append(Stage("test", f"twinpose eval {path}", partial(evaluate, run), partial(_is_tested, run)))
    stages += [
        Stage(
            f"convert {t}",
            f"twinpose convert {path} --twin {t}",
            partial(convert, run, t),
            partial(_is_converted, run, t),
        )
        for t in TWINS
    ]
    if not uncertified:
        proof = Stage(
            "parity", f"twinpose parity {path} --quick", partial(prove, run), partial(_is_proven, run)
        )
        stages.append(proof)
    if run.recipe.matrix:
        # Every cell knows by its own hash whether it is finished.
        command = f"twinpose bench {path}{' --uncertified' if uncertified else ''}"
        wanted = sitting.Wanted(uncertified=uncertified, command=command)
        measure = partial(bench, run, load_matrix(run, None), wanted)
        stages.append(Stage("bench", command, measure, lambda: False))
    stages.append(
        Stage("samples", f"twinpose report {path}", partial(samples, run), partial(samples_hold, run))
    )
    return stages


def _is_trained(run: RunFolder, twin: str) -> bool:
    return (run.train_folder(twin) / "summary.json").exists()


def _is_tested(run: RunFolder) -> bool:
    path = run.path / "test.json"
    if not path.exists():
        return False
    record = read_json(path, "the test part's scores")
    if record["split"] is None:
        return True
    return {t: row["epoch"] for t, row in record["twins"].items()} == _best_epochs(run)


def _is_converted(run: RunFolder, twin: str) -> bool:
    path, weights = run.artifact_folder(twin) / "conversion.json", run.train_folder(twin) / "best.safetensors"
    if not path.exists() or not weights.exists():
        return False
    record = read_json(path, "a conversion's record")
    ended_well = all(route.get("status", "ok") == "ok" for route in record["routes"])
    return ended_well and bool(record["weights_sha256"] == sha256_of_file(weights))


def _is_proven(run: RunFolder) -> bool:
    found = certificate.of_run(run.path).found
    if found is None:
        return False
    there = {arm["artifact_sha256"] for arm in found["runtimes"]}
    now = {
        store.artifact_sha256(file)
        for twin in TWINS
        for file in (
            run.train_folder(twin) / "best.safetensors",
            run.artifact_folder(twin) / "model.xml",
            run.artifact_folder(twin) / "model.onnx",
        )
    }
    return found["first_failure"] is None and there == now - {None}


def samples_hold(run: RunFolder) -> bool:
    """Return whether the run's sample images show the trained twins' best epochs."""
    path = run.path / "samples" / "made_from.json"
    return path.exists() and read_json(path, "what the samples show") == _best_epochs(run)


def _best_epochs(run: RunFolder) -> dict[str, int]:
    """Return the best epoch of each trained twin."""
    trained = [twin for twin in TWINS if _is_trained(run, twin)]
    return {
        t: read_json(run.train_folder(t) / "summary.json", "a training summary")["best_epoch"]
        for t in trained
    }


def stored_truth(run: RunFolder, part: str) -> dict[str, Any]:
    """Return the ground truth that the run stored for `part`; UserError for a part that has none."""
    names = {"val": "ground_truth.json", "test": "ground_truth_test.json"}
    if part not in names:
        raise UserError(f"a run stores no ground truth of '{part}'; expected --split val or test")
    truth: dict[str, Any] = read_json(run.path / names[part], f"the run's ground truth of '{part}'")
    return truth
