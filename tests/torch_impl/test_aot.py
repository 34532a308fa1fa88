"""The PyTorch twin ahead of time: a package computes what its source does, and refuses what it is not for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lanes
import numpy as np
import pytest
import twins

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from bench import contract  # noqa: E402
from bench.artifacts import gate  # noqa: E402
from bench.contract import RunnerSpec  # noqa: E402
from bench.statistics import rounding  # noqa: E402
from pose import architecture, weights  # noqa: E402
from pose.errors import Unsupported, UserError  # noqa: E402
from torch_impl import aot, model, runner  # noqa: E402

needs_compiler = pytest.mark.skipif(not contract.cxx_compiler(), reason="AOTInductor needs a C++ compiler")
IMAGES = twins.noisy_batch(twins.tiny(), 2)[0]


def lively(seed: int = 0) -> weights.Weights:
    """Return weights whose batch norms and head do something, as trained ones do."""
    rng, made = np.random.default_rng(seed), weights.initial(architecture.build(twins.tiny().model), seed)
    for name, value in made.items():
        if name.endswith("running_var"):
            made[name] = rng.uniform(0.5, 2, value.shape).astype(np.float32)
        elif name.startswith(("deconv", "final")) and value.ndim == 4:
            made[name] = rng.normal(0, 0.05, value.shape).astype(np.float32)
    return made


@pytest.fixture(scope="module")
def net() -> model.PoseNet:
    made = model.build(twins.tiny())
    model.load_weights(made, lively())
    return made


@pytest.fixture(scope="module")
def exact(net: model.PoseNet) -> np.ndarray:
    """Return the heatmaps (N, K, h, w) of `IMAGES` by the network as it is.

    In float32: where a float64 network has computed before in the process, the first bfloat16 one of another
    test may compute NaN on a processor with AMX (torch 2.14).
    """
    with torch.no_grad():
        return net(torch.from_numpy(IMAGES)).numpy()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a package of batch 2 in float32, made as a conversion makes it."""
    folder = tmp_path_factory.mktemp("aot")
    weights.save(folder / "w.safetensors", lively())
    made = aot.write(twins.tiny(), folder / "w.safetensors", 2, "fp32", folder / "model.b2.pt2")
    assert made == {
        "route": "torch-aot-fp32",
        "input": [2, 64, 32, 3],
        "processor": aot.read(folder / "model.b2.pt2").isa,
    }
    assert [path.name for path in folder.glob("*.pt2")] == ["model.b2.pt2"]
    return folder / "model.b2.pt2"


def spec(path: Path, **patch: Any) -> RunnerSpec:
    asked = {"mode": "aot", "precision": "fp32", "device": "cpu", "threads": 1, "batch": 2}
    return RunnerSpec(twins.tiny().model_dump(mode="json"), str(path), **(asked | patch))


def error(made: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(made - exact).max() / np.abs(exact).max())


def test_folded_batch_norms_leave_the_heatmaps_as_they_were(net: model.PoseNet, exact: np.ndarray):
    made = aot.folded(net).float()
    assert not [part for part in made.modules() if isinstance(part, nn.BatchNorm2d)]
    assert any(isinstance(part, nn.BatchNorm2d) for part in net.modules())
    with torch.no_grad():
        assert error(made(torch.from_numpy(IMAGES)).numpy(), exact) < 1e-5


def test_a_batch_norm_without_a_convolution_before_it_is_no_silent_loss(net: model.PoseNet):
    odd = aot.folded(net)
    odd.deconv_layers[2] = nn.BatchNorm2d(8)
    with pytest.raises(TypeError, match="batch norm 2 follows a Identity"):
        aot.folded(odd)


@needs_compiler
def test_freezing_without_our_fold_computes_something_else(tmp_path: Path):
    """PyTorch's own fold after a deconvolution of as many inputs as outputs; mended, this test can go."""
    torch.manual_seed(0)
    pair = nn.Sequential(nn.ConvTranspose2d(8, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8)).eval()
    pair[1].running_var.uniform_(0.5, 2)
    nn.init.uniform_(pair[1].weight, 0.5, 2)
    given = torch.randn(1, 8, 6, 6)
    errors = []
    with torch.no_grad():
        wanted = pair(given).numpy()
        for name, part in (("as-it-is", pair), ("folded", aot.folded(pair).float())):
            aot.compile_module(part, given, tmp_path / f"{name}.pt2")
            errors.append(error(aot.load(tmp_path / f"{name}.pt2")(given).numpy(), wanted))
    assert errors[0] > 1e-2
    assert errors[0] > gate.bound("fp32")
    assert errors[1] < 1e-6


@needs_compiler
def test_a_package_computes_in_float32_what_its_source_does(package: Path, exact: np.ndarray):
    made = runner.Runner(spec(package))
    assert error(made.infer(IMAGES), exact) < 1e-5
    one = made.infer(IMAGES[:1])
    assert one.shape == (1, *exact.shape[1:])
    assert error(one, exact[:1]) < 1e-5
    assert rounding.rmse(made.infer(IMAGES), exact) < gate.bound("fp32") * rounding.rms(exact)
    made.submit_all([IMAGES, IMAGES[:1]])
    said = made.effective()
    assert (said["mode"], said["precision"], said["threads"]) == ("aot", "float32", 1)
    assert said["processor"] == aot.read(package).isa
    assert said["AOTI_RUNTIME_CHECK_INPUTS"] == "1"


@needs_compiler
def test_its_loops_run_on_as_many_threads_as_the_process_is_told(package: Path):
    """Inductor writes the thread count of the compiling process into them, unless told not to."""
    with zipfile.ZipFile(package) as archive:
        sources = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".cpp")]
    found = re.findall(r"#pragma omp parallel.*", "\n".join(sources))
    assert found
    assert not [one for one in found if "num_threads(" in one]


