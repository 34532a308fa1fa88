"""The command `twinpose`: one thin function per verb."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench import console, launch, mlperf, native, pipelines, proving, rundir, sitting, stages, verbs
from pose import recipe as recipes
from pose.errors import Unsupported, UserError

app = typer.Typer(
    name="twinpose",
    help="Keras, PyTorch or OpenVINO: which is faster here, and is it still as accurate?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Make, check, split and look at datasets.", no_args_is_help=True)
model_app = typer.Typer(help="What a recipe's network is and costs.", no_args_is_help=True)
weights_app = typer.Typer(help="Checkpoints in other formats.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")
app.add_typer(weights_app, name="weights")


class Device(StrEnum):
    """Where a twin computes."""

    cpu = "cpu"
    cuda = "cuda"


class Twin(StrEnum):
    """The two implementations."""

    tf = "tf"
    torch = "torch"


class Runtime(StrEnum):
    """What can run a trained network."""

    tf = "tf"
    torch = "torch"
    onnxruntime = "onnxruntime"
    openvino = "openvino"


class Profile(StrEnum):
    """How long and how often a cell is measured."""

    quick = "quick"
    standard = "standard"
    official = "official"


class MeasuredBy(StrEnum):
    """Whose rules a bench follows."""

    twinpose = "twinpose"
    mlperf = "mlperf"


class Part(StrEnum):
    """The parts of a split."""

    train = "train"
    val = "val"
    test = "test"


RunDir = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="A shipped recipe by name, or a YAML by path.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the recipe.")
]
Coco = Annotated[Path | None, typer.Option("--coco", help="A folder in the official COCO layout.")]
CocoDir = Annotated[Path, typer.Option("--coco", help="A folder in the official COCO layout.")]
Boxes = Annotated[Path | None, typer.Option("--boxes", help="Detections in COCO results format.")]
DeviceName = Annotated[Device | None, typer.Option("--device", help="Where the twins compute; default cpu.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads; default all physical cores.")
]
Workers = Annotated[int | None, typer.Option("--workers", min=0, help="Loader workers; default 2.")]
Uncertified = Annotated[
    bool, typer.Option("--uncertified", help="Time cells without a parity certificate, and mark them so.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
Out = Annotated[Path, typer.Option("--out", help="Where to write.")]


@app.callback()
def main_options(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say only what went wrong.")] = False,
) -> None:
    """Set how much is said."""
    if verbose and quiet:
        raise UserError("-v and -q were both given; expected one of them")
    console.LEVEL.value = 2 if verbose else 0 if quiet else 1


@app.command()
def run(
    recipe: RecipeName,
    out: Out,
    coco: Coco = None,
    boxes: Boxes = None,
    device: DeviceName = None,
    threads: Threads = None,
    workers: Workers = None,
    set_: Set = None,
    uncertified: Uncertified = False,
    as_json: AsJson = False,
) -> None:
    """From data to report, the parity ladder on the way; continues where it was interrupted."""
    recipes.load(recipe, set_)
    with rundir.locked(out, create=True):
        made = verbs.prepare(recipe, out, coco, boxes, device and device.value, threads, workers, set_)
        raise typer.Exit(verbs.run(made, uncertified, as_json))


@app.command()
def train(
    run: RunDir,
    twin: Annotated[Twin | None, typer.Option("--twin", help="One twin; default both.")] = None,
    recipe: Annotated[str | None, typer.Option("--recipe", help="The recipe of a new run folder.")] = None,
    coco: Coco = None,
    device: DeviceName = None,
    threads: Threads = None,
    workers: Workers = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Train one twin or both; resumes from the last finished epoch."""
    if recipe is None and any(option is not None for option in (coco, device, threads, workers, set_)):
        raise UserError(
            "--coco, --device, --threads, --workers and --set make a run; give --recipe with them"
        )
    if recipe is not None:
        recipes.load(recipe, set_)
    with rundir.locked(run, create=recipe is not None):
        if recipe is not None:
            made = verbs.prepare(recipe, run, coco, None, device and device.value, threads, workers, set_)
        else:
            made = rundir.opened(run)
        verbs.train(made, twin.value if twin else None, as_json)


