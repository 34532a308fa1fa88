"""Batches of the tf.data pipeline are `pose.sample`'s own bytes in the seeded order, whatever the workers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import twins

pytest.importorskip("tensorflow")

from pose import augment, coco, geometry, recipe, sample
from pose.errors import UserError
from tf_impl import data, native


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> coco.Dataset:
    return coco.load(twins.dataset(tmp_path_factory.mktemp("coco")), "train2017")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_the_samples_in_the_seeded_order(instances: coco.Dataset, workers: int) -> None:
    resolved = twins.tiny()
    loader = data.Loader(instances, resolved, workers)
    for epoch in (1, 2, None):
        batches = list(loader.batches(epoch))
        order = np.arange(len(instances))
        if epoch is not None:
            order = augment.order(resolved.training.seed, epoch, len(instances))
        sizes = [len(batch.images) for batch in batches]
        assert sizes[:-1] == [8] * (len(sizes) - 1)
        assert (
            np.concatenate([b.annotation_ids for b in batches]).tolist() == instances.ann_ids[order].tolist()
        )
        expected = [sample.make(instances, int(i), resolved, epoch=epoch) for i in order]
        for name in ("images", "heatmaps", "weights"):
            made = np.concatenate([getattr(batch, name) for batch in batches])
            wanted = np.stack(
                [getattr(s, name.removesuffix("s") if name == "images" else name) for s in expected]
            )
            assert made.dtype == wanted.dtype
            assert np.array_equal(made, wanted)


def test_epochs_and_seeds_change_the_order_and_the_samples(instances: coco.Dataset) -> None:
    def first(resolved: recipe.Recipe, epoch: int) -> data.Batch:
        return next(data.Loader(instances, resolved, 0).batches(epoch))

    one, two, other = first(twins.tiny(), 1), first(twins.tiny(), 2), first(twins.tiny(seed=1), 1)
    assert not np.array_equal(one.annotation_ids, two.annotation_ids)
    assert not np.array_equal(one.annotation_ids, other.annotation_ids)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_missing_image_is_the_users_error(tmp_path: Path, workers: int) -> None:
    root = twins.dataset(tmp_path / "coco")
    instances = coco.load(root, "train2017")
    missing = instances.image_path(int(instances.image_ids[3]))
    missing.unlink()
    with pytest.raises(UserError) as refused:
        list(data.Loader(instances, twins.tiny(), workers).batches(1))
    problem = "No such file or directory; expected a JPEG of the dataset"
    assert str(refused.value) == f"cannot read {missing}: {problem}"


def test_no_thread_tunes_what_is_fixed(instances: coco.Dataset) -> None:
    """Its sleep, twice as long each time, could end after the epoch: the iterator waited for it."""
    assert data.Loader(instances, twins.tiny(), 2)._options().autotune.enabled is False


def test_this_process_warps_on_one_thread_too(instances: coco.Dataset) -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        data.Loader(instances, twins.tiny(), 2)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(threads)


# Nobody passes the barrier alone: a loader that makes one sample at a time breaks it.
TWO_AT_ONCE = """
import sys, threading
from pathlib import Path
import twins
from pose import coco, sample
from tf_impl import data, train

train.setup("cpu", 1)
barrier, make = threading.Barrier(2), sample.make

def meet(*arguments, **options):
    barrier.wait(timeout=30)
    return make(*arguments, **options)