@needs_compiler
def test_nothing_of_a_loaded_package_stays_behind(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A process that ends at once, as a child of the bench does, would leave it unpacked, weights and all."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    loaded = aot.load(package)
    assert list(tmp_path.iterdir()) == []
    assert os.environ["TMPDIR"] == str(tmp_path)
    assert loaded(torch.from_numpy(IMAGES)).shape == (2, 17, 16, 8)


GIVE = """
import sys
from pathlib import Path
import torch
from torch_impl import aot
if sys.argv[2] == "unchecked":
    aot.CHECK_INPUTS = {}
loaded = aot.load(Path(sys.argv[1]))
images = torch.zeros(2, 64, 32, 3, dtype=torch.uint8)
for wrong in (torch.cat([images, images]), images.float()):
    try:
        print("takes", *loaded(wrong).shape)
    except RuntimeError as error:
        print("refuses", str(error).split()[1:4])
"""


def given_wrong_images(package: Path, how: str) -> list[str]:
    """Return what a package does, in a process of its own, with a wrong batch and with a wrong type."""
    env = {name: value for name, value in os.environ.items() if name not in aot.CHECK_INPUTS}
    done = subprocess.run(
        [sys.executable, "-c", GIVE, str(package), how],
        cwd=lanes.ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [line.split()[0] for line in done.stdout.splitlines() if line.startswith(("takes", "refuses"))]


@needs_compiler
def test_a_package_looks_at_its_inputs_because_the_environment_says_so(package: Path):
    assert given_wrong_images(package, "checked") == ["refuses", "refuses"]
    assert given_wrong_images(package, "unchecked") == ["takes", "takes"]


@needs_compiler
@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.concatenate([IMAGES, IMAGES]), "uint8 of 4x64x32x3; expected uint8 of 2x64x32x3"),
        (IMAGES.astype(np.float32), "float32 of 2x64x32x3; expected uint8 of 2x64x32x3"),
        (IMAGES[:, 1:], "uint8 of 2x63x32x3; expected uint8 of 2x64x32x3"),
    ],
)
def test_the_runner_refuses_images_that_its_package_is_not_for(package: Path, images: np.ndarray, said: str):
    with pytest.raises(UserError, match=said):
        runner.Runner(spec(package)).infer(images)


def rewritten(path: Path, out: Path, change: Callable[[dict[str, str]], None]) -> Path:
    """Write a package to `out` whose metadata were changed."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as copy:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith("_metadata.json"):
                metadata = json.loads(data)
                change(metadata)
                data = json.dumps(metadata).encode()
            copy.writestr(name, data)
    return out


@needs_compiler
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"TORCH": "2.0.0"},
            r"model\.pt2 is of torch 2\.0\.0; this is torch 2.*: 'twinpose convert' makes it anew",
        ),
        (
            {"CAPABILITIES": "avx512_of_tomorrow", "AOTI_CPU_ISA": "AVX1024"},
            r"for a processor with AVX1024; this one is not or lacks: avx512_of_tomorrow; 'twinpose",
        ),
        ({"AOTI_MACHINE": "riscv64"}, "this one is not or lacks: riscv64; 'twinpose convert' makes it anew"),
        ({"BATCH": "8"}, "is of batch 8, not 2; 'twinpose convert' makes it anew"),
        ({"PRECISION": "bf16"}, "is of precision bf16, not fp32; 'twinpose convert' makes it anew"),
    ],
)
def test_a_package_of_another_version_processor_batch_or_precision_is_refused_in_a_line(
    package: Path, tmp_path: Path, change: dict[str, str], said: str
):
    altered = rewritten(package, tmp_path / "model.pt2", lambda metadata: metadata.update(change))
    with pytest.raises(UserError, match=said) as refused:
        runner.Runner(spec(altered))
    assert "\n" not in str(refused.value)


@needs_compiler
@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda path: path.write_bytes(b"no package"), "File is not a zip file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "File is not a zip file"),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "it holds no AOTInductor model"),
    ],
)
def test_a_damaged_package_is_refused_in_a_line(
    package: Path, tmp_path: Path, damage: Callable[[Path], object], cause: str
):
    broken = tmp_path / "model.pt2"
    broken.write_bytes(package.read_bytes())
    damage(broken)
    with pytest.raises(UserError, match=rf"cannot read .*{cause}.*; expected a \.pt2 package") as refused:
        runner.Runner(spec(broken))
    assert "\n" not in str(refused.value)


def test_without_a_compiler_no_package_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aot, "cxx_compiler", lambda: None)
    with pytest.raises(Unsupported, match=r"AOTInductor needs a C\+\+ compiler: neither g\+\+ nor \$CXX"):
        aot.write(twins.tiny(), tmp_path / "w.safetensors", 2, "fp32", tmp_path / "model.pt2")


@pytest.mark.parametrize(("precision", "device"), [("fp16", "cpu"), ("defaults", "cpu"), ("fp32", "cuda")])
def test_a_precision_or_a_device_that_no_package_is_made_for_is_unsupported(precision: str, device: str):
    with pytest.raises(Unsupported, match=f"made in fp32 and bf16 on the cpu, not {precision} on {device}"):
        runner.Runner(spec(Path("model.pt2"), precision=precision, device=device))


@needs_compiler
def test_a_package_says_in_what_it_computes(tmp_path: Path):
    """It has no getter for that: its source names the type of each constant."""
    part, given = nn.Conv2d(8, 8, 3).to(torch.bfloat16), torch.zeros(1, 8, 6, 6, dtype=torch.bfloat16)
    aot.compile_module(part, given, tmp_path / "model.pt2")
    assert aot.read(tmp_path / "model.pt2").dtype == "bfloat16"
