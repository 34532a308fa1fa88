"""What the documents name is there: files, modules, functions, links and commands.

The pages under docs/decisions are left out: they tell what was true when they were written.
"""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from typer.main import get_command

from twinpose.cli import app

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pose", "bench", "reports", "twinpose", "tf_impl", "torch_impl", "onnx_impl", "openvino_impl")
FOLDERS = (*PACKAGES, "configs", "docs", "tests", ".ci")
DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/decisions/README.md")),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "decisions"),
)
ENDINGS = ("", ".py", ".md", ".yaml", ".toml", ".j2", ".css")
"""Of the repository's own files; one that ends in .json or .npz is named as a file of a run."""


def spans(text: str) -> list[str]:
    """Return what stands in backticks in running text, and in blocks each line that is not indented.

    Indented is the inside of a run folder, or of a file.
    """
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    running = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.partition(" #")[0] for block in blocks for line in block.splitlines() if line[:1] != " "]
    return [*re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", running)), *lines]


def words(text: str) -> list[str]:
    """Return the words of a text's spans."""
    return [word for span in spans(text) for word in span.split()]


def paths(text: str) -> list[str]:
    """Return the repository's paths that a text names, {a,b} written out; what has no folder is none."""
    named = rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w.{{}},*/-]*"
    found = [word for word in words(text) if re.fullmatch(named, word)]
    return [path for word in found for path in _written_out(word) if Path(path).suffix in ENDINGS]


def _written_out(word: str) -> list[str]:
    parts = [part.strip("{}").split(",") for part in re.split(r"(\{[^}]*\})", word)]
    return ["".join(chosen) for chosen in product(*parts)]


def names(text: str) -> list[str]:
    """Return the dotted names below our packages in a text, without call brackets; "module:name" too."""
    named = rf"((?:{'|'.join(PACKAGES)})(?:[.:]\w+)+)(?:\(.*\))?"
    matches = [re.fullmatch(named, word) for word in words(text)]
    found = [match.group(1).replace(":", ".") for match in matches if match]
    return [name for name in found if not name.endswith((".json", ".jsonl"))]


def unknown(command: str) -> list[str]:
    """Return what of a command line `twinpose` does not know: its verb, or options of the verb."""
    found, rest = get_command(app), command.split()[1:]
    while hasattr(found, "commands") and rest and not rest[0].startswith("-"):
        if rest[0] not in found.commands:
            return [] if rest[0].isupper() else rest[:1]
        found = found.commands[rest.pop(0)]
    known = {option for one in found.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    return [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]


def resolves(name: str) -> bool:
    """Return whether a dotted name is a module, or something that one defines at its top or in a class."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module = _module(parts[:count])
        if module:
            return _defines(_defined(module), parts[count:])
    return False


def _module(parts: list[str]) -> Path | None:
    path = ROOT.joinpath(*parts)
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@cache
def _defined(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def _defines(scope: ast.AST, rest: list[str]) -> bool:
    if not rest:
        return True
    for node in getattr(scope, "body", ()):
        if rest[0] in _named(node):
            return len(rest) == 1 or (isinstance(node, ast.ClassDef) and _defines(node, rest[1:]))
    return False


def _named(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []


def _id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", DOCUMENTS, ids=_id)
def test_every_path_that_a_document_names_is_there(page: Path) -> None:
    found = paths(page.read_text(encoding="utf-8"))
    assert not [path for path in found if not any(ROOT.glob(path.rstrip("/")))]


@pytest.mark.parametrize("page", DOCUMENTS, ids=_id)
def test_every_module_and_function_that_a_document_names_is_there(page: Path) -> None:
    assert not [name for name in names(page.read_text(encoding="utf-8")) if not resolves(name)]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_and_function_that_a_docstring_names_is_there(package: str) -> None:
    named = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:[.:]\w+)+)(?:\(.*?\))?`")
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / package).rglob("*.py")}
    found = [(path, name.replace(":", ".")) for path, text in sources.items() for name in named.findall(text)]
    assert not [(str(path), name) for path, name in found if not resolves(name)]


@pytest.mark.parametrize("page", DOCUMENTS, ids=_id)
def test_every_link_of_a_document_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    here = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert not [link for link in here if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", DOCUMENTS, ids=_id)
def test_every_make_target_and_every_option_that_a_document_names_is_one(page: Path) -> None:
    said = spans(page.read_text(encoding="utf-8"))
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    made = [word for line in said if line.startswith("make ") for word in line.split()[1:]]
    assert not [word for word in made if word not in targets]
    assert not [(line, unknown(line)) for line in said if line.startswith("twinpose ") and unknown(line)]


@pytest.mark.parametrize("page", DOCUMENTS, ids=_id)
def test_a_mark_that_a_document_gives_pytest_is_on_tests_of_that_file(page: Path) -> None:
    said = re.findall(r"pytest -m (\w+) (tests/[\w/]+\.py)", page.read_text(encoding="utf-8"))
    assert not [(mark, file) for mark, file in said if f"pytest.mark.{mark}" not in (ROOT / file).read_text()]


def test_the_picture_of_the_floors_is_that_of_the_import_contracts() -> None:
    picture = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("```")[1]
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    for contract in config["contracts"]:
        for container in contract.get("containers", ()):
            box = re.search(rf"┌─ {container} ─+┐\n(.*?)\n└", picture, re.DOTALL)
            assert box, container
            # A floor is followed by blanks, or by an arrow.
            floors = [
                re.split(r"  | <| - ", line.removeprefix("│ "))[0] for line in box.group(1).splitlines()
            ]
            assert floors == [floor.replace(" | ", " · ") for floor in contract["layers"]]


def test_every_room_has_a_line_on_the_page_of_the_architecture() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = [folder.parent for top in ("bench", "reports") for folder in (ROOT / top).rglob("*/__init__.py")]
    named = {path.rstrip("/") for path in paths(page)}
    assert {str(room.relative_to(ROOT)) for room in rooms} <= named | {"bench", "reports"}


def test_what_is_nowhere_is_told_from_what_is_there() -> None:
    there = ("pose.heatmap.decode", "bench.contract.Runner.infer", "bench.contract.STRICT_ENVIRONMENT")
    nowhere = ("pose.heatmap.decodes", "bench.nowhere", "bench.contract.Runner.infers")
    assert [resolves(name) for name in (*there, *nowhere)] == [True] * 3 + [False] * 3
    text = "`pytest pose/{coco,nothing}.py -s` and\n`pose.nothing.at_all()`; of a run: `bench/bench.json`"
    assert paths(text) == ["pose/coco.py", "pose/nothing.py"]
    assert names(text) == ["pose.nothing.at_all"]
    assert unknown("twinpose bench RUN --list --nothing=1 -k x") == ["--nothing=1"]
    assert unknown("twinpose weights nothing") == ["nothing"]