@app.command(name="eval")
def eval_(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Score this run's test part.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions in COCO results format.")] = None,
    coco: Coco = None,
    split: Annotated[Part, typer.Option(help="The part that was predicted.")] = Part.val,
    recipe: Annotated[str | None, typer.Option(help="Whose split; default the official one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score predictions by COCO's ten numbers; with a run alone its test part, on the best checkpoints."""
    if run is not None and predictions is None:
        with rundir.locked(run):
            verbs.evaluate_run(rundir.opened(run), as_json)
    else:
        verbs.evaluate_predictions(predictions, run, coco, split.value, recipe, as_json)


@app.command()
def predict(
    runtime: Annotated[Runtime, typer.Option(help="What runs the network.")],
    weights: Annotated[Path, typer.Option(help="safetensors, or an .onnx or .xml for its runtime.")],
    recipe: RecipeName,
    coco: CocoDir,
    out: Out,
    split: Annotated[Part, typer.Option(help="The part to predict.")] = Part.val,
    boxes: Boxes = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="The flip test; default the recipe's.")
    ] = None,
    heatmaps: Annotated[Path | None, typer.Option(help="Also write the decoded heatmaps (.npz).")] = None,
    twin: Annotated[
        Twin, typer.Option(help="Whose export ONNX Runtime and OpenVINO are given.")
    ] = Twin.torch,
    device: DeviceName = None,
    threads: Threads = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Run one runtime over a split and save keypoints in COCO results format."""
    overrides = [*(set_ or []), *([] if flip is None else [f"evaluation.flip_test={str(flip).lower()}"])]
    verbs.predict(
        recipes.load(recipe, overrides),
        verbs.PredictRequest(
            runtime.value,
            weights,
            coco,
            split.value,
            boxes,
            out,
            heatmaps,
            twin.value,
            device.value if device else "cpu",
            threads,
        ),
        as_json,
    )


@app.command()
def convert(
    run: RunDir,
    twin: Annotated[Twin | None, typer.Option("--twin", help="One twin; default both.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise the IR too, on images of the training part.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn trained weights into OpenVINO IR and ONNX, and record how far the output moved."""
    with rundir.locked(run):
        raise typer.Exit(verbs.convert(rundir.opened(run), twin.value if twin else None, int8, as_json))


@app.command()
def bench(
    run: RunDir,
    matrix: Annotated[
        str | None, typer.Option(help="A shipped matrix or a YAML; default the recipe's.")
    ] = None,
    only: Annotated[str | None, typer.Option("-k", help="Which cells, such as 'torch and cpu'.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the cells and stop.")] = False,
    device: Annotated[
        Device | None, typer.Option(help="Where CPU cells go instead; default the run's.")
    ] = None,
    profile: Annotated[
        Profile | None, typer.Option(help="How long and how often; default the matrix's.")
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", min=0.1, help="Seconds a round may take.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Forget the selected cells' rounds and measure them anew.")
    ] = False,
    protocol: Annotated[
        MeasuredBy, typer.Option(help="This suite's, or the scenarios of MLPerf LoadGen (extra 'mlperf').")
    ] = MeasuredBy.twinpose,
    mlperf_: Annotated[
        list[str] | None,
        typer.Option("--mlperf", metavar="KEY=VALUE", help="What LoadGen is given, as min_duration_s=60."),
    ] = None,
    uncertified: Uncertified = False,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is measured as Parquet and stop.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the cells of a matrix in interleaved rounds of fresh processes; finished rounds are kept."""
    if parquet is not None:
        verbs.export(run, parquet, as_json)
        return
    if mlperf_ and protocol is not MeasuredBy.mlperf:
        raise UserError("--mlperf is for LoadGen; give --protocol mlperf with it")
    options = mlperf.parse(mlperf_ or [])
    with rundir.locked(run):
        made = rundir.opened(run)
        cells = stages.load_matrix(
            made, matrix, device.value if device else None, profile.value if profile else None
        )
        if protocol is MeasuredBy.mlperf and not list_:
            raise typer.Exit(verbs.bench_mlperf(made, cells, only, options, timeout_s, uncertified, as_json))
        command = shlex.join(["twinpose", *sys.argv[1:]])
        wanted = sitting.Wanted(only, timeout_s, uncertified, again, command)
        raise typer.Exit(verbs.bench(made, cells, wanted, list_, as_json))


@app.command()
def parity(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Certify this run's twins.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Climb for a recipe's network, untrained.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="With --recipe: canonical weights (.safetensors) to climb with.")
    ] = None,
    coco: Coco = None,
    rungs: Annotated[str | None, typer.Option(help="Which rungs, such as 2,3,4; default all.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="All rungs but 6, the trajectory.")] = False,
    matrix: Annotated[
        str | None, typer.Option(help="With a RUN: whose modes and precisions; default the recipe's matrix.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --recipe: where to write; default runs/parity-NAME.")
    ] = None,
    threads: Threads = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Prove the twins equal, rung by rung, and write the certificate; exits 1 when a rung failed."""
    wanted = proving.parse_rungs(rungs, quick=quick)
    if run is not None:
        if any(option is not None for option in (recipe, weights, coco, out, threads, set_)):
            raise UserError("a RUN has its recipe, data and weights; give it without --recipe and the others")
        with rundir.locked(run):
            raise typer.Exit(verbs.parity_of_run(rundir.opened(run), wanted, matrix, as_json))
    if matrix is not None:
        raise UserError("--matrix goes with a RUN: it names what is measured there")
    if recipe is None:
        raise UserError("parity needs a RUN or --recipe NAME; nothing was climbed")
    resolved = recipes.load(recipe, set_)
    folder = out or Path("runs") / f"parity-{resolved.name}"
    raise typer.Exit(verbs.parity_of_recipe(resolved, folder, wanted, coco, weights, threads, as_json))


@app.command()
def report(run: RunDir, as_json: AsJson = False) -> None:
    """Write HTML, CSV, Markdown and plots from a run alone."""
    with rundir.locked(run):
        verbs.report(run, as_json)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run, or a file of pytest's --benchmark-json.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another of the same kind, measured later.")],
    fail_over: Annotated[
        str, typer.Option(metavar="SHARE", help="How much slower is still fine, such as 5%.")
    ] = "0%",
    only: Annotated[str | None, typer.Option("-k", help="Which cells, such as 'torch and cpu'.")] = None,
    across_machines: Annotated[
        bool, typer.Option("--across-machines", help="Judge although the machines differ.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two runs cell by cell; exits 4 where one regressed, 5 where one is missing, 6 elsewhere."""
    raise typer.Exit(verbs.compare(a, b, fail_over, only, across_machines, as_json))


@app.command()
def reproduce(
    table: Annotated[str | None, typer.Argument(help="A stored table; without one they are listed.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="The run to compare; default the command's own folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the command behind a table and its cost; once it has run, the difference from the stored one."""
    raise typer.Exit(verbs.reproduce(table, run, as_json))


@app.command()
def doctor(
    probe_s: Annotated[
        float, typer.Option("--probe-s", min=0, help="Seconds of the probe of noise; 0 leaves it out.")
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Say what is installed, what hardware is there, and what would spoil a measurement."""
    raise typer.Exit(verbs.doctor(as_json, probe_s))


@data_app.command(name="make")
def data_make(
    out: Out,
    recipe: Annotated[str | None, typer.Option(help="The recipe whose built-in dataset is made.")] = None,
    train_images: Annotated[int | None, typer.Option(min=1)] = None,
    val_images: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    contact_sheet: Annotated[Path | None, typer.Option(help="Also draw a sheet of images (.png).")] = None,
    as_json: AsJson = False,
) -> None:
    """Render the built-in dataset in the official COCO layout."""
    verbs.data_make(out, recipe, (train_images, val_images, seed), contact_sheet, as_json)


@data_app.command(name="check")
def data_check(coco: CocoDir, as_json: AsJson = False) -> None:
    """Count a COCO folder's instances and name every problem; exits 1 when there is one."""
    raise typer.Exit(verbs.data_check(coco, as_json))


@data_app.command(name="split")
def data_split(
    recipe: RecipeName, coco: CocoDir, out: Out, set_: Set = None, as_json: AsJson = False
) -> None:
    """Fix which images train, validate and test, in a manifest with a checksum."""
    verbs.data_split(recipes.load(recipe, set_), coco, out, as_json)


@data_app.command(name="sample")
def data_sample(
    recipe: RecipeName,
    coco: CocoDir,
    ann: Annotated[int, typer.Option(help="The annotation's id.")],
    out: Out,
    split: Annotated[Part, typer.Option(help="The part it is in.")] = Part.train,
    epoch: Annotated[int | None, typer.Option(min=1, help="Augmented as in this epoch.")] = None,
    seed: Annotated[int | None, typer.Option(help="The augmentation's seed; default the recipe's.")] = None,
    augment: Annotated[bool, typer.Option("--augment/--no-augment", help="Augment as training does.")] = True,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Write one sample (.npz) as either twin is fed it."""
    verbs.data_sample(
        recipes.load(recipe, set_),
        coco,
        split.value,
        ann,
        (epoch or 1) if augment else None,
        seed,
        out,
        as_json,
    )


@data_app.command(name="pipelines")
def data_pipelines(
    recipe: RecipeName,
    coco: CocoDir,
    weights: Annotated[Path | None, typer.Option(help="Also compare the AP of these (.safetensors).")] = None,
    split: Annotated[Part, typer.Option(help="The part whose people are read.")] = Part.val,
    samples: Annotated[int, typer.Option(min=1, help="People whose pixels and speed are measured.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Epochs of each pipeline that are timed.")] = 5,
    workers: Workers = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Compare each framework's own decoder and warp with the shared ones: pixels, AP and speed."""
    request = pipelines.Request(
        coco, split.value, weights, samples, rounds, workers if workers is not None else 2
    )
    found = pipelines.compare(recipes.load(recipe, set_), request)
    console.facts(found, as_json, pipelines.text(found))


@model_app.command(name="info")
def model_info(recipe: RecipeName, set_: Set = None, as_json: AsJson = False) -> None:
    """Print parameters and multiply-adds, by stage and as each twin counts them; exits 1 when they differ."""
    raise typer.Exit(verbs.model_info(recipes.load(recipe, set_), as_json))


@weights_app.command(name="import")
def weights_import(
    file: Annotated[
        str, typer.Argument(help="A .pth, a .weights.h5 of 'weights export', a .safetensors, or 'imagenet'.")
    ],
    recipe: RecipeName,
    out: Out,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Turn a published checkpoint into the suite's safetensors."""
    count = native.import_weights(file, recipes.load(recipe, set_), out)
    console.facts({"tensors": count, "out": str(out)}, as_json, f"{count} tensors -> {out}")


@weights_app.command(name="export")
def weights_export(
    file: Annotated[Path, typer.Argument(help="Weights of the suite (.safetensors).")],
    recipe: RecipeName,
    out: Annotated[
        Path,
        typer.Option("--out", help="A .pth (torch state dict) or .weights.h5 (our HDF5 in Keras's layouts)."),
    ],
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Write the suite's weights as a torch state dict, or as HDF5 in Keras's layouts."""
    native.write(recipes.load(recipe, set_), file, out)
    console.facts({"out": str(out)}, as_json, f"wrote {out}")


UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""click's; typer carries its own copy of click, and this is the public way to it."""


def main() -> None:
    """Run the command line; a user's mistake is one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except UserError as error:
        code = _fail(str(error), 2)
    except Unsupported as reason:
        code = _fail(f"unsupported here: {reason}", 2)
    except launch.ChildFailed as error:
        code = _fail(str(error), 1)
    except UsageError as error:
        code = _fail(
            f"{_usage(error)}; 'twinpose --help' lists the verbs, 'twinpose VERB --help' their options", 2
        )
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("interrupted; the same command goes on where it stopped", 130)
    sys.exit(code)


def _usage(error: Exception) -> str:
    message = getattr(error, "format_message", error.__str__)()
    return " ".join(message.split()).rstrip(".")


def _fail(message: str, code: int) -> int:
    console.ERRORS.print(f"twinpose: {message}", highlight=False, markup=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    main()
