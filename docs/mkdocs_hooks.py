"""The repository's own pages join the site; links between them and docs/ lead as in the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

PAGES = {
    "README.md": "overview.md",  # an index.md is there, and a README.md would be the same page
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE",
}
"""By their name in the repository: where they lie in the site."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie beside docs/."""
    root = Path(config.config_file_path).parent
    for name, place in PAGES.items():
        files.append(File.generated(config, place, content=(root / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page whose links between the repository's pages and docs/ are those of the site."""
    place = page.file.src_uri
    if place in PAGES.values():
        markdown, up, down = markdown.replace("](docs/", "]("), "", ""
    else:
        up, down = "../" * (place.count("/") + 1), "../" * place.count("/")
    names = "|".join(map(re.escape, PAGES))
    return re.sub(rf"\]\({re.escape(up)}({names})\b", lambda link: f"]({down}{PAGES[link[1]]}", markdown)
