"""The last line that a user sees: after a full disk, a closed pipe, Ctrl-C, a wrong path."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import mini_coco
import pytest
from commands import Ended, Say

from bench.parity import gate
from bench.run import bench_file
from bench.run import folder as folder_
from bench.run.folder import RunFolder
from bench.stages import order
from pose.errors import UserError
from pose.files import require_writable, write_json, write_text
from twinpose import cli

ROOT = Path(__file__).resolve().parents[2]
BENCHED = ROOT / "tests" / "golden" / "schema_2"


def shell(line: str, folder: Path = ROOT, **variables: str) -> Ended:
    """Run a line of a shell in which `twinpose` is the command."""
    define = f'twinpose() {{ {shlex.quote(sys.executable)} -m twinpose "$@"; }}; '
    env = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(["bash", "-c", define + line], cwd=folder, env=env, capture_output=True, text=True)
    return Ended(done.returncode, done.stdout, done.stderr)


# Streams


def test_a_full_standard_output_is_one_line() -> None:
    ended = shell("twinpose reproduce > /dev/full")
    assert (ended.code, ended.error.count("\n")) == (2, 1)
    assert ended.error.startswith("twinpose: cannot write to standard output: No space left on device")


@pytest.mark.parametrize("end", ["| head -0; exit ${PIPESTATUS[0]}", ">&-"])
def test_nobody_who_reads_is_no_mistake(end: str) -> None:
    ended = shell(f"twinpose reproduce {end}")
    assert (ended.code, ended.error) == (0, "")


def test_what_the_output_cannot_encode_is_escaped(coco: Path, tmp_path: Path) -> None:
    shutil.copytree(coco, tmp_path / "Größe")
    next((tmp_path / "Größe" / "train2017").iterdir()).unlink()
    ended = shell("twinpose data check --coco Größe", tmp_path, PYTHONIOENCODING="ascii")
    assert ended.code == 1
    assert "Gr\\xf6\\xdfe" in ended.out
    assert "Traceback" not in ended.error


# Ctrl-C


def test_an_interrupt_is_said_in_one_line(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("twinpose.compare.reproduce_.tables", interrupt)
    line = "twinpose: interrupted; the same command goes on where it stopped\n"
    assert say("reproduce") == Ended(130, "", line)


# The command itself


def test_the_version_is_said(say: Say) -> None:
    assert say("--version") == Ended(0, f"twinpose {cli.__version__}\n", "")


@pytest.mark.parametrize("words", [[], ["data"], ["model"], ["weights"]])
def test_no_verb_is_a_sentence(say: Say, words: list[str]) -> None:
    assert say(*words).error.startswith("twinpose: no verb was given; ")


@pytest.mark.parametrize("file", ["bench/__init__.py", "pose.py"])
def test_a_package_of_another_project_under_our_name_is_one_line(file: str, tmp_path: Path) -> None:
    write_text(tmp_path / file, "import nothing_of_ours")
    ended = shell("twinpose reproduce", Path("/"), PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (ended.code, ended.error.count("\n")) == (2, 1)
    assert f"in {tmp_path / file}, expected {ROOT}" in ended.error


def test_folders_called_as_our_packages_do_not_matter(tmp_path: Path) -> None:
    for name in ("bench", "pose", "twinpose", "reports"):
        (tmp_path / name).mkdir()
    assert shell("twinpose --version", tmp_path).code == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_what_the_file_system_refuses_is_one_line(
    say: Say, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse() -> None:
        raise OSError(number, os.strerror(number), "a/file")

    monkeypatch.setattr("twinpose.compare.reproduce_.tables", refuse)
    ended = say("reproduce")
    assert (ended.code, ended.error.count("\n")) == (2, 1)
    assert ended.error.startswith(f"twinpose: a/file: {os.strerror(number)}; ")
    monkeypatch.setattr(sys, "argv", ["twinpose", "-v", "reproduce"])
    with pytest.raises(OSError, match="a/file"):
        cli.main()


# What is written


def test_what_cannot_be_written_is_noticed_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").touch()
    os.mkfifo(tmp_path / "pipe")
    refused = {
        "-": "expected a path",
        tmp_path: "is a folder",
        tmp_path / "pipe": "no file that can be replaced",
        "/dev/null": "no file that can be replaced",
        tmp_path / "file" / "below.json": "Not a directory",
        "/proc/p.json": "cannot write /proc/p.json",
        tmp_path / "images" / ".." / "file": "would overwrite it",
        tmp_path / "images" / "1.jpg": "would overwrite it",
    }
    for out, said in refused.items():
        with pytest.raises(UserError, match=said):
            require_writable(Path(out), but_not=[tmp_path / "file", tmp_path / "images"])
    for out in ("new.json", "images/new.json", "a/new/folder/p.json", "file"):
        require_writable(tmp_path / out, but_not=[tmp_path / "images"])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "images", "pipe"]


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "--runtime", "torch", "--weights", "{w}", "--recipe", "smoke", "--coco", "{c}", "--out"],
        [
            *["predict", "--runtime", "torch", "--weights", "{w}", "--recipe", "smoke", "--coco", "{c}"],
            *["--out", "p.json", "--heatmaps"],
        ],
        ["data", "split", "--recipe", "smoke", "--coco", "{c}", "--out"],
        ["data", "sample", "--recipe", "smoke", "--coco", "{c}", "--ann", "1", "--out"],
        ["data", "make", "--out", "new", "--train-images", "2", "--val-images", "2", "--contact-sheet"],
        ["weights", "import", "imagenet", "--recipe", "smoke", "--out"],
        ["weights", "export", "{w}", "--recipe", "smoke", "--out"],
        ["bench", str(BENCHED), "--parquet"],
    ],
)
def test_every_verb_that_writes_asks_before_its_work(
    say: Say, words: list[str], coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.safetensors").touch()
    given = [word.format(w=tmp_path / "w.safetensors", c=coco) for word in words]
    ended = say(*given, tmp_path)
    assert (ended.code, ended.error) == (
        2,
        f"twinpose: {tmp_path} is a folder; expected the path of a file to write\n",
    )
    assert [one.name for one in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize("verb", [["split"], ["sample", "--ann", "1"]])
def test_no_verb_overwrites_the_annotations_that_it_reads(say: Say, coco: Path, verb: list[str]) -> None:
    file = coco / "annotations" / "person_keypoints_val2017.json"
    before = file.read_bytes()
    ended = say("data", *verb, "--recipe", "smoke", "--coco", coco, "--out", file)
    assert ended.code == 2
    assert "is read by this command, which would overwrite it" in ended.error
    assert file.read_bytes() == before


def test_eval_does_not_take_a_run_and_other_data(say: Say, run: RunFolder, tmp_path: Path) -> None:
    mini_coco.build(tmp_path / "other")
    for words, told in (
        (["--coco", tmp_path / "other"], "is another data set"),
        (["--coco", tmp_path / "other", "--predictions", "p.json"], "with a RUN or with --coco, not both"),
        (["--recipe", "smoke"], "without --recipe"),
    ):
        ended = say("eval", run.path, *words)
        assert (ended.code, ended.error.count("\n")) == (2, 1)
        assert told in ended.error
    assert "--predictions with --split val" in say("eval", run.path, "--split", "val").error


# Commands to type, and locks


def test_a_command_to_type_survives_a_shell(run: RunFolder) -> None:
    with pytest.raises(UserError, match=r"twinpose bench '.*a run'"):
        bench_file.required(run.path)
    for stage in order.sequence(run):
        assert str(run.path) in shlex.split(stage.command)
    write_text(run.path / "parity.json", "{}")
    with pytest.raises(UserError, match=r"twinpose parity '.*a run'"):
        gate.of_run(run.path)


def test_what_only_reads_a_run_does_not_take_its_lock(say: Say, run: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(BENCHED / "bench", run.path / "bench")
    write_json(run.train_folder("torch") / "summary.json", {"best_epoch": 1})
    before = set(run.path.rglob("*"))
    with open(run.path / folder_.LOCK, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert say("bench", run.path, "--matrix", "smoke", "--list").code == 0
        assert say("report", run.path, "--out", tmp_path / "report").code == 0
        assert set(run.path.rglob("*")) - before == {run.path / folder_.LOCK}
        ended = say("report", run.path)
        assert ended.code == 0
        assert "no sample images: another twinpose process works on" in ended.error
        pytest.importorskip("pyarrow")
        assert say("bench", run.path, "--parquet", tmp_path / "p.parquet").code == 0


def test_a_report_elsewhere_replaces_nothing_but_a_report(say: Say, run: RunFolder, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "tables" / "thesis.csv"
    write_text(mine, "precious")
    ended = say("report", run.path, "--out", tmp_path / "mine")
    assert (ended.code, mine.read_text()) == (2, "precious")
    assert "exists and is no report" in ended.error
    assert say("report", run.path, "--out", tmp_path / "new").code == 0
    write_text(tmp_path / "new" / "tables" / "stale.csv", "")
    assert say("report", run.path, "--out", tmp_path / "new").code == 0
    assert not (tmp_path / "new" / "tables" / "stale.csv").exists()
