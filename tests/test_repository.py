"""What holds for the repository as a whole: what is tracked, the decisions' index, the mirrored twins."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DECISIONS = ROOT / "docs" / "decisions"
TESTS = ROOT / "tests"
IN_PROCESS = {"tf_impl", "torch_impl", "onnx_impl", "openvino_impl", "benchmarks"}
"""The folders whose tests load their framework themselves; they run when they are named."""
SKIPPED_BY_ITSELF = re.compile(
    r"importorskip\(.(?:tensorflow|keras|torch|onnx|openvino|nncf)|find_spec\([^,]*\) is (?:not )?None"
)
LARGEST_BYTES = 1_000_000
# A package index, by host or as an option (the brackets keep this file from naming one); and
# folders that exist on one machine only.
INDEX = re.compile(
    r"pypi\.(?:org|python)|python[h]osted|download\.pytorch|--(?:extra-)?index-url|--[f]ind-links"
)
MACHINE_PATH = re.compile(r"(?<![\w.}])/(?:home|root|Users|work|opt|mnt)/\w")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Return the files that git tracks; skip outside a checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def lines_matching(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """Return 'file:line: text' for every line of the text files among `paths` that matches."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        if b"\0" not in (raw := path.read_bytes())
        for number, line in enumerate(raw.decode("utf-8", errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_tracked_file_names_a_package_index(tracked: list[Path]):
    assert lines_matching(INDEX, tracked) == []


def test_no_tracked_file_names_a_path_of_one_machine(tracked: list[Path]):
    assert lines_matching(MACHINE_PATH, tracked) == []


def test_one_noun_is_one_class():
    """The implementations are not looked at: the twins' files mirror each other."""
    homes: dict[str, list[str]] = {}
    for package in ("pose", "bench", "reports", "twinpose"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_no_tracked_file_is_large(tracked: list[Path]):
    assert {str(path.relative_to(ROOT)) for path in tracked if path.stat().st_size > LARGEST_BYTES} == set()


def test_every_line_of_the_constraints_is_an_exact_pin():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    assert {"torch", "torchvision", "tensorflow", "keras", "openvino"} <= {pin.split("==")[0] for pin in pins}


def test_a_test_says_by_its_mark_that_it_needs_a_framework(tracked: list[Path]):
    """One that skips by itself runs nowhere: skipped where no framework is, not chosen where they are."""
    tests = [path for path in tracked if path.is_relative_to(TESTS) and path != TESTS / "conftest.py"]
    chosen = [path for path in tests if path.relative_to(TESTS).parts[0] not in IN_PROCESS]
    assert lines_matching(SKIPPED_BY_ITSELF, chosen) == []


def test_every_decision_is_listed_in_the_index():
    pages = sorted(page.name for page in DECISIONS.glob("*.md") if page.name != "README.md")
    listed = re.findall(r"\]\(([^)/]+\.md)\)", (DECISIONS / "README.md").read_text())
    assert listed == pages
    assert [page for page in pages if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page)] == []


def test_every_relative_link_in_the_docs_leads_somewhere(tracked: list[Path]):
    missing = []
    for page in (path for path in tracked if path.suffix == ".md"):
        links = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", page.read_text())
        missing += [
            f"{page.relative_to(ROOT)}: {x}" for x in links if ":" not in x and not (page.parent / x).exists()
        ]
    assert missing == []


ALONE = {"aot.py"}
"""What has no counterpart in the other framework: AOTInductor compiles modules of PyTorch alone."""
MIRRORED = sorted({path.name for path in (ROOT / "torch_impl").glob("*.py")} - ALONE)


def public_functions(path: Path) -> list[str]:
    """Return the names of the module's public functions, in the order they are written."""
    body = ast.parse(path.read_text()).body
    return [x.name for x in body if isinstance(x, ast.FunctionDef) and not x.name.startswith("_")]


def test_the_twins_have_the_same_files():
    tf, torch = ({path.name for path in (ROOT / twin).glob("*.py")} for twin in ("tf_impl", "torch_impl"))
    assert tf - ALONE == torch - ALONE == set(MIRRORED)


@pytest.mark.parametrize("name", MIRRORED)
def test_the_twins_have_the_same_public_functions_in_the_same_order(name: str):
    assert public_functions(ROOT / "tf_impl" / name) == public_functions(ROOT / "torch_impl" / name)


def test_the_citation_is_of_this_version_and_licence() -> None:
    """`cffconvert --validate` has the whole format; this keeps what is written twice the same."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["title"].lower() == project["name"]
    assert cited["keywords"] == project["keywords"]
