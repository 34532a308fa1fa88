"""Rung 7, over runtimes that need no framework: who passes, who fails, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cells.artifacts import ArtifactFile
from bench.cells.cell import TWINS
from bench.cells.runtimes import RUNTIMES
from bench.parity.certificate import Certificate, Check
from bench.parity.rungs import arms, deployment, probing
from bench.parity.rungs.arms import Subject
from bench.parity.rungs.base import Context
from bench.parity.rungs.deployment import Deployment
from bench.process import launch
from bench.process.worker import explain, resolve
from bench.scenarios import accuracy
from pose import inference, recipe, splits

HERE = str(Path(__file__).parent)
ONNX = (ArtifactFile("onnx"), "torch")
IRS = ((ArtifactFile("ir"), "tf"), (ArtifactFile("ir"), "torch"))
INT8 = ArtifactFile("ir-int8")
EQUAL = dict.fromkeys(RUNTIMES, "fake_runtimes:Exact")


@dataclass(frozen=True)
class Here(Context):
    """A context whose children run in this process; what they raise is explained as a child's would be."""

    def call(
        self,
        who: str,
        entry: str,
        payload: Mapping[str, Any],
        *,
        threads: int | None = None,
        env: Mapping[str, str] | None = None,
        device: str = "cpu",
    ) -> dict[str, Any]:
        try:
            return dict(resolve(entry)(dict(payload), lambda name, fields: None))
        except Exception as error:
            return launch.value_of(launch.Outcome(*explain(error), None, 0.0))


@pytest.fixture(autouse=True)
def _fakes_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", HERE)


@pytest.fixture
def context(run_folder: Path) -> Context:
    return make_context(run_folder, Here)


def make_context(run_folder: Path, kind: type[Context]) -> Context:
    return kind(
        recipe=recipe.load(str(run_folder / "recipe.yaml")),
        folder=run_folder / "scratch",
        coco=run_folder.parent / "coco",
        split=run_folder / "split.json",
        weights=run_folder / "train/torch/best.safetensors",
        threads=1,
    )


def subject(context: Context, *, moved_px: int = 0, twin: str = "torch") -> Subject:
    """Return weights that know everybody in the validation part, `moved_px` heatmap pixels off."""
    folder = context.folder / "made"
    folder.mkdir(parents=True)
    inputs = inference.Inputs(context.recipe, context.coco, splits.read(context.split), "val")
    heatmaps = np.roll(inputs.targets(0, len(inputs))[0], moved_px, axis=3)
    weights, *exports = (folder / n for n in ("best.safetensors", "model.onnx", "tf.xml", "torch.xml"))
    for path in (weights, *exports):
        with open(path, "wb") as handle:
            np.savez(handle, images=inputs.batch(0, len(inputs)), heatmaps=heatmaps)
    np.savez(folder / "probe.npz", images=inputs.batch(0, len(inputs)))
    of_kind = dict(zip((ONNX, *IRS), exports, strict=True))
    quantised = {(INT8, twin): folder / twin / "model.int8.xml" for twin in TWINS}
    return Subject(
        name=twin,
        twin=twin,
        weights=weights,
        exports=of_kind | quantised,
        reference=reference(folder / "probe.npz", weights),
    )


def reference(probe: Path, weights: Path) -> Path:
    """Write what the fake network is in float64; return where."""
    fakes = resolve("fake_runtimes:network")
    path = weights.with_name("reference.npy")
    np.save(path, fakes(weights, np.load(probe)["images"], np.float64))
    return path


def climb(context: Context, given: Subject | None = None, **options: Any) -> Deployment:
    """Climb with equal runtimes, but for those that `options` names: onnxruntime="Half"."""
    given = given or subject(context)
    planted = {who: f"fake_runtimes:{options.pop(who)}" for who in RUNTIMES if who in options}
    probe = context.folder / "made" / "probe.npz"
    return deployment.climb(
        context, [given], runners=EQUAL | planted, **{"probe": probe, "draws": 50} | options
    )


def failing(found: Deployment) -> list[Check]:
    return [check for check in found.checks if check.passed is False]


def of(found: Deployment, runtime: str) -> list[Certificate]:
    return [fact for fact in found.arms if fact.runtime == runtime]


