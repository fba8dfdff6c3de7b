"""Select the contents and the form of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from mhpdata.errors import OptionError
from mhpdata.options import OVERLAPS, Overlap, in_words
from mhpdata.settings.rules import Checked, Choice, OrNone, Rule, option

if TYPE_CHECKING:
    import numpy as np

ImageType = Literal["float32", "float16", "uint8"]
IMAGE_TYPES: tuple[ImageType, ...] = get_args(ImageType)
BoxForm = Literal["tlbr", "xyxy"]
BOX_FORMS: tuple[BoxForm, ...] = get_args(BoxForm)
Persons = bool | Literal["masks", "targets"]
MASKS: Literal["masks"] = "masks"
TARGETS: Literal["targets"] = "targets"
OFFSET_UNIT = 32.0
"""Pixels per unit of the offsets in ``Batch.targets`` and in the output of the heads that they train."""
Transform = Callable[["np.ndarray", "np.ndarray | None", "np.ndarray | None", "np.random.Generator"], None]


class _Function(Rule):
    """None, or a function."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the value; raise OptionError if it is not callable."""
        if value is not None and not callable(value):
            remedy = "Pass a function f(image, labels, persons, rng) that changes the arrays in place."
            raise OptionError(name, in_words(value), "a function", remedy)
        return value


class _Persons(Rule):
    """False, True, or one of the words."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the value; raise OptionError for anything else."""
        if not isinstance(value, bool) and not (isinstance(value, str) and value in (MASKS, TARGETS)):
            remedy = f"Pass {name}=True for the person map, boxes and counts; the words add masks or targets to these."
            raise OptionError(name, in_words(value), f"False, True, {MASKS!r} or {TARGETS!r}", remedy)
        return value


@dataclass(frozen=True)
class Output(Checked):
    """Select the contents of a batch. docs/loader.md lists the cost of each option."""

    dtype: ImageType = option(
        IMAGE_TYPES[0],
        Choice(IMAGE_TYPES),
        "Data type of images: float32 and float16 are normalised (N, 3, H, W); uint8 is (N, H, W, 3), as stored.",
    )
    persons: Persons = option(
        False,
        _Persons(),
        "True adds the person map, boxes and counts; 'masks' also the whole mask of each person; 'targets' also the "
        "centre heatmap and the offsets that train the heads of --persons.",
    )
    boxes: BoxForm = option(
        BOX_FORMS[0],
        Choice(BOX_FORMS),
        "Form of the boxes: tlbr is (top, left, bottom, right), zeros for a person that the crop does not show; xyxy "
        "is (x1, y1, x2, y2), -1 in the rows of such persons and in unused rows.",
    )
    overlap: Overlap | None = option(
        None,
        OrNone(Choice(OVERLAPS)),
        "Rule that gives a pixel labelled by several persons to one of them; if it differs from the packed rule, masks "
        "are merged at each read.  [default: as packed]",
    )
    transform: Transform | None = option(
        None,
        _Function(),
        "f(image, labels, persons, rng) changes one sample in place, in the batch's memory, with the sample's own "
        "random generator. It holds the GIL: threads take turns in it.",
        typed=False,
    )
