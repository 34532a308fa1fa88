"""Rung 7: every runtime gives the same heatmaps, and the same AP, from the same weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.matrix import Place
from bench.cells.runtimes import RUNNERS
from bench.parity.certificate import LEAST_AP, Certificate, Check
from bench.parity.rungs import arms as arms_
from bench.parity.rungs import probing
from bench.parity.rungs.arms import Precisions, Ran, RuntimeArm, Subject
from bench.parity.rungs.base import Context, reshaped, worst
from bench.parity.rungs.forward import by_sample
from bench.run import artifacts
from bench.statistics import rounding
from bench.statistics.rounding import CEILING, WHY_CEILING, rmse
from pose import bootstrap, heatmap, splits
from pose.recipe import Recipe

WHY_ROUNDING = (
    "2 x the source's own error + 1e-7 x rms(reference): no worse than the framework's own rounding"
)
WORST_DAP = 0.001
WHY_DAP = "0.001: an AP is printed with three decimals"
STEP = 0.25
WHY_SHIFT = (
    "a quarter heatmap pixel, the decoder's smallest step: in 99 of 100 joints no peak moves, "
    "and no neighbour changes sides"
)
WHY_FINITE = "what is not a number is a failure in every precision"
RMSE = "rmse to fp64"
DRAWS = 1000
SEED = 0


@dataclass(frozen=True)
class Deployment:
    """What the rung found: its checks, and a certificate of each arm, without an id."""

    checks: list[Check] = field(default_factory=list)
    arms: list[Certificate] = field(default_factory=list)


def climb(
    context: Context,
    subjects: Sequence[Subject],
    *,
    runners: Mapping[str, str] = RUNNERS,
    lower: Precisions | None = None,
    with_ap: bool = True,
    probe: Path | None = None,
    draws: int = DRAWS,
) -> Deployment:
    """Return the checks and facts of every runtime over every set of weights.

    lower: precisions by runtime that are reported beside, and judged by nothing but being numbers;
    with_ap: predict the validation part, if it has people;
    probe: .npz of `images` (N, H, W, 3) uint8, by default the ladder's probe set.
    """
    if probe is None:
        probing.batch(context)
        probe = context.folder / "probe.npz"
    truth = _truth(context) if with_ap else None
    asked = [(subject, arms_.of(subject, lower or {}, context.device)) for subject in subjects]
    tasks = [
        partial(_ran, context, subject, number, arm, runners[arm.runtime], probe, truth)
        for subject, of_subject in asked
        for number, arm in enumerate(of_subject)
    ]
    found, ran = Deployment(), iter(context.together(*tasks))
    for subject, of_subject in asked:
        source, reference = next(ran)
        others = [one for one, _ in islice(ran, len(of_subject) - 1)]
        for one in (source, *others):
            checks, fact = _judged(context, subject, one, source, reference, draws)
            found.checks.extend(checks)
            found.arms.append(fact)
    return found


def _ran(
    context: Context, subject: Subject, number: int, arm: RuntimeArm, runner: str, probe: Path, truth: Any
) -> tuple[Ran, np.ndarray | None]:
    """Return what became of an arm; with the source, the first of its subject's, the reference heatmaps.

    Its framework may not be here: then there is no reference either, nor a need of one.
    """
    context.say(f"{subject.name} weights on {arm.name}")
    ran = arms_.run(context, subject, arm, runner, probe, truth)
    wanted = number == 0 and ran.status == "ok"
    return ran, arms_.reference(context, subject, probe) if wanted else None


def _truth(context: Context) -> dict[str, Any] | None:
    """Return the validation part's ground truth; None when it has no people."""
    manifest = splits.read(context.split)
    part = manifest.parts.get("val")
    if part is None or not part.annotation_ids:
        return None
    return splits.ground_truth(manifest, context.coco, "val")


def _judged(
    context: Context, subject: Subject, ran: Ran, source: Ran, reference: np.ndarray | None, draws: int
) -> tuple[list[Check], Certificate]:
    """Return the checks of one arm and its certificate; `reference` is None where the source did not run."""
    label = f"{subject.name} weights, {ran.arm.name}"
    sha256 = artifacts.artifact_sha256(ran.arm.artifact)
    fact = unjudged(subject, ran.arm, sha256, context.places)
    status, reason = _did_not_run(ran, source)
    if status or reference is None:
        passed = None if status == "unsupported" else False
        check = Check(f"{label}: {RMSE}", None, None, passed, WHY_ROUNDING, note=reason)
        return [check], replace(fact, status=status, reason=reason)
    if odd := next((odd for one in (ran, source) if (odd := _reshaped(one, reference))), None):
        check = Check(f"{label}: {RMSE}", None, None, False, WHY_ROUNDING, note=odd)
        return [check], replace(fact, status="fail", reason=odd)
    own = measure(source, source, reference, context.recipe, draws)
    found = own if ran is source else measure(ran, source, reference, context.recipe, draws)
    if ran.arm.precision != "fp32":
        return _reported(label, fact, found, own)
    rounding = _rounding(label, found, None if ran is source else own, reference)
    checks = [rounding, _behaviour(label, found, own, context.recipe)]
    broken = [f"{c.name} is {c.measured:.3g}, bound {c.bound:.3g}" for c in checks if not c.passed]
    judged = replace(fact, status="fail" if broken else "pass", reason="; ".join(broken) or None)
    return checks, replace(judged, bound=rounding.bound, **found.numbers())


def _reshaped(ran: Ran, reference: np.ndarray) -> str | None:
    """Return in words that an arm's heatmaps have another shape than the reference's, None if not."""
    assert ran.heatmaps is not None
    odd = reshaped(ran.heatmaps, reference)
    return f"heatmaps of {ran.arm.name}: {odd}" if odd else None


