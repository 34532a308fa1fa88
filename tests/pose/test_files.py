"""Files are whole or absent, whatever goes wrong while they are written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pose import files
from pose.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_file_has_its_content_and_the_usual_permissions(tmp_path):
    files.write_json(tmp_path / "new" / "folder" / "a.json", {"ä": [1, 2.5, None]})
    (tmp_path / "plain").touch()
    assert files.read_json(tmp_path / "new" / "folder" / "a.json", "x") == {"ä": [1, 2.5, None]}
    assert names(tmp_path / "new" / "folder") == ["a.json"]
    written = (tmp_path / "new" / "folder" / "a.json").stat().st_mode
    assert written == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("failure", [ValueError("x"), KeyboardInterrupt(), UserError("mine"), SystemExit(3)])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def write() -> None:
        with files.replacing(path) as temporary:
            temporary.write_text("half of the new")
            raise failure

    with pytest.raises(type(failure)):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_new_file_appears_only_at_the_end_under_a_name_of_the_same_suffix(tmp_path):
    path = tmp_path / "plot.svg"
    with files.replacing(path) as temporary:
        temporary.write_text("<svg/>")
        assert temporary.suffix == ".svg"
        assert temporary.parent == tmp_path
        assert not path.exists()
    assert names(tmp_path) == ["plot.svg"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-float("inf")]}, object()])
def test_what_is_no_json_is_refused_and_nothing_is_written(tmp_path, value):
    with pytest.raises((ValueError, TypeError)):
        files.write_json(tmp_path / "a.json", value)
    assert names(tmp_path) == []


def test_a_path_that_cannot_be_written_is_a_users_mistake(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="expected a writable folder with enough free space"):
        files.write_text(tmp_path / "file" / "below.txt", "x")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*folder\.txt"):
        files.write_text(tmp_path / "folder.txt", "x")
    assert names(tmp_path) == ["file", "folder.txt"]


def test_a_device_that_is_full_is_a_users_mistake(tmp_path):
    """Writing through /dev/full fails as a full disk does: ENOSPC."""
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def write() -> None:
        with files.replacing(path), open("/dev/full", "wb", buffering=0) as full:
            full.write(b"new")

    with pytest.raises(UserError, match=r"cannot write .*a\.txt: No space left on device"):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


LIMITED = """
import resource, sys
from pathlib import Path
from pose import files, weights
from pose.errors import UserError
import numpy as np
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
folder = Path(sys.argv[1])
for write in (
    lambda: files.write_bytes(folder / "a.bin", bytes(200_000)),
    lambda: weights.save(folder / "a.safetensors", {"x": np.zeros(50_000)}),
):
    try:
        write()
    except UserError as error:
        print(error)
"""


def test_a_file_cut_short_by_the_system_leaves_the_old_one(tmp_path):
    pytest.importorskip("resource", reason="limits on file sizes need POSIX")
    for name in ("a.bin", "a.safetensors"):
        (tmp_path / name).write_bytes(b"old")
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    words = "File too large; expected a writable folder with enough free space; nothing there was changed"
    assert [line.partition(": ")[2] for line in done.stdout.splitlines()] == [words] * 2
    assert names(tmp_path) == ["a.bin", "a.safetensors"]
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "a.safetensors").read_bytes() == b"old"


@pytest.mark.parametrize("content", [b"", b"{", b"[NaN]", b"\xff", b"{} {}"])
def test_what_is_not_json_is_a_users_mistake(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is not JSON .*expected a run"):
        files.read_json(tmp_path / "a.json", "a run")


def test_a_file_that_cannot_be_read_is_a_users_mistake(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match="expected a run"):
            files.read_bytes(path, "a run")
        with pytest.raises(UserError, match="cannot read"):
            files.sha256_of_file(path)


def test_checksums_of_bytes_and_files_agree(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert files.sha256_of_file(tmp_path / "a") == files.sha256_of_bytes(b"abc" * 100_000)
    # FIPS 180-2, appendix B.1.
    assert files.sha256_of_bytes(b"abc").startswith("ba7816bf8f01cfea")


def test_writing_leaves_the_umask_alone(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_json(tmp_path / "a.json", {})
        assert os.umask(0o027) == 0o027
        assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
    assert json.loads((tmp_path / "a.json").read_text()) == {}
