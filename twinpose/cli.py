"""The command `twinpose`: its verbs, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from bench import console
from bench.process import launch
from pose import __version__
from pose.errors import Unsupported, UserError
from twinpose import INTERRUPTED, artifacts, bench, compare, data, parity, run, schema, score

AFTER_CTRL_C = 130
"""The exit code of an interrupt, as a shell has it."""

app = typer.Typer(
    name="twinpose",
    help="Keras, PyTorch or OpenVINO: which is faster here, and is it still as accurate?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        console.write_out(f"twinpose {__version__}\n")
        raise typer.Exit


@app.callback()
def main_options(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say only what went wrong.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set how much is said."""
    if verbose and quiet:
        raise UserError("-v and -q were both given; expected one of them")
    console.LEVEL.value = 2 if verbose else 0 if quiet else 1


# Registered here, not where they are defined: --help lists them in this order.
app.command(name="run")(run.run)
app.command(name="train")(run.train)
app.command(name="eval")(score.eval_)
app.command(name="predict")(score.predict)
app.command(name="convert")(artifacts.convert)
app.command(name="bench")(bench.bench)
app.command(name="parity")(parity.parity)
app.command(name="report")(run.report)
app.command(name="compare")(compare.compare)
app.command(name="reproduce")(compare.reproduce)
app.command(name="schema")(schema.schema)
app.command(name="doctor")(bench.doctor)
app.add_typer(data.data_app, name="data")
app.add_typer(artifacts.model_app, name="model")
app.add_typer(artifacts.weights_app, name="weights")

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""click's; typer carries its own copy of click, and this is the public way to it."""


def main() -> None:
    """Run the command line; a user's mistake is one line and exit code 2."""
    console.open_streams()
    # A shell's completion asks under this name, however the command was started.
    sys.exit(_ended(partial(app, prog_name="twinpose")))


def _ended(command: Callable[..., int | None]) -> int | None:
    """Return the exit code of the command; what went wrong is said in one line, a bug with its traceback."""
    try:
        code = command(standalone_mode=False)
        console.write_out()
    except UserError as error:
        return _fail(str(error), 2)
    except Unsupported as reason:
        return _fail(f"unsupported here: {reason}", 2)
    except launch.ChildFailed as error:
        return _fail(str(error), 1)
    except UsageError as error:
        return _fail(
            f"{_usage(error)}; 'twinpose --help' lists the verbs, 'twinpose VERB --help' their options", 2
        )
    except OSError as error:
        if error.errno is None or console.LEVEL.value > 1:
            raise
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror}; 'twinpose -v VERB' shows where it was needed", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = AFTER_CTRL_C
    if code == AFTER_CTRL_C:  # typer makes an exit code of Ctrl-C
        _fail(INTERRUPTED, code)
    return code


def _usage(error: Exception) -> str:
    message = getattr(error, "format_message", error.__str__)()
    return " ".join(message.split()).rstrip(".") or "no verb was given"


def _fail(message: str, code: int) -> int:
    console.ERRORS.print(f"twinpose: {message}", highlight=False, markup=False, soft_wrap=True)
    return code
