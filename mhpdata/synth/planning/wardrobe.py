"""Draw the outfit of a person: visible parts, and the colours and patterns of skin, hair and cloth.

The rule: the appearance of a part identifies it. Skin, hair, cloth, leather and glass have distinct textures and
colours; colours, patterns and cut vary between persons. Shares of persons follow LV-MHP v1.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np

from mhpdata.synth.planning.draw import one_of, within

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """Material: its colour, its texture (``kind``) and the pattern printed on it in the accent colour."""

    color: RGB
    kind: str = "cloth"  # cloth, skin, hair, leather, plain
    pattern: str = "plain"  # plain, stripes, bars, checks, dots, denim, knit
    accent: RGB = (0.0, 0.0, 0.0)
    period: float = 0.02  # of the pattern, as a share of the stature
    angle: float = 0.0  # degrees


SKINS: tuple[RGB, ...] = (
    (244, 205, 180), (238, 190, 160), (228, 175, 140), (214, 158, 120), (196, 138, 100), (160, 106, 74),
    (124, 80, 56), (92, 60, 44),
)  # fmt: skip
HAIRS: tuple[RGB, ...] = (
    (28, 24, 24), (40, 30, 26), (64, 44, 32), (92, 62, 40), (128, 88, 52), (176, 136, 84), (206, 176, 120),
    (150, 146, 142), (120, 58, 34),
)  # fmt: skip
PANTS: tuple[RGB, ...] = (
    (46, 62, 98), (62, 84, 124), (92, 116, 154), (32, 34, 40), (50, 50, 54), (110, 108, 106), (168, 148, 116),
    (196, 184, 160), (226, 224, 218), (84, 78, 62), (98, 66, 48),
)  # fmt: skip
LEATHERS: tuple[RGB, ...] = (
    (34, 30, 30), (58, 40, 30), (98, 62, 38), (146, 98, 58), (150, 44, 44), (212, 206, 196), (70, 74, 84),
)  # fmt: skip


def _vary(rng: np.random.Generator, color: RGB, amount: float = 9.0) -> RGB:
    tone, r, g, b = (rng.standard_normal(4) * amount).tolist()
    return (
        within(color[0] + tone + 0.35 * r, 8, 248),
        within(color[1] + tone + 0.35 * g, 8, 248),
        within(color[2] + tone + 0.35 * b, 8, 248),
    )


def _choice(rng: np.random.Generator, colors: tuple[RGB, ...]) -> RGB:
    return _vary(rng, one_of(rng, colors))


def _cloth_color(rng: np.random.Generator) -> RGB:
    if rng.random() < 0.35:  # white, gray, black
        tone = one_of(rng, (28.0, 40.0, 90.0, 150.0, 225.0, 238.0))
        return _vary(rng, (tone, tone, tone), 6)
    sat = float(rng.beta(2.2, 2.2))
    r, g, b = colorsys.hsv_to_rgb(float(rng.random()), 0.15 + 0.75 * sat, float(rng.uniform(0.3, 0.95)))
    return 255 * r, 255 * g, 255 * b


def _cloth(rng: np.random.Generator, color: RGB | None = None, plain: float = 0.5) -> Surface:
    names = ("stripes", "bars", "checks", "dots", "knit")
    pattern = "plain" if rng.random() < plain else one_of(rng, names)
    color = color or _cloth_color(rng)
    light = sum(color) / 3 > 128
    accent = _vary(rng, (color[0] * 0.45, color[1] * 0.45, color[2] * 0.5), 10) if light else _cloth_color(rng)
    angle = float(rng.normal(0, 4)) + (45.0 if pattern == "checks" and rng.random() < 0.15 else 0.0)
    return Surface(color, "cloth", pattern, accent, float(rng.uniform(0.014, 0.05)), angle)


def _surfaces(rng: np.random.Generator) -> dict[str, Surface]:
    skin = _choice(rng, SKINS)
    dark = sum(skin) < 360
    hair = _choice(rng, HAIRS[:3] if dark or rng.random() < 0.45 else HAIRS)
    jeans = rng.random() < 0.4
    pants = _choice(rng, PANTS[:3] if jeans else PANTS)
    shoe = _choice(rng, LEATHERS) if rng.random() < 0.7 else _cloth_color(rng)
    return {
        "skin": Surface(skin, "skin"),
        "lips": Surface((min(skin[0] * 0.84 + 14, 255), skin[1] * 0.56, skin[2] * 0.56), "plain"),
        "shade": Surface((skin[0] * 0.78, skin[1] * 0.72, skin[2] * 0.7), "plain"),
        "brow": Surface((hair[0] * 0.7, hair[1] * 0.7, hair[2] * 0.7), "plain"),
        "white": Surface((232, 230, 226), "plain"),
        "iris": Surface((46, 34, 28), "plain"),
        "hair": Surface(hair, "hair"),
        "top": _cloth(rng),
        "inner": _cloth(rng, plain=0.8),
        "pants": Surface(pants, "cloth", "denim", (pants[0] * 0.6, pants[1] * 0.6, pants[2] * 0.65), 0.004)
        if jeans
        else _cloth(rng, pants, 0.85),
        "skirt": _cloth(rng, plain=0.45),
        "dress": _cloth(rng, plain=0.5),
        "belt": Surface(_choice(rng, LEATHERS), "leather"),
        "buckle": Surface((196, 178, 120), "plain"),
        "shoe": Surface(shoe, "leather"),
        "sole": Surface((214, 210, 202) if rng.random() < 0.4 else (40, 36, 34), "plain"),
        "hat": _cloth(rng, plain=0.75),
        "glass": Surface(_vary(rng, (24, 24, 30), 5), "plain"),
        "glint": Surface((120, 128, 140), "plain"),
        "scarf": _cloth(rng, plain=0.25),
        "bag": Surface(_choice(rng, LEATHERS), "leather"),
    }


def dress_person(rng: np.random.Generator, womanly: bool) -> dict[str, Any]:
    """Draw the fields of an Outfit: dress 20 %, skirt 10 %, else pants; hat 11.5 %, sunglasses, belt, bag 10 % each."""
    lower = rng.random()
    bottom = "dress" if lower < (0.36 if womanly else 0.04) else "pants"
    if womanly and bottom == "pants" and rng.random() < 0.31:
        bottom = "skirt"
    shorts = bottom == "pants" and rng.random() < 0.26
    jacket = rng.random() < 0.35
    warm = jacket or rng.random() < 0.3
    if bottom == "pants":
        length = float(rng.uniform(0.45, 1.15)) if shorts else float(rng.uniform(1.78, 2.0))
    else:
        length = float(rng.uniform(0.5, 1.2) if rng.random() < 0.8 else rng.uniform(1.3, 1.85))
    top = (
        "jacket" if jacket else "tank" if rng.random() < 0.15 else "crop" if womanly and rng.random() < 0.1 else "shirt"
    )
    if bottom == "dress" and not (jacket and rng.random() < 0.3):
        top = "dress"
    sleeve = float(rng.uniform(1.9, 2.0)) if warm else one_of(rng, (0.45, 0.6, 0.9, 1.4))
    if top == "tank" or (top == "dress" and rng.random() < 0.55):
        sleeve = 0.0
    hat = "" if rng.random() > 0.115 else one_of(rng, ("cap", "brim", "beanie"))
    styles = ("long", "bob", "tail", "bun", "short") if womanly else ("short", "short", "short", "bob")
    return {
        "top": top,
        "sleeve": sleeve,
        "low_neck": bool(rng.random() < (0.42 if womanly else 0.14)),
        "tucked": bool(top == "shirt" and rng.random() < 0.35),
        "bottom": bottom,
        "length": length,
        "flare": float(rng.uniform(0.7, 1.5)),
        "belt": bool(bottom != "dress" and rng.random() < 0.115) or bool(bottom == "dress" and rng.random() < 0.1),
        "shoe": "boot" if rng.random() < 0.12 else "none" if rng.random() < 0.03 else "shoe",
        "hair": "bald" if rng.random() < (0.0 if womanly else 0.06) else one_of(rng, styles),
        "hat": hat,
        "sunglasses": bool(rng.random() < 0.1),
        "scarf": bool(rng.random() < 0.023),
        "bag": "" if rng.random() > 0.105 else one_of(rng, ("hand", "cross")),
        "surfaces": _surfaces(rng),
    }
