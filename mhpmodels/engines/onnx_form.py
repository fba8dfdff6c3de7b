"""Determine what an ONNX file takes and gives: mhp's own form, or that of another program.

::

    mhp     images (N, 3, H, W), float32 of any N, H, W   ->  logits (N, classes, H, W); persons (N, 3, H, W)
            metadata mhp.form, or another key that begins with mhp.
    other   one input (N or 1, 3, H, W), float32 or float16, of any or of one size
            -> logits (N or 1, classes, h, w): the output called logits, or else the first one with four axes

Early versions of mhp convert wrote no metadata for weights of unknown origin. Such a file counts as mhp's if it has 19
outputs, the number of LV-MHP v1, because any other number may mean several label sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mhpdata.errors import CheckpointError
from mhpdata.labels import MHP_V1
from mhpmodels.config import PERSONS

FLOATS = {"tensor(float)": "float32", "tensor(float16)": "float16"}
IMAGES, LOGITS = "images", "logits"
MARK = {"mhp.form": "1"}
"""Metadata of every file that mhp convert writes."""
_PREFIX, _UNMARKED = "mhp.", len(MHP_V1)
PROBED = (64, 64)
"""Size of the image that tells how many outputs there are, where the file does not say."""


@dataclass(frozen=True)
class OnnxForm:
    """Input and outputs of an ONNX file.

    Attributes:
        given, logits: names of the input and of the output with the logits.
        dtype: type of the input, "float32" or "float16".
        size: (height, width) of the input; None for any.
        single: the input holds exactly one image.
        classes: number of outputs; None if the file does not say.
        persons: it also has the maps of persons, in mhp's own form: whether other files' offsets are in pixels of the
            input, and at its size, is unknown.
        own: the form that mhp convert writes.
    """

    given: str
    logits: str
    dtype: str
    size: tuple[int, int] | None
    single: bool
    classes: int | None
    persons: bool
    own: bool


def form_of(session: Any, place: object) -> OnnxForm:
    """Return the form of an onnxruntime session's file.

    Raises:
        CheckpointError: it does not take one image, or does not return logits.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = f"has inputs {_listed(inputs)} and outputs {_listed(outputs)}"
    maps = [one for one in outputs if len(one.shape) == 4 and one.type in FLOATS]
    logits = next((one for one in maps if one.name == LOGITS), maps[0] if maps else None)
    right = len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].type in FLOATS
    right = right and (inputs[0].shape[1] == 3 or not isinstance(inputs[0].shape[1], int))
    if not right or logits is None:
        raise CheckpointError(place, found, WANTED, EXPORT)
    batch, _, height, width = inputs[0].shape
    sides = [side if isinstance(side, int) else None for side in (height, width)]
    if (sides[0] is None) != (sides[1] is None) or (isinstance(batch, int) and batch != 1):
        raise CheckpointError(place, found, "one image or any number, with both sides fixed or both free", EXPORT)
    names = [one.name for one in outputs]
    size = (int(height), int(width)) if sides[0] is not None else None
    own = inputs[0].name == IMAGES and size is None and names in ([LOGITS], [LOGITS, PERSONS])
    marked = any(key.startswith(_PREFIX) for key in session.get_modelmeta().custom_metadata_map)
    own = own and (marked or logits.shape[1] == _UNMARKED)
    return OnnxForm(
        given=inputs[0].name,
        logits=logits.name,
        dtype=FLOATS[inputs[0].type],
        size=size,
        single=isinstance(batch, int),
        classes=logits.shape[1] if isinstance(logits.shape[1], int) else None,
        persons=own and any(one.name == PERSONS and list(one.shape[1:2]) == [3] for one in maps),
        own=own,
    )


def _listed(values: Any) -> str:
    return ", ".join(f"{one.name} {one.type} {one.shape}" for one in values) or "none"


WANTED = "one input of images (N, 3, H, W), and logits (N, classes, H, W)"
EXPORT = (
    "Export the network again with one image as its input and its logits as output, not the labels: mhp convert, "
    "torch.onnx.export."
)
