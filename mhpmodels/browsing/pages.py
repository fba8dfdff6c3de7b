"""The page of a site: our own HTML, CSS and JavaScript, and the list of its layers.

The files of assets/ are copied as they are; only index.html has two places to fill, both escaped.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from mhpdata.filesystem.regular import read_regular
from mhpdata.storage.manifest import Manifest
from mhpdata.terms import licence_line
from mhpdata.wording import printable
from mhpmodels.browsing.site_folder import SCRIPT_START
from mhpmodels.figures.colours import picture_palette
from mhpmodels.figures.panels import CONFLICTING, EQUAL
from mhpmodels.files.output import SITE_START

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("data.js", "data/site.js", "data/samples.js", "filter.js", "grid.js", "sample.js", "page.js")
STYLE = "browse.css"


class Layer(NamedTuple):
    """A layer of samples at full size.

    Attributes:
        id: name of its file, without suffix.
        title: what the page calls it.
        kind: "image", "labels", "persons" or "marks".
        legend: pairs (text, colour) of marks.
    """

    id: str
    title: str
    kind: str
    legend: tuple[tuple[str, tuple[int, int, int]], ...] = ()

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.id}.{'jpg' if self.kind == 'image' else 'png'}"


def index_page(title: str, licence: str) -> bytes:
    """Return index.html."""
    text = read_regular(ASSETS / "index.html", 1 << 20).decode()
    scripts = "".join(f'<script src="{name}" defer></script>\n' for name in SCRIPTS)
    filled = text.replace("{{title}}", escape(printable(title))).replace("{{licence}}", escape(printable(licence)))
    return f"{SITE_START}\n{filled.replace('{{scripts}}', scripts)}".encode()


def assets() -> dict[str, bytes]:
    """Return the style sheet and the scripts by name."""
    names = [STYLE, *(name for name in SCRIPTS if "/" not in name)]
    return {name: SCRIPT_START.encode() + read_regular(ASSETS / name, 1 << 20) for name in names}


def licence_text(manifest: Manifest) -> bytes:
    """Return LICENCE.txt: the licence of the images, and how to cite them."""
    lines = [licence_line(manifest.licence)]
    if manifest.citation:
        lines += ["", f"Cite: {manifest.citation}"]
    return ("\n".join(map(printable, lines)) + "\n").encode()


def classes_of(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the names and colours of the classes, for JSON."""
    palette = picture_palette(manifest.labels)
    return [{"name": printable(name), "color": palette[label].tolist()} for label, name in enumerate(manifest.classes)]


def layer_table(
    different: tuple[int, int, int], rules: tuple[str, str | None], other: str, models: list[str]
) -> list[Layer]:
    """Return the layers of a site, in the order in which the page lists them.

    Args:
        different: colour of pixels that differ.
        rules: overlap rule of the pack, and the second one or None.
        other: name of the other pack; "" for none.
        models: names of the predictions.
    """
    errors = (("prediction is wrong", CONFLICTING),)
    differ = (("labels differ", different),)
    layers = [
        Layer("image", "Image", "image"),
        Layer("labels", "Labels", "labels"),
        Layer("persons", "Persons", "persons"),
        Layer("overlaps", "Overlaps", "marks", (("same label", EQUAL), ("labels conflict", CONFLICTING))),
    ]
    if rules[1] is not None:
        layers += [
            Layer("labels_rule", f"Labels, rule {rules[1]}", "labels"),
            Layer("persons_rule", f"Persons, rule {rules[1]}", "persons"),
            Layer("rules", f"{rules[0]} and {rules[1]} differ", "marks", differ),
        ]
    if other:
        layers += [
            Layer("image_other", f"Image of {other}", "image"),
            Layer("labels_other", f"Labels of {other}", "labels"),
            Layer("persons_other", f"Persons of {other}", "persons"),
            Layer("changed", f"Differs from {other}", "marks", differ),
        ]
    for number, model in enumerate(models, 1):
        layers += [
            Layer(f"pred_{number}", f"Prediction {model}", "labels"),
            Layer(f"wrong_{number}", f"Wrong in {model}", "marks", errors),
        ]
    if len(models) > 1:
        layers.append(Layer("models", "Predictions differ", "marks", differ))
    return layers