sample.make = meet
people = coco.load(Path(sys.argv[1]), "train2017")
people = people.take(list(range(len(people) // 2 * 2)), list(people.images))
list(data.Loader(people, twins.tiny(), 2).batches(1))
"""


def test_two_workers_make_two_samples_at_once_in_training(instances: coco.Dataset) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", TWO_AT_ONCE, str(instances.root)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def native_recipe(**training: object) -> recipe.Recipe:
    return twins.tiny(**training).model_copy(update={"data": recipe.Data(pipeline="native")})


def columns(batches: list[data.Batch], name: str) -> np.ndarray:
    return np.concatenate([getattr(batch, name) for batch in batches])


@pytest.mark.parametrize("epoch", [1, None])
def test_native_batches_have_the_shared_order_and_targets(instances: coco.Dataset, epoch: int | None) -> None:
    shared = list(data.Loader(instances, twins.tiny(), 0).batches(epoch))
    made = list(data.Loader(instances, native_recipe(), 0).batches(epoch))
    for name in ("heatmaps", "weights", "annotation_ids"):
        assert np.array_equal(columns(made, name), columns(shared, name))
        assert columns(made, name).dtype == columns(shared, name).dtype
    assert columns(made, "images").shape == columns(shared, "images").shape
    assert columns(made, "images").dtype == np.uint8


def test_native_batches_are_the_same_for_any_workers(instances: coco.Dataset) -> None:
    alone, parallel = (list(data.Loader(instances, native_recipe(), w).batches(2)) for w in (0, 2))
    for name in ("images", "heatmaps", "weights", "annotation_ids"):
        assert np.array_equal(columns(alone, name), columns(parallel, name))


def test_native_pixels_differ_from_shared_ones_but_not_by_much(instances: coco.Dataset) -> None:
    shared = columns(list(data.Loader(instances, twins.tiny(), 0).batches(1)), "images")
    made = columns(list(data.Loader(instances, native_recipe(), 0).batches(1)), "images")
    apart = np.abs(made.astype(int) - shared)
    # 1.3 levels of 255 here: the fast DCT moves values by a few, and the warp drops their fractions.
    assert 0 < apart.mean() < 2


def test_aligned_native_pixels_are_the_shared_ones(instances: coco.Dataset) -> None:
    """The same operations with the options that `data pipelines` names: what differs is explained."""
    size = twins.tiny().model.input_size
    for index in range(len(instances)):
        shared = instances.read(index)
        assert np.array_equal(native.read(instances, index, aligned=True), shared)
        for epoch in (None, 1, 2):
            placed = sample.place(instances, index, twins.tiny(), epoch=epoch)
            image = shared[:, ::-1] if placed.parameters.flip else shared
            wanted = geometry.warp(image, placed.to_input, size)
            apart = np.abs(native.warped(shared, placed, size, aligned=True).astype(int) - wanted)
            # float32 coordinates, not OpenCV's: a tie may be rounded the other way
            assert apart.max() <= 1
            assert (apart > 0).mean() < 0.005


def test_the_decoder_by_default_uses_the_fast_dct(instances: coco.Dataset) -> None:
    for index in range(len(instances)):
        path = instances.image_path(int(instances.image_ids[index]))
        fast = native.tf.io.decode_jpeg(path.read_bytes(), channels=3, dct_method="INTEGER_FAST")
        assert np.array_equal(native.read(instances, index), fast)


def test_crops_are_the_unaugmented_batches(instances: coco.Dataset) -> None:
    for resolved in (twins.tiny(), native_recipe()):
        made = data.crops(instances, resolved, range(len(instances)))
        assert np.array_equal(
            made, columns(list(data.Loader(instances, resolved, 0).batches(None)), "images")
        )


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (None, "cannot read {}: No such file or directory; expected a JPEG of the dataset"),
        (b"no image", "{} is no readable image (8 bytes); expected a JPEG; copy it again"),
    ],
)
def test_an_image_that_the_native_decoder_refuses_is_the_users_error(
    tmp_path: Path, broken: bytes | None, said: str
) -> None:
    instances = coco.load(twins.dataset(tmp_path / "coco"), "train2017")
    path = instances.image_path(int(instances.image_ids[3]))
    path.unlink()
    if broken is not None:
        path.write_bytes(broken)
    with pytest.raises(UserError) as refused:
        list(data.Loader(instances, native_recipe(), 0).batches(1))
    assert str(refused.value) == said.format(path)


def test_a_native_image_of_another_size_than_its_annotation_is_the_users_error(tmp_path: Path) -> None:
    instances = coco.load(twins.dataset(tmp_path / "coco"), "train2017")
    path = instances.image_path(int(instances.image_ids[3]))
    cv2.imwrite(str(path), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(UserError, match="is 20x10; its annotation says"):
        list(data.Loader(instances, native_recipe(), 0).batches(1))
    with pytest.raises(UserError, match="is 20x10; its annotation says"):
        data.crops(instances, native_recipe(), range(len(instances)))


def test_a_truncated_jpeg_is_refused_by_the_native_decoder_too(tmp_path: Path) -> None:
    instances = coco.load(twins.dataset(tmp_path / "coco"), "train2017")
    path = instances.image_path(int(instances.image_ids[0]))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UserError, match="truncated"):
        list(data.Loader(instances, native_recipe(), 0).batches(None))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_of_any_depth_gives_the_shared_pixels(tmp_path: Path, channels: int, bits: int) -> None:
    instances = coco.load(twins.dataset(tmp_path / "coco"), "train2017")
    record = instances.record(0)
    drawn = np.random.default_rng(0).integers(0, 2**bits, (record.height, record.width, channels))
    data = cv2.imencode(".png", drawn.astype(f"uint{bits}"))[1].tobytes()
    instances.image_path(record.id).write_bytes(data)
    found = native.read(instances, 0)
    assert found.dtype == np.uint8
    assert np.array_equal(found, instances.read(0))


def test_a_picture_that_only_one_framework_reads_is_refused(tmp_path: Path) -> None:
    instances = coco.load(twins.dataset(tmp_path / "coco"), "train2017")
    record = instances.record(0)
    pixels = np.zeros((record.height, record.width, 3), np.uint8)
    path = instances.image_path(record.id)
    path.write_bytes(cv2.imencode(".webp", pixels)[1].tobytes())
    assert np.array_equal(instances.read(0), pixels)
    with pytest.raises(UserError, match=r"no JPEG, PNG or GIF.*give --set data\.pipeline=shared"):
        list(data.Loader(instances, native_recipe(), 0).batches(None))