def test_equal_runtimes_pass_each_with_its_heatmaps_and_its_ap(context: Context):
    found = climb(context)
    assert [(f.runtime, f.mode, f.through) for f in found.arms] == [
        ("torch", "eager", None),
        ("tf", "graph", None),
        ("torch", "compiled", None),
        ("tf", "compiled", None),
        ("onnxruntime", "ir", None),
        ("openvino", "ir", "tf"),
        ("openvino", "ir", "torch"),
    ]
    assert {f.status for f in found.arms} == {"pass"}
    assert len(found.checks) == 2 * len(found.arms)
    assert all(check.passed for check in found.checks)
    for fact in found.arms:
        assert 0 < fact.rmse <= fact.bound
        assert fact.ap > 0.5
        assert (fact.dap, fact.dap_low, fact.dap_high, fact.shift_px) == (0, 0, 0, 0)
        assert len(fact.artifact_sha256) == 64
        assert fact.device == "cpu"


def test_the_source_of_weights_from_keras_is_keras(context: Context):
    found = climb(context, subject(context, twin="tf"))
    assert [(f.runtime, f.mode) for f in found.arms[:2]] == [("tf", "graph"), ("torch", "eager")]
    assert {f.twin for f in found.arms} == {"tf"}


@pytest.mark.parametrize("mistake", ["Swapped", "Half", "Mirrored", "NotANumber"])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "tf"])
def test_a_runtime_with_a_mistake_fails_and_is_named(context: Context, runtime: str, mistake: str):
    found = climb(context, **{runtime: mistake})
    assert {f.runtime for f in found.arms if f.status == "fail"} == {runtime}
    assert {f.status for f in of(found, runtime)} == {"fail"}
    wrong = failing(found)
    assert all(runtime in check.name for check in wrong)
    heatmaps = [check for check in wrong if check.name.endswith("rmse to fp64")]
    assert len(heatmaps) == len(of(found, runtime))
    assert all(check.where is not None and check.where.startswith("probe ") for check in heatmaps)
    assert "rmse to fp64 is" in of(found, runtime)[0].reason


def test_a_mistake_in_the_source_itself_is_not_what_others_are_measured_by(context: Context):
    found = climb(context, torch="Swapped", with_ap=False)
    assert {f.runtime for f in found.arms if f.status == "fail"} == {"torch"}
    assert {f.status for f in of(found, "openvino") + of(found, "tf")} == {"pass"}


def test_an_ap_that_moved_fails_where_the_source_has_one(context: Context):
    found = climb(context, openvino="Mirrored")
    [check, _] = [c for c in failing(found) if "AP" in c.name]
    assert check.bound == 0.001
    assert check.measured is not None
    assert check.measured > 0.2
    assert check.note is not None
    assert "the source's" in check.note
    assert "bootstrap over images" in check.note
    [fact, _] = of(found, "openvino")
    assert fact.dap_low <= fact.dap <= fact.dap_high < 0


def test_below_an_ap_of_a_fifth_keypoints_are_judged_and_ap_is_said_to_say_nothing(context: Context):
    found = climb(context, subject(context, moved_px=8), openvino="Mirrored")
    assert found.arms[0].ap < 0.2
    assert not [check for check in found.checks if "AP" in check.name]
    behaviour = [check for check in found.checks if "keypoint shift" in check.name]
    assert len(behaviour) == len(found.arms)
    assert all("AP says nothing: the source's is 0.0" in str(check.note) for check in behaviour)
    wrong = [check for check in behaviour if not check.passed]
    assert [check.bound for check in wrong] == [1.0, 1.0]
    assert all("openvino" in check.name and check.where for check in wrong)


def test_without_the_validation_part_keypoints_are_judged(context: Context):
    found = climb(context, with_ap=False)
    assert {f.ap for f in found.arms} == {None}
    assert {check.note for check in found.checks if "keypoint" in check.name} == {"AP was not measured"}
    assert {f.status for f in found.arms} == {"pass"}


def test_the_slow_compilers_can_be_left_out(context: Context):
    found = climb(context, replace(subject(context), compiled=()), with_ap=False)
    assert [f.mode for f in found.arms] == ["eager", "graph", "ir", "ir", "ir"]


