"""The suite's own HDF5 comes back as it was written; any other is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import twins

pytest.importorskip("tensorflow")
h5py = pytest.importorskip("h5py")

from pose import architecture, weights  # noqa: E402
from pose.errors import UserError  # noqa: E402
from tf_impl import export  # noqa: E402


def test_weights_come_back_as_they_were_written(tmp_path: Path) -> None:
    canonical = weights.initial(architecture.build(twins.tiny().model), 7)
    weights.save(tmp_path / "w.safetensors", canonical)
    export.write_native(twins.tiny(), tmp_path / "w.safetensors", tmp_path / "w.weights.h5")
    export.read_native(str(tmp_path / "w.weights.h5"), "resnet18", tmp_path / "back.safetensors")
    assert weights.fingerprint(weights.read(tmp_path / "back.safetensors")) == weights.fingerprint(canonical)


@pytest.mark.parametrize("content", ["text", np.array([b"x", b"yy"]), h5py.Empty("f4")])
def test_what_holds_no_numbers_is_the_users_error(tmp_path: Path, content: object) -> None:
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        file.create_dataset("conv1/weight", data=content)
    with pytest.raises(
        UserError, match=r"'conv1/weight' holds no numbers \(.*\); expected a \.weights\.h5 file"
    ):
        export.read_native(str(tmp_path / "w.weights.h5"), "resnet18", tmp_path / "raw.safetensors")


def test_what_is_no_hdf5_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "w.weights.h5").write_text("none")
    with pytest.raises(UserError, match="cannot read weights from"):
        export.read_native(str(tmp_path / "w.weights.h5"), "resnet18", tmp_path / "raw.safetensors")
