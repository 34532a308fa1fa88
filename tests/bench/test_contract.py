"""What the harness and the implementations agree on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import contract
from bench.doctor import clashes


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="clang++ is the default elsewhere")
@pytest.mark.parametrize(
    ("cxx", "there", "found"),
    [
        (None, "g++", True),
        (None, "clang++", False),
        (None, "c++", False),
        ("", "g++", True),
        ("clang++", "clang++", True),
        ("clang++", "g++", False),
        ("clang++ -stdlib=libc++", "clang++", True),
    ],
)
def test_the_compiler_is_the_one_that_torch_would_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cxx: str | None, there: str, found: bool
):
    (tmp_path / there).write_text("#!/bin/sh\n")
    (tmp_path / there).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", cxx) if cxx is not None else monkeypatch.delenv("CXX", raising=False)
    assert contract.cxx_compiler() == (str(tmp_path / there) if found else None)
    assert any("C++ compiler" in f.what for f in clashes.compiler()) is not found