def test_what_a_machine_cannot_run_is_shown_and_not_failed(context: Context):
    found = climb(context, onnxruntime="Absent")
    [fact] = of(found, "onnxruntime")
    assert (fact.status, fact.reason) == ("unsupported", "no such device is visible to this runtime")
    assert not failing(found)
    [check] = [check for check in found.checks if "onnxruntime" in check.name]
    assert (check.passed, check.measured, check.note) == (None, None, fact.reason)


def test_a_crash_is_a_failure_with_its_reason(context: Context):
    found = climb(context, onnxruntime="Crashing")
    [fact] = of(found, "onnxruntime")
    assert (fact.status, fact.reason) == ("fail", "RuntimeError: a kernel was not found")
    [check] = failing(found)
    assert "onnxruntime" in check.name
    assert check.note == fact.reason


def test_an_artifact_that_is_not_there_is_a_failure(context: Context):
    given = subject(context)
    given.exports[IRS[0]].unlink()
    found = climb(context, given)
    assert [f.status for f in of(found, "openvino")] == ["fail", "pass"]
    assert "no file" in of(found, "openvino")[0].reason
    assert of(found, "openvino")[0].artifact_sha256 is None


@pytest.mark.parametrize(("mistake", "status"), [("Crashing", "fail"), ("Absent", "unsupported")])
def test_without_its_source_nothing_can_be_judged(context: Context, mistake: str, status: str):
    found = climb(context, torch=mistake)
    assert {f.status for f in found.arms} == {status}
    assert "nothing to judge it by: torch eager fp32: " in of(found, "openvino")[0].reason


def test_lower_precisions_are_reported_beside_with_an_interval_and_never_judged(context: Context):
    found = climb(context, openvino="Obedient", lower={"openvino": ("bf16", "fp16")})
    lower = [f for f in found.arms if f.precision != "fp32"]
    assert [(f.precision, f.through) for f in lower] == [
        ("bf16", "tf"),
        ("fp16", "tf"),
        ("bf16", "torch"),
        ("fp16", "torch"),
    ]
    assert {f.status for f in lower} == {"reported"}
    assert all(f.rmse > found.arms[0].bound and f.bound is None for f in lower)
    assert not failing(found)
    checks = [check for check in found.checks if "fp16" in check.name]
    assert [(check.passed, check.bound) for check in checks] == [(None, None)] * 2
    assert "difference" in str(checks[0].note)
    assert "[" in str(checks[0].note)


@pytest.mark.parametrize(("mistake", "said"), [("NotANumber", "nan"), ("Overflowing", "inf")])
def test_what_is_not_a_number_fails_in_a_lower_precision_too(context: Context, mistake: str, said: str):
    found = climb(context, openvino=mistake, lower={"openvino": ("bf16",)})
    lower = [f for f in found.arms if f.precision == "bf16"]
    assert [f.status for f in lower] == ["fail", "fail"]
    assert all(f.reason.startswith(f"rmse to fp64 is {said}: ") for f in lower)
    wrong = [check for check in failing(found) if "bf16" in check.name]
    assert len(wrong) == 2
    assert all(check.where == "probe 0" and f"is {said}" in str(check.note) for check in wrong)


def test_people_of_whom_a_lower_precision_gives_no_number_fail_it(context: Context):
    given, probe = subject(context), context.folder / "made" / "one_batch.npz"
    np.savez(probe, images=np.load(probe.with_name("probe.npz"))["images"][: arms.BATCH])
    reference(probe, given.weights)
    found = climb(context, given, openvino="LostLate", lower={"openvino": ("bf16",)}, probe=probe)
    lower = [f for f in found.arms if f.precision == "bf16"]
    assert [f.status for f in lower] == ["fail", "fail"]
    assert "a heatmap of the validation part is not a number" in lower[0].reason


@pytest.mark.parametrize(("runtime", "failed"), [("openvino", {"openvino"}), ("torch", set(RUNTIMES))])
def test_heatmaps_of_another_shape_fail_and_are_named(context: Context, runtime: str, failed: set[str]):
    found = climb(context, **{runtime: "Transposed"}, with_ap=False, lower={"openvino": ("bf16",)})
    assert {f.runtime for f in found.arms if f.status == "fail"} == failed
    for fact in of(found, runtime):
        assert f"heatmaps of {runtime} " in fact.reason
        assert "x17, not " in fact.reason


