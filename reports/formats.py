"""How numbers are printed, and what stands where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench.cells.cell import TWINS
from bench.cells.runtimes import RUNTIMES

DASH = "—"
MINUS = "−"
RUNTIME_NAMES = {one.name: one.title for one in RUNTIMES.values()}
TWIN_NAMES = {twin: RUNTIME_NAMES[twin] for twin in TWINS}
FIRST_LESS_SECOND = f" {MINUS} ".join(TWIN_NAMES.values())
"""What a difference between the twins is of, wherever one is shown."""
DEVICE_NAMES = {"cpu": "CPU", "cuda": "CUDA GPU", "intel-gpu": "Intel GPU"}


@dataclass(frozen=True)
class Absent:
    """A value that is not there, and why."""

    reason: str
    shown: str = DASH
    quiet: bool = False
    """The reason stands elsewhere in the row: no footnote."""


@dataclass(frozen=True)
class Noted:
    """A word or a number with footnotes, such as a status with its reason."""

    value: str | int | float
    reason: str | tuple[str, ...]
    """Several have a letter each."""


Value = str | int | float | Absent | Noted
Show = Callable[[Any], str]
Columns = Mapping[str, tuple[str, str]]
"""Of a frame: name -> kind, and what it holds with its unit."""


def text(value: object) -> str:
    """Return the value as it is."""
    return str(value)


def runtime(name: str) -> str:
    """Return a runtime, or the twin of that name, as people call it: ONNX Runtime."""
    return RUNTIME_NAMES.get(name, name)


def device(name: str) -> str:
    """Return a device as people call it: CPU, CUDA GPU, Intel GPU."""
    return DEVICE_NAMES.get(name, name)


def score(value: float) -> str:
    """Return an AP, an AR or a share with three decimals: 0.704."""
    return f"{value:.3f}"


def difference(value: float) -> str:
    """Return a signed difference of scores with three decimals and a true minus sign."""
    return _signed(value, 3)


def fine_difference(value: float) -> str:
    """Return a signed difference with four decimals, for what is held against a thousandth."""
    return _signed(value, 4)


def _signed(value: float, decimals: int) -> str:
    rounded = f"{abs(value):.{decimals}f}"
    sign = "" if float(rounded) == 0 else "+" if value > 0 else MINUS
    return sign + rounded


def loss(value: float) -> str:
    """Return a loss with four significant digits."""
    return f"{value:#.4g}"


def rate(value: float) -> str:
    """Return a learning rate in its shortest form: 0.001."""
    return f"{value:g}"


def milliseconds(value: float) -> str:
    """Return a duration in milliseconds with three significant digits or, from 100 ms, one decimal."""
    if value < 1:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def times(value: float, width: float = 1.0) -> str:
    """Return a ratio as a factor, 1.52×; three decimals where its interval is less than 0.02 wide."""
    return f"{value:.{_decimals(width)}f}×"


def times_interval(low: float, high: float) -> str:
    """Return the ends of a ratio's interval, with the decimals of `times`: [1.48, 1.57]."""
    digits = _decimals(high - low)
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def ratio(found: tuple[float, float, float]) -> str:
    """Return a ratio and the ends of its interval: 2.80× [2.61, 3.02]."""
    value, low, high = found
    return f"{times(value, high - low)} {times_interval(low, high)}"


def _decimals(width: float) -> int:
    return 2 if width >= 0.02 else 3


def probability(value: float) -> str:
    """Return a p value with two digits, and none below a thousandth: 0.034, < 0.001."""
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def percent(value: float) -> str:
    """Return a share of one as a percentage, with one decimal below ten: 43 %, 4.2 %."""
    return f"{100 * value:.1f} %" if value < 0.0995 else f"{100 * value:.0f} %"


def number(value: float) -> str:
    """Return a figure with three significant digits, whole from a hundred on: 0.93, 18.3, 1432."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def per_second(value: float) -> str:
    """Return a rate per second, with one decimal below 1000."""
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def seconds(value: float) -> str:
    """Return a duration for people: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def mebibytes(value: float) -> str:
    """Return bytes as whole MiB."""
    return f"{value / 2**20:,.0f}".replace(",", " ")


def tiny(value: float) -> str:
    """Return a small number in scientific form with two digits: 2.1e-06."""
    return "0" if value == 0 else f"{value:.1e}"


def measure(value: float) -> str:
    """Return an error, a bound or a count with at most three significant digits: 1.32e-14, 0.001, 12."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e6 else f"{value:.3g}"


def short(sha256: str) -> str:
    """Return the first digits of a hash: enough to find it, too few to be taken for it."""
    return sha256[:12]


def coco_number(value: object) -> Value:
    """Return one of COCO's ten numbers; pycocotools says -1 where no ground truth has that size."""
    if not isinstance(value, int | float):
        return Absent("not recorded")
    return Absent("no ground truth of this size in the part") if value < 0 else float(value)


def bare(value: Any) -> Any:
    """Return a value without what stands beside it: None where it is absent."""
    return None if isinstance(value, Absent) else value.value if isinstance(value, Noted) else value


def or_absent(value: float | str | None, reason: str) -> Value:
    """Return the value, or that it is absent for `reason`."""
    return Absent(reason) if value is None else value


def quiet(value: Value) -> Value:
    """Return the value; an absent one without a footnote, because its reason stands elsewhere in the row."""
    return Absent(value.reason, quiet=True) if isinstance(value, Absent) else value


def minute(moment_iso: object) -> str | None:
    """Return a moment of ISO 8601 to the minute in UTC, or None where it is none."""
    try:
        moment = datetime.fromisoformat(str(moment_iso))
    except ValueError:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
