"""One palette for plots and pages, and SVG made fit for a page: themed, unique IDs, no outside reference."""

from __future__ import annotations

import re
from html import escape

PALETTE = {
    "ink": ("#1d2229", "#e3e7ec"),
    "muted": ("#5a6470", "#9aa5b1"),
    "grid": ("#dfe3e8", "#2f363f"),
    "ground": ("#fefefd", "#15181d"),
    "tf": ("#b65005", "#f2a65e"),
    "torch": ("#1c63b5", "#7cb8ff"),
    "pass": ("#1f7a4d", "#6fcf97"),
    "fail": ("#b3202c", "#ff8f8a"),
    "noise": ("#7d3c98", "#cf9fe6"),
    "band": ("#d9e4f0", "#303d4d"),
    "part-a": ("#9ecae9", "#23506f"),
    "part-b": ("#f6d49a", "#6b4a12"),
    "part-c": ("#c3cbd4", "#46505c"),
    "part-d": ("#a5d6b4", "#24553a"),
    "part-e": ("#e7bfe0", "#5d3557"),
    "part-f": ("#f3efb0", "#57551a"),
}
"""Role -> colour on a light and on a dark ground. Orange and blue differ in hue and in lightness, so they
stay apart for every common kind of colour blindness and in grey; each has a contrast of 4.5 or more.
Pass and fail never differ in colour alone: a mark's shape or a word says it too."""

PARTS = ("part-a", "part-b", "part-c", "part-d", "part-e", "part-f")
"""Fills of what a whole is made of, in order: ink is legible on each, a gap parts them, and so a part is
told by its place and its label where its hue is not."""

LEFT, RIGHT, MIDDLE = "#16c8ae", "#ff7ab0", "#ffffff"
"""Limbs of a person's left, right and middle, on photographs in either theme."""


def light(role: str) -> str:
    """Return the colour of a role on a light ground."""
    return PALETTE[role][0]


def variables(theme: int) -> str:
    """Return the palette as CSS custom properties: theme 0 is light, 1 is dark."""
    return " ".join(f"--{role}: {colours[theme]};" for role, colours in PALETTE.items())


def inline(svg: str, name: str, title: str, description: str) -> str:
    """Return a matplotlib SVG as an element for a page.

    Its colours become the page's variables, its IDs start with `name`, its size gives way to the
    page's, and `title` and `description` are what a screen reader says.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', body)
    body = body[body.index(">") + 1 :]
    for role, (colour, _) in PALETTE.items():
        body = body.replace(colour, f"var(--{role})")
    body = re.sub(r"font: ?([\d.]+px) [^;\"]+", r"font-size: \1", body)
    body = re.sub(r"font-family: ?[^;\"]+;? ?", "", body)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace('xlink:href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    head = (
        f'<svg viewBox="{box.group(1) if box else "0 0 1 1"}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return head + body.strip()


def on_ground(svg: str) -> str:
    """Return a matplotlib SVG whose first shape, the figure's own, has the light ground instead of none."""
    return svg.replace('style="fill: none"', f'style="fill: {light("ground")}"', 1)


def with_tooltips(svg: str, tooltips: dict[str, str]) -> str:
    """Return the SVG with a <title> in each group whose ID is a key."""
    for gid, text in tooltips.items():
        svg = svg.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{escape(text)}</title>', 1)
    return svg
