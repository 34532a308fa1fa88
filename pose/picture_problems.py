"""What is wrong with the pictures of a data set: every one is decoded."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pose.annotation_problems import Problem, size_of
from pose.coco import Layout, turned
from pose.errors import UserError
from pose.images import decoders_words, read_image
from pose.progress import OnProgress
from pose.records import LooseFile, LooseImage

TOGETHER = 64
"""Images that are decoded between two looks at what the decoders said."""


def picture_problems(
    root: Path,
    layout: Layout,
    files: dict[str, LooseFile],
    on_progress: OnProgress | None,
    threads: int | None,
) -> list[Problem]:
    """Return the problems of every listed image.

    OpenCV decodes outside the interpreter's lock, so threads help.
    """
    jobs = [
        (root / layout[source].images, source, image)
        for source, file in files.items()
        for image in file.images
    ]
    found: list[Problem] = []
    with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(jobs), TOGETHER):
            some = jobs[start : start + TOGETHER]
            with decoders_words() as said:
                problems = list(pool.map(lambda job: _picture_problem(*job), some))
            if said:  # of which image, only one at a time can tell
                problems = [_mended(job, problem) for job, problem in zip(some, problems, strict=True)]
            found += filter(None, problems)
            if on_progress:
                for done in range(start, start + len(some)):
                    on_progress(done + 1, len(jobs))
    return found


def _mended(job: tuple[Path, str, LooseImage], problem: Problem | None) -> Problem | None:
    """Return what is wrong with an image, be it only that its decoder complains."""
    if problem:
        return problem
    folder, source, image = job
    path = folder / str(image.file_name)
    with decoders_words() as said:
        read_image(path)
    return Problem("damaged image", f"{source} image {image.id}", f"{path}: {said[0]}") if said else None


def _picture_problem(folder: Path, source: str, image: LooseImage) -> Problem | None:
    where = f"{source} image {image.id}"
    if not isinstance(image.file_name, str) or not image.file_name or not size_of(image):
        given = f"file_name {image.file_name!r}, width {image.width!r}, height {image.height!r}"
        return Problem("malformed image", where, f"{given}; expected a name and two positive integers")
    path = folder / image.file_name
    if not path.is_file():
        return Problem("missing image", where, f"no file {path}")
    try:
        height, width = read_image(path).shape[:2]
    except UserError as error:
        return Problem("unreadable image", where, str(error))
    if (width, height) != size_of(image):
        return Problem(
            "wrong size",
            where,
            f"{path} is {width}x{height}; recorded as {image.width}x{image.height}"
            f"{turned(path, (width, height), size_of(image) or (0, 0))}",
        )
    return None
