"""Known weights of other programs: label set, input and licence of each, and presets of the input for ONNX files.

The entries are data: the weights themselves are not part of mhp. Sources: the README and ``simple_extractor.py`` of
https://github.com/GoGoDuck912/Self-Correction-Human-Parsing (MIT). That program reads images as BGR and normalises by
ImageNet's mean and deviation in that order.

Importing this module imports no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mhpmodels.networks.preprocessing import IMAGENET, Preprocessing

SCHP = "schp"
"""Name of the network of Self-Correction for Human Parsing (``mhpmodels.networks.schp``)."""


@dataclass(frozen=True)
class Known:
    """Weights that mhp knows.

    Attributes:
        name: name of the entry.
        model: its network: SCHP.
        labels: name of its label set.
        outputs: number of the network's outputs.
        preprocessing: what the network expects of its input.
        source: where the weights come from.
        licence: terms of code, weights and training data, as far as their authors state them.
    """

    name: str
    model: str
    labels: str
    outputs: int
    preprocessing: Preprocessing
    source: str
    licence: str


def _schp(labels: str, outputs: int, side: int, data: str, file: str) -> Known:
    return Known(
        f"schp-{labels}",
        SCHP,
        labels,
        outputs,
        Preprocessing(bgr=True, size=(side, side), fit="pad"),
        f"{file}, https://github.com/GoGoDuck912/Self-Correction-Human-Parsing",
        f"code MIT; none stated for the weights; trained on {data}, see the terms of this dataset",
    )


KNOWN = {
    one.name: one
    for one in (
        _schp("lip", 20, 473, "LIP", "exp-schp-201908261155-lip.pth"),
        _schp("atr", 18, 512, "ATR", "exp-schp-201908301523-atr.pth"),
        _schp("pascal-person-part", 7, 512, "PASCAL-Person-Part", "exp-schp-201908270938-pascal-person-part.pth"),
    )
}
"""{name: weights}."""

PRESETS = {
    "imagenet": IMAGENET,
    "half": Preprocessing(mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5)),
    "unit": Preprocessing(mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0)),
    "schp": Preprocessing(bgr=True, fit="pad"),
}
"""{name: input of ONNX files that do not describe it}: ImageNet's mean and deviation, -1..1, 0..1, or SCHP's."""


def facts_line(facts: Mapping[str, Any]) -> str:
    """Return what ``foreign_facts`` says, as one line of text."""
    given = facts["preprocessing"]
    size = given["size"] if isinstance(given["size"], str) else " x ".join(map(str, given["size"]))
    size += " (height x width)" if not isinstance(given["size"], str) and len(set(given["size"])) > 1 else ""
    fit = f", {given['fit']}" if given["fit"] else ""
    numbers = "; ".join(", ".join(f"{x:g}" for x in given[key]) for key in ("mean", "deviation"))
    return (
        f"Network: {facts['name']}, {facts['outputs']} classes of {facts['labels']}; input {size}{fit}, "
        f"{given['channels']}, normalised by {numbers}. Licence: {facts['licence']}."
    )


def known_by_outputs(model: str, outputs: int) -> Known | None:
    """Return the known weights of a network with this number of outputs; None if there are none, or several."""
    found = [one for one in KNOWN.values() if (one.model, one.outputs) == (model, outputs)]
    return found[0] if len(found) == 1 else None


def foreign_facts(
    name: str, labels: str, outputs: int, preprocessing: Preprocessing, licence: str, source: str
) -> dict[str, Any]:
    """Return what ``ForeignPredictor.describe`` says of the weights, as JSON types.

    Args:
        name: what they are, such as "schp-lip" or the model type of a file.
        labels: name of the label set.
        outputs: number of the network's outputs.
        preprocessing: what the network expects of its input.
        licence: their licence; "" if it is not known.
        source: where they come from; "" if it is not known.
    """
    return {
        "name": name,
        "labels": labels,
        "outputs": outputs,
        "preprocessing": preprocessing.as_dict(),
        "licence": licence or "not known to mhp",
        "source": source or "not known to mhp",
    }