def test_the_ladders_own_probe_set_is_the_default(context: Context):
    given = subject(context)
    probing.batch(context)
    reference(context.folder / "probe.npz", given.weights)
    found = climb(context, given, probe=None, with_ap=False)
    assert {f.status for f in found.arms} == {"pass"}


def test_any_number_of_images_is_inferred_in_whole_batches():
    seen: list[int] = []
    buffer = np.zeros((4, 2, 1, 1), np.float32)

    def infer(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        buffer[:, 0, 0, 0] = images[:, 0, 0, 0]
        return buffer

    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1).repeat(3, axis=3)
    found = accuracy.in_batches(infer, 4)(images)
    assert seen == [4, 4, 4]
    assert found[:, 0, 0, 0].tolist() == list(range(10))


def test_int8_is_of_the_quantised_graph_and_absent_without_one(run_folder: Path):
    given = subject(make_context(run_folder, Context))
    lower = {"openvino": ("bf16", "int8"), "torch": ("int8",)}
    asked = [arm for arm in arms.of(given, lower) if arm.precision != "fp32"]
    assert {(arm.runtime, arm.precision) for arm in asked} == {("torch", "int8"), ("openvino", "bf16")}
    path = given.exports[INT8, "tf"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    found = {
        arm.through: arm.artifact
        for arm in arms.of(given, lower)
        if arm.runtime == "openvino" and arm.precision == "int8"
    }
    assert found == {"tf": path}


ALSO = (
    ("torch", "eager", "fp32", "cpu"),
    ("torch", "eager", "fp32", "cuda"),
    ("torch", "compiled", "bf16", "cpu"),
    ("onnxruntime", "ir", "defaults", "cpu"),
    ("openvino", "ir", "int8", "cpu"),
    ("openvino", "ir", "bf16", "cpu"),
)


def test_what_is_measured_beside_the_standard_arms_has_one_of_its_own(run_folder: Path):
    given = subject(make_context(run_folder, Context))
    before = arms.of(given, {})
    asked = replace(given, also=ALSO)
    more = arms.of(asked, {})[len(before) :]
    assert arms.of(asked, {})[: len(before)] == before
    assert [arm.kind for arm in more] == [*ALSO[1:4], ALSO[5]]  # no int8: nothing was quantised
    assert [arm.through for arm in more] == [None, None, None, "torch"]
    exported = [given.exports[kind] for kind in (ONNX, IRS[1])]
    assert [arm.artifact for arm in more] == [given.weights, given.weights, *exported]
    assert more[0].name == "torch eager fp32 on cuda"
    given.exports[INT8, "torch"].parent.mkdir()
    given.exports[INT8, "torch"].write_text("")
    assert ALSO[4] in {arm.kind for arm in arms.of(asked, {})}
    bare = replace(asked, exports={})
    assert [arm.kind for arm in arms.of(bare, {}) if arm.runtime in {"onnxruntime", "openvino"}] == []


def test_what_is_measured_besides_is_judged_by_its_precision(run_folder: Path):
    context = make_context(run_folder, Context)
    given = replace(subject(context), also=ALSO[1:3])
    found = climb(context, given, with_ap=False)
    facts = {
        tuple(getattr(fact, axis) for axis in ("runtime", "mode", "precision", "device")): fact
        for fact in found.arms
    }
    assert facts[ALSO[1]].status == "pass"
    assert facts[ALSO[2]].status == "reported"
    assert any("torch eager fp32 on cuda" in check.name for check in found.checks)
    whole = arms.of(replace(given, also=()), {}, "cuda")
    devices = {(arm.runtime == "openvino", arm.device) for arm in whole}
    assert devices == {(True, "cpu"), (False, "cuda")}, "OpenVINO knows no CUDA"


def test_an_arm_that_aborts_in_its_own_process_takes_nobody_with_it(run_folder: Path):
    context = make_context(run_folder, Context)
    given = subject(context)
    found = arms.run(
        context,
        given,
        arms.of(given, {})[0],
        "fake_runtimes:Aborting",
        context.folder / "made" / "probe.npz",
        None,
    )
    assert found.status == "failed"
    assert "SIGABRT" in str(found.reason)
