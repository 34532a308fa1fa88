"""What a person wears and looks like, drawn at random."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from pose.synthetic.draws import pick
from pose.synthetic.solids import Material
from pose.synthetic.textures import Colour

_SKINS: tuple[Colour, ...] = (
    (0.95, 0.80, 0.70), (0.90, 0.72, 0.60), (0.83, 0.63, 0.49), (0.72, 0.52, 0.39),
    (0.60, 0.42, 0.31), (0.47, 0.32, 0.24), (0.36, 0.25, 0.19),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (0.10, 0.08, 0.07), (0.17, 0.12, 0.09), (0.30, 0.20, 0.13), (0.43, 0.29, 0.17),
    (0.70, 0.55, 0.33), (0.60, 0.30, 0.15), (0.66, 0.65, 0.63),
)  # fmt: skip


@dataclass(frozen=True)
class Outfit:
    """Materials and cuts. Lengths are fractions of the segment they cover, 0 to 1."""

    skin: Material
    face: Material
    hair: Material
    hair_style: str
    hat: Material | None
    top: Material
    sleeve: Material
    sleeve_length: float
    trousers: Material
    trouser_length: float
    skirt: Material | None
    skirt_length: float
    shoe: Material
    sole: Material
    belt: Material | None
    bag: Material | None
    looseness: float


def sample_outfit(rng: np.random.Generator) -> Outfit:
    """Return one person's look."""
    skin = _jitter(rng, _SKINS[int(rng.integers(len(_SKINS)))], 0.03)
    hair = _jitter(rng, _HAIRS[int(rng.integers(len(_HAIRS)))], 0.03)
    styles = ("short", "short", "long", "bun", "tail", "bob", "bald")
    top = _top(rng)
    legs = _cloth(rng, ("plain", "jeans", "jeans", "plain", "stripes", "checks"), dark=0.55)
    dress = rng.random() < 0.16
    skirt = None
    if dress:
        skirt = top if rng.random() < 0.5 else _cloth(rng, ("plain", "checks", "rings", "dots"), dark=0.3)
    shoe = _shoe(rng)
    return Outfit(
        skin=Material(skin, gloss=0.06, mottle=0.03),
        face=Material(skin, hair, "face", gloss=0.05, mottle=0.02),
        hair=Material(hair, gloss=0.12, mottle=0.25),
        hair_style=styles[int(rng.integers(len(styles)))],
        hat=_cloth(rng, ("plain", "rings"), dark=0.4) if rng.random() < 0.22 else None,
        top=top,
        sleeve=Material(
            top.colour, top.second, top.pattern if top.pattern in _REPEATING else "plain", top.period_m
        )
        if rng.random() < 0.85
        else _cloth(rng, ("plain",), dark=0.3),
        sleeve_length=_SLEEVES[pick(rng, _SLEEVE_WEIGHTS)],
        trousers=legs,
        trouser_length=(0.25, 0.36, 0.46, 0.75, 1.0)[pick(rng, (0.07, 0.14, 0.13, 0.06, 0.6))]
        if not dress
        else float(rng.choice([0.1, 0.1, 1.0])),
        skirt=skirt,
        skirt_length=rng.uniform(0.45, 1.15),
        shoe=shoe,
        sole=Material((0.9, 0.9, 0.88) if rng.random() < 0.6 else (0.12, 0.11, 0.1)),
        belt=Material((0.2, 0.13, 0.08)) if not dress and rng.random() < 0.5 else None,
        bag=_cloth(rng, ("plain", "panel"), dark=0.4) if rng.random() < 0.12 else None,
        looseness=rng.uniform(1.0, 1.22),
    )


_REPEATING = ("plain", "rings", "stripes", "checks", "dots")
_SLEEVES = (0.0, 0.25, 0.3, 0.36, 0.9, 1.0, 1.0)
_SLEEVE_WEIGHTS = (0.1, 0.15, 0.15, 0.15, 0.1, 0.2, 0.15)


def _top(rng: np.random.Generator) -> Material:
    kinds = ("plain", "rings", "stripes", "checks", "dots", "shirt", "jacket", "print")
    kind = kinds[pick(rng, (0.22, 0.13, 0.06, 0.12, 0.05, 0.16, 0.14, 0.12))]
    cloth = _cloth(rng, (kind,), dark=0.25)
    whole = {"shirt": 0.125, "jacket": 0.17, "print": 0.14}
    return Material(cloth.colour, cloth.second, kind, whole.get(kind, rng.uniform(0.07, 0.17)), mottle=0.1)


def _cloth(rng: np.random.Generator, patterns: tuple[str, ...], *, dark: float) -> Material:
    """A fabric in a random colour; `dark` is the chance of a dark or muted one."""
    first = _fabric(rng, dark)
    second = _fabric(rng, 1 - dark)
    if abs(sum(first) - sum(second)) < 0.5:
        second = tuple(1 - 0.8 * c if sum(first) > 1.4 else 0.35 + 0.65 * c for c in first)  # type: ignore[assignment]
    pattern = patterns[int(rng.integers(len(patterns)))]
    if pattern == "jeans":
        first = _jitter(rng, (0.2, 0.28, 0.45), 0.1)
        return Material(first, (0.75, 0.8, 0.88), "jeans", 0.07, mottle=0.12)
    return Material(first, second, pattern, rng.uniform(0.06, 0.16), mottle=0.1)


def _fabric(rng: np.random.Generator, dark: float) -> Colour:
    if rng.random() < dark:
        return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.45), rng.uniform(0.1, 0.4))
    if rng.random() < 0.25:
        return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.12), rng.uniform(0.75, 0.97))
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.3, 0.85), rng.uniform(0.45, 0.95))


def _shoe(rng: np.random.Generator) -> Material:
    colours: tuple[Colour, ...] = (
        (0.08, 0.08, 0.09),
        (0.3, 0.2, 0.13),
        (0.9, 0.9, 0.9),
        (0.7, 0.12, 0.12),
        (0.15, 0.25, 0.55),
    )
    return Material(_jitter(rng, colours[int(rng.integers(len(colours)))], 0.06), gloss=0.12)


def _jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    r, g, b = np.clip(
        np.array(colour) + rng.uniform(-amount, amount, 3) + rng.uniform(-amount, amount), 0.02, 0.98
    )
    return float(r), float(g), float(b)
