"""The twin's weights as Keras writes them: any model of the same plain layers loads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import twins

pytest.importorskip("tensorflow")
h5py = pytest.importorskip("h5py")

import keras  # noqa: E402
from keras import layers  # noqa: E402

from pose import architecture, weights  # noqa: E402
from pose.architecture import BN_EPSILON, IMAGENET_MEAN, IMAGENET_STD  # noqa: E402
from pose.errors import UserError  # noqa: E402
from tf_impl import export, model  # noqa: E402

# Keras 3.15 asks TensorFlow's tensors for a copy in a way that NumPy 2 wants to be declared.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CANONICAL = weights.generic(architecture.build(twins.tiny().model), 7)


def exported(folder: Path, order: str = "rgb") -> Path:
    weights.save(folder / "w.safetensors", CANONICAL, {"channel_order": order})
    export.write_native(twins.tiny(), folder / "w.safetensors", folder / "w.weights.h5")
    return folder / "w.weights.h5"


def test_weights_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = exported(tmp_path, "bgr")
    export.read_native(str(path), twins.tiny().model, tmp_path / "back.safetensors")
    back, metadata = weights.read_with_metadata(tmp_path / "back.safetensors")
    assert metadata == {"channel_order": "bgr"}
    assert weights.fingerprint(back) == weights.fingerprint(CANONICAL)


def convolved(x: keras.KerasTensor, channels: int, kernel: int, stride: int) -> keras.KerasTensor:
    padded = layers.ZeroPadding2D(kernel // 2)(x) if kernel > 1 else x
    made = layers.Conv2D(channels, kernel, stride, use_bias=False)(padded)
    return layers.BatchNormalization(epsilon=BN_EPSILON)(made)


def residual(x: keras.KerasTensor, channels: int, stride: int) -> keras.KerasTensor:
    short = x if stride == 1 and x.shape[-1] == channels else convolved(x, channels, 1, stride)
    y = convolved(layers.ReLU()(convolved(x, channels, 3, stride)), channels, 3, 1)
    return layers.ReLU()(layers.Add()([y, short]))


def users_own() -> keras.Model:
    """Return the tiny network as a Keras user writes it: Keras's layers alone, no name given to any."""
    width, height = twins.tiny().model.input_size
    images = keras.Input((height, width, 3))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Normalization(mean=IMAGENET_MEAN, variance=np.square(IMAGENET_STD))(x)
    x = layers.ReLU()(convolved(x, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage in range(4):
        for index in range(2):
            x = residual(x, 64 * 2**stage, 2 if stage and not index else 1)
    for _ in range(3):
        x = layers.Conv2DTranspose(8, 4, 2, "same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(epsilon=BN_EPSILON)(x))
    return keras.Model(images, layers.Conv2D(17, 1)(x))


def test_a_plain_keras_model_loads_the_file_and_gives_the_twins_heatmaps(tmp_path: Path) -> None:
    own = users_own()
    own.load_weights(exported(tmp_path))
    twin = model.build(twins.tiny())
    model.load_weights(twin, CANONICAL)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 32, 3), np.uint8)
    expected = np.asarray(twin(images, training=False))  # (N, K, h, w)
    found = np.asarray(own(images.astype(np.float32), training=False)).transpose(0, 3, 1, 2)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_file_of_our_own_old_format_is_told_as_such(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        file.create_dataset("conv1/weight", data=np.zeros((7, 7, 3, 64), np.float32))
    with pytest.raises(UserError, match=r"as files of an early twinpose; export the \.safetensors again"):
        export.read_native(str(tmp_path / "w.weights.h5"), twins.tiny().model, tmp_path / "raw.safetensors")


def test_a_file_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    wide = twins.tiny().model.model_copy(update={"backbone": "resnet34"})
    with pytest.raises(UserError, match=r"expected a \.weights\.h5 file of the recipe's model") as refused:
        export.read_native(str(exported(tmp_path)), wide, tmp_path / "raw.safetensors")
    assert "\n" not in str(refused.value)


def test_what_is_no_hdf5_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "w.weights.h5").write_text("none")
    with pytest.raises(UserError, match="cannot read weights from"):
        export.read_native(str(tmp_path / "w.weights.h5"), twins.tiny().model, tmp_path / "raw.safetensors")
