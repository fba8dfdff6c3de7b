"""Open a folder in the form of Hugging Face's hub: network, preprocessing and names of the classes.

::

    config.json                 architecture and, under id2label, the classes
    preprocessor_config.json    size and normalisation of the images
    model.safetensors           weights (``mhpmodels.networks.hf.tensors``)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from mhpdata.errors import CheckpointError
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.labels import IGNORE
from mhpdata.wording import either
from mhpmodels.hub_folder import CONFIG, read_object
from mhpmodels.networks.hf.segformer import open_segformer
from mhpmodels.networks.mask2former.network import open_mask2former
from mhpmodels.networks.preprocessing import Preprocessing

PREPROCESSOR = "preprocessor_config.json"
OPENERS: dict[str, Callable[[Mapping[str, Any], int, Path], nn.Module]] = {
    "segformer": open_segformer,
    "mask2former": open_mask2former,
}
"""{model_type: function that builds the network from config.json, number of classes and folder, with its weights}."""
_COPY = "Copy the file again from its source."


class Opened(NamedTuple):
    """A network of a folder.

    Attributes:
        network: torch module with its weights, on the CPU; it returns logits at the size of the images.
        preprocessing: the input that it expects; None if the folder does not say it.
        names: names of its classes.
        kind: its model_type.
        persons: whether it finds persons; the network then returns a pair of (logits,) and maps.
    """

    network: nn.Module
    preprocessing: Preprocessing | None
    names: tuple[str, ...]
    kind: str
    persons: bool = False


class Main(nn.Module):
    """A network reduced to its main output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        found = self.network(x)
        while not isinstance(found, Tensor):
            found = found[0]
        return found


def open_folder(path: str | Path) -> Opened:
    """Open a folder.

    Raises:
        CheckpointError: a file is missing or damaged, the architecture is unknown, or the weights do not fit it.
        MissingError: transformers is not installed.
    """
    folder = Path(path).expanduser()
    content = read_object(folder / CONFIG)
    kind = content.get("model_type")
    if not isinstance(kind, str) or kind not in OPENERS:
        remedy = "Pass the folder of such a network, or export yours to ONNX and pass the .onnx file."
        raise CheckpointError(folder / CONFIG, f"model_type is {str(kind)[:80]!r}", either(tuple(OPENERS)), remedy)
    names = class_names(content, folder / CONFIG)
    beside = folder / PREPROCESSOR
    given = preprocessing_of(read_object(beside), beside) if beside.exists() else None
    network = OPENERS[kind](content, len(names), folder)
    persons = getattr(network, "person", None) is not None
    return Opened(network if persons else Main(network), given, names, kind, persons)


def class_names(content: Mapping[str, Any], place: Path) -> tuple[str, ...]:
    """Return the names of the classes in order. Raises CheckpointError."""
    named = content.get("id2label")
    expected = f'id2label with 2 to {IGNORE} names by "0", "1", and so on'
    if not isinstance(named, dict) or not 2 <= len(named) <= IGNORE:
        raise CheckpointError(place, "names no classes", expected, _COPY)
    names = [named.get(str(label)) for label in range(len(named))]
    if not all(isinstance(name, str) and name for name in names):
        raise CheckpointError(place, "its classes are not numbered in order", expected, _COPY)
    return tuple(str(name)[:80] for name in names)


def preprocessing_of(content: Mapping[str, Any], place: Path) -> Preprocessing:
    """Return the preprocessing that a ``preprocessor_config.json`` describes.

    transformers computes (value * rescale_factor - image_mean) / image_std at ``size``; fields that are missing have
    its defaults for SegFormer.

    Raises:
        CheckpointError: a value has another form, or the image is cut.
    """
    if content.get("do_center_crop"):
        remedy = "Export the network to ONNX with its own program, and pass the .onnx file."
        raise CheckpointError(place, "do_center_crop is set", "a network that sees whole images", remedy)
    factor = _number(content.get("rescale_factor", 1 / 255), f"{place}, rescale_factor")
    scale = 255 * factor if content.get("do_rescale", True) else 255.0
    if not 0 < scale <= 65025:
        raise CheckpointError(f"{place}, rescale_factor", f"{factor}", "a number above 0", _COPY)
    mean, deviation = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if content.get("do_normalize", True):
        mean = _three(content.get("image_mean", list(MEAN)), f"{place}, image_mean")
        deviation = _three(content.get("image_std", list(DEVIATION)), f"{place}, image_std")
        if min(deviation) <= 0:
            raise CheckpointError(f"{place}, image_std", f"{list(deviation)}", "3 numbers above 0", _COPY)
    size: tuple[int, int] | None = None
    short: int | None = 0
    if content.get("do_resize", True):
        size, short = _size(content.get("size", 512), f"{place}, size")
    mean, deviation = _scaled(mean, scale), _scaled(deviation, scale)
    return Preprocessing(mean, deviation, size=size, multiple=32, short=short)


def _scaled(values: tuple[float, float, float], scale: float) -> tuple[float, float, float]:
    red, green, blue = values if scale == 1.0 else (value / scale for value in values)
    return red, green, blue


def _three(values: Any, place: str) -> tuple[float, float, float]:
    if not isinstance(values, list) or len(values) != 3:
        raise CheckpointError(place, f"{str(values)[:80]}", "3 numbers", _COPY)
    red, green, blue = (_number(value, place) for value in values)
    return red, green, blue


def _number(value: Any, place: str) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e6:
        raise CheckpointError(place, f"{str(value)[:80]}", "a number", _COPY)
    return float(value)


def _size(value: Any, place: str) -> tuple[tuple[int, int] | None, int | None]:
    """Return the fixed (height, width), from a side or {"height": ..., "width": ...}; or None and the short side.

    ``longest_edge`` beside ``shortest_edge`` is not applied: mhp limits the size of an input itself.
    """
    if isinstance(value, dict) and "shortest_edge" in value:
        short = value["shortest_edge"]
        if not (type(short) is int and 32 <= short <= 4096):
            raise CheckpointError(f"{place}, shortest_edge", f"{str(short)[:80]}", "pixels from 32 to 4096", _COPY)
        return None, short
    height, width = (value.get("height"), value.get("width")) if isinstance(value, dict) else (value, value)
    if not (type(height) is int and type(width) is int and 32 <= min(height, width) <= max(height, width) <= 4096):
        raise CheckpointError(place, f"{str(value)[:80]}", "height and width from 32 to 4096", _COPY)
    return (height, width), None
