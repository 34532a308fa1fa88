"""Batches of the DataLoader are `pose.sample`'s own bytes in the seeded order, whatever the workers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import twins

pytest.importorskip("torch")

from pose import augment, coco, recipe, sample
from pose.errors import UserError
from torch_impl import data


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


def test_this_process_warps_on_one_thread_too(instances: coco.Dataset) -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        data.Loader(instances, twins.tiny(), 2)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(threads)