def _reported(label: str, fact: Certificate, found: Found, own: Found) -> tuple[list[Check], Certificate]:
    """Return what is said of a lower precision: numbers that nobody judges, so long as they are numbers."""
    note = f"{said(found, own)}; 99th percentile of keypoint shift {found.shift_px:.3g} px"
    name, where = f"{label}: {RMSE}", found.where
    if not math.isfinite(found.rmse):
        lost = f"{RMSE} is {found.rmse}"
    elif own.ap is not None and found.ap is None:
        lost = "its AP is not a number, and the source's is"
    else:
        check = Check(name, found.rmse, None, None, "reported, not judged", where, note)
        return [check], replace(fact, status="reported", **found.numbers())
    check = Check(name, found.rmse, None, False, WHY_FINITE, where, f"{lost}; {note}")
    return [check], replace(fact, status="fail", reason=f"{lost}: {WHY_FINITE}", **found.numbers())


def unjudged(
    subject: Subject, arm: RuntimeArm, artifact_sha256: str | None, places: Mapping[str, Place]
) -> Certificate:
    """Return what a certificate of an arm says before anything is measured; places: by runtime."""
    return Certificate(
        id="",
        subject=subject.name,
        twin=subject.twin,
        through=arm.through,
        runtime=arm.runtime,
        mode=arm.mode,
        precision=arm.precision,
        device=arm.device,
        batch=arm.batch,
        artifact_sha256=artifact_sha256,
        status="pass",
        place=places.get(arm.runtime, Place()).key,
    )


def _did_not_run(ran: Ran, source: Ran) -> tuple[str, str | None]:
    """Return status and reason of an arm that did not run, or whose source did not; "" if both did."""
    statuses = {"unsupported": "unsupported", "failed": "fail"}
    if ran.status != "ok":
        return statuses[ran.status], ran.reason
    if source.status != "ok":
        return statuses[source.status], f"nothing to judge it by: {source.arm.name}: {source.reason}"
    return "", None


@dataclass(frozen=True)
class Found:
    """What was measured of an arm; the fields that `Certificate` has too mean the same."""

    rmse: float
    where: str
    """The probe whose heatmaps are furthest off."""
    shift_px: float
    shift_where: str
    ap: float | None = None
    dap: float | None = None
    dap_low: float | None = None
    dap_high: float | None = None

    def numbers(self) -> dict[str, Any]:
        """Return the fields that a certificate has."""
        names = ("rmse", "shift_px", "ap", "dap", "dap_low", "dap_high")
        return {name: getattr(self, name) for name in names}


def measure(ran: Ran, source: Ran, reference: np.ndarray, recipe: Recipe, draws: int) -> Found:
    """Return an arm's distance to the reference heatmaps (N, K, h, w), and of its AP to the source's."""
    assert ran.heatmaps is not None
    shifts = shift_px(ran.heatmaps, reference, recipe)
    found = Found(
        rmse=rmse(ran.heatmaps, reference),
        where=worst(by_sample(ran.heatmaps, reference))[0],
        shift_px=float(np.percentile(shifts, 99)),
        shift_where=f"probe {shifts.max(axis=1).argmax()}",
    )
    if ran.matches is None or source.matches is None or np.isnan(ap := bootstrap.ap(ran.matches)):
        return found
    if ran is source:
        return replace(found, ap=ap, dap=0.0, dap_low=0.0, dap_high=0.0)
    dap, low, high = bootstrap.difference(ran.matches, source.matches, draws, SEED)
    return replace(found, ap=ap, dap=dap, dap_low=low, dap_high=high)


def shift_px(heatmaps: np.ndarray, reference: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Return how far each decoded keypoint (N, K) lies from the reference's, in input pixels."""
    stride = np.array(recipe.model.input_size) / recipe.model.heatmap_size
    moved = heatmap.decode(heatmaps)[0] - heatmap.decode(reference)[0]
    return np.asarray(np.linalg.norm(moved * stride, axis=2))


def _rounding(label: str, found: Found, own: Found | None, reference: np.ndarray) -> Check:
    """Return the check of the heatmaps by the source's `own` error, or of the source where that is None."""
    size = rounding.rms(reference)
    bound = CEILING * size if own is None else rounding.bound(size, own.rmse)
    why = WHY_CEILING if own is None else WHY_ROUNDING
    return Check(f"{label}: {RMSE}", found.rmse, bound, found.rmse <= bound, why, found.where)


def _behaviour(label: str, found: Found, own: Found, recipe: Recipe) -> Check:
    """Return the check of AP where AP counts, and of keypoints elsewhere."""
    note = said(found, own)
    if own.ap is not None and own.ap >= LEAST_AP and found.dap is not None:
        gap = abs(found.dap)
        return Check(f"{label}: |AP - source's AP|", gap, WORST_DAP, gap <= WORST_DAP, WHY_DAP, note=note)
    bound = STEP * max(np.array(recipe.model.input_size) / recipe.model.heatmap_size)
    name, passed = f"{label}: keypoint shift, 99th percentile, px", found.shift_px <= bound
    return Check(name, found.shift_px, float(bound), bool(passed), WHY_SHIFT, found.shift_where, note)


def said(found: Found, own: Found) -> str:
    """Return in words what the AP of an arm says beside its source's."""
    if found.ap is None or own.ap is None:
        return "AP was not measured"
    if own.ap < LEAST_AP:
        return f"AP says nothing: the source's is {own.ap:.3f}, below {LEAST_AP}"
    return (
        f"AP {found.ap:.4f}, the source's {own.ap:.4f}, difference {found.dap:+.4f} "
        f"[{found.dap_low:+.4f}, {found.dap_high:+.4f}] (95%, bootstrap over images)"
    )
