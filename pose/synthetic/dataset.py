"""Writes rendered images and annotations in the official COCO layout."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import msgspec
import numpy as np

from pose.errors import UserError
from pose.files import read_json, write_json
from pose.progress import OnProgress
from pose.skeleton import COCO
from pose.synthetic.scene import render

GENERATOR_VERSION = 2
"""Raised whenever a change alters a single byte of any image or annotation."""

FIRST_VAL_ID = 1_000_001
"""Validation ids never meet training ids, and do not depend on how many of these there are."""

JPEG_QUALITY = 90
_MARKER = "synthetic.json"
_CHUNK = 8


class SyntheticFile(msgspec.Struct, frozen=True, kw_only=True):
    """synthetic.json: what decides every byte of the dataset."""

    generator_version: int = GENERATOR_VERSION
    """Of the renderer."""
    seed: int
    train_images: int
    val_images: int
    size: list[int]
    """Width and height of an image, in pixels."""
    jpeg_quality: int = JPEG_QUALITY


def make(
    out: Path,
    *,
    train_images: int,
    val_images: int,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
    processes: int | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Render the dataset into `out` and return its counts.

    Returns {"images": {"train", "val"}, "people": {"train", "val"}, "rendered": bool}; `rendered`
    is False when a complete dataset of the same parameters was there and has been left alone. One
    that was interrupted is rendered again. on_progress(done, total) counts images.
    Raises UserError for a folder that holds anything else, or for numbers that make no dataset.
    """
    out = Path(out)
    _check(train_images, val_images, seed, size, processes)
    parameters = msgspec.to_builtins(
        SyntheticFile(seed=seed, train_images=train_images, val_images=val_images, size=list(size))
    )
    counts = _existing(out, parameters)
    if counts:
        return {**counts, "rendered": False}
    write_json(out / _MARKER, parameters)
    jobs = [("train2017", i) for i in range(1, train_images + 1)]
    jobs += [("val2017", FIRST_VAL_ID + i) for i in range(val_images)]
    for folder in ("train2017", "val2017"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    annotations = _render_all(out, jobs, seed, size, processes or _usable_cores(), on_progress)
    people = {}
    for folder in ("train2017", "val2017"):
        mine = [(i, a) for (where, i), a in zip(jobs, annotations, strict=True) if where == folder]
        write_json(_annotation_path(out, folder), _coco(mine, size, parameters), indent=None)
        people[folder.removesuffix("2017")] = sum(len(a) for _, a in mine)
    return {"images": {"train": train_images, "val": val_images}, "people": people, "rendered": True}


def _check(
    train_images: int, val_images: int, seed: int, size: tuple[int, int], processes: int | None
) -> None:
    if not (0 < train_images < FIRST_VAL_ID and 0 < val_images < FIRST_VAL_ID):
        raise UserError(
            f"{train_images} train and {val_images} val images; expected 1 to {FIRST_VAL_ID - 1} of each"
        )
    if not 0 <= seed < 2**63:
        raise UserError(f"seed {seed}; expected 0 to 2^63 - 1")
    if not all(64 <= side <= 1024 and side % 2 == 0 for side in size):
        raise UserError(f"image size {size[0]}x{size[1]}; expected even sides of 64 to 1024 pixels")
    if processes is not None and processes < 1:
        raise UserError(f"{processes} processes; expected 1 or more")


def _existing(out: Path, parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Counts of a complete dataset of these parameters; None when there is none; UserError for another."""
    if not out.exists():
        return None
    if not out.is_dir():
        raise UserError(f"{out} is a file; expected a folder for the dataset; give another path")
    # A hidden file is what a killed process was still writing.
    if all(path.name.startswith(".") for path in out.iterdir()):
        return None
    if not (out / _MARKER).exists():
        raise UserError(
            f"{out} holds files that are no built-in dataset; expected a new or empty folder; give another"
        )
    found = read_json(out / _MARKER, "the parameters of a built-in dataset")
    if found != parameters:
        raise UserError(
            f"{out} holds a built-in dataset with {_difference(found, parameters)}; give another folder "
            "or delete that one"
        )
    counts: dict[str, Any] = {"images": {}, "people": {}}
    for folder in ("train2017", "val2017"):
        if not _annotation_path(out, folder).exists():
            return None
        file = read_json(_annotation_path(out, folder), "annotations of the built-in dataset")
        if file["info"].get("parameters") != parameters:
            return None
        if not all((out / folder / image["file_name"]).exists() for image in file["images"]):
            return None
        counts["images"][folder.removesuffix("2017")] = len(file["images"])
        counts["people"][folder.removesuffix("2017")] = len(file["annotations"])
    return counts


def _difference(found: Any, wanted: dict[str, Any]) -> str:
    if not isinstance(found, dict):
        return "unknown parameters"
    return (
        ", ".join(f"{k} {found.get(k)} (wanted {v})" for k, v in wanted.items() if found.get(k) != v)
        or "other parameters"
    )


def _annotation_path(out: Path, folder: str) -> Path:
    return out / "annotations" / f"person_keypoints_{folder}.json"


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _render_all(
    out: Path,
    jobs: list[tuple[str, int]],
    seed: int,
    size: tuple[int, int],
    processes: int,
    on_progress: OnProgress | None,
) -> list[list[dict[str, Any]]]:
    """Annotations of every job, in order; the JPEGs are written by the workers."""
    chunks = [(out, jobs[i : i + _CHUNK], seed, size) for i in range(0, len(jobs), _CHUNK)]
    done: list[list[dict[str, Any]]] = []
    with _mapper(min(processes, len(chunks))) as run:
        for part in run(chunks):
            done += part
            if on_progress:
                on_progress(len(done), len(jobs))
    return done


_Chunk = tuple[Path, list[tuple[str, int]], int, tuple[int, int]]


@contextmanager
def _mapper(processes: int) -> Iterator[Callable[[list[_Chunk]], Iterator[list[list[dict[str, Any]]]]]]:
    """A `map` over chunks: here for one process, else over fresh ones, which inherit no threads or locks."""
    if processes == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield lambda chunks: map(_render_chunk, chunks)
        finally:
            cv2.setNumThreads(threads)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_prepare_worker) as pool:
        try:
            yield lambda chunks: pool.map(_render_chunk, chunks)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _prepare_worker() -> None:
    # Ctrl-C reaches the whole group of a terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    # Freeing a large block once lets glibc keep freed memory (mallopt(3), M_TRIM_THRESHOLD); else
    # every image would fault its arrays in again.
    np.empty(_KEPT_BYTES, np.uint8)
    Thread(target=_end_with_parent, daemon=True).start()


_KEPT_BYTES = 2**25 - 2**16
"""Just below the largest block that glibc adapts to."""


def _end_with_parent() -> None:
    """End this worker when its parent is gone: nobody else tells it that no work will come."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _render_chunk(chunk: _Chunk) -> list[list[dict[str, Any]]]:
    out, jobs, seed, size = chunk
    done = []
    for folder, image_id in jobs:
        image, annotations = render(seed, image_id, size)
        _write_jpeg(out / folder / f"{image_id:012d}.jpg", image)
        done.append(annotations)
    return done


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not ok:
        raise RuntimeError(f"OpenCV could not encode {path}")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; expected a writable folder with free space"
        ) from error


def _coco(
    people: list[tuple[int, list[dict[str, Any]]]], size: tuple[int, int], parameters: dict[str, Any]
) -> dict[str, Any]:
    """The annotation file of the images in `people`: (image id, annotations)."""
    return {
        "info": {
            "description": "TwinPose built-in dataset: rendered people",
            "version": str(GENERATOR_VERSION),
            "year": 2025,
            "contributor": "twinpose data make",
            "url": "",
            "date_created": "",
            "parameters": parameters,
        },
        "licenses": [{"id": 1, "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}],
        "images": [
            {
                "license": 1,
                "file_name": f"{i:012d}.jpg",
                "coco_url": "",
                "height": size[1],
                "width": size[0],
                "date_captured": "",
                "flickr_url": "",
                "id": i,
            }
            for i, _ in people
        ],
        "annotations": [annotation for _, mine in people for annotation in mine],
        "categories": [
            {
                "supercategory": "person",
                "id": 1,
                "name": "person",
                "keypoints": list(COCO.joints),
                "skeleton": [[a + 1, b + 1] for a, b in COCO.limbs],
            }
        ],
    }
