"""Read labels from PNGs, of masks and of predictions, and reject PNGs in which they are ambiguous.

Labels are the numbers as stored (mhpdata.images.formats.png), not the colours that other decoders return.

======================  ==============================================================================================
8-bit gray              the label
palette, 1 to 8 bits    the index is the label, whatever its colour; rejected if all colours in use encode other labels
                        as gray levels (or red ones, where labels are in the red channel), as left by tools that convert
                        a gray mask to a palette and renumber its labels
RGB                     all channels equal; or, where labels are in the red channel, green and blue 0
alpha                   opaque everywhere; a transparent colour (tRNS) is ignored
16 bits                 the label; labels multiplied by 257 are rejected
gray of 1, 2 or 4 bits  rejected unless all 0: programs that scale gray levels to 0..255 read a 4-bit 1 as label 17,
                        others as label 1
======================  ==============================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mhpdata.errors import EXTRACT_AGAIN, WITHOUT, ImageError, MaskError
from mhpdata.images.formats.chunks import GRAY_ALPHA, PALETTE, RGB_ALPHA, Png, read_png
from mhpdata.images.formats.png import decode_png
from mhpdata.images.header import AS_ONE, NAMES, read_header
from mhpdata.labels import IGNORE
from mhpdata.remedy import Kind

SAVE_AS = "Save it as an 8-bit gray or palette PNG with the label at each pixel."
"""Remedy for labels in another form."""

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[Any]


_MASK = "a PNG with the label at each pixel"
_TO_READ: dict[Kind | None, str] = {Kind.ONE_IMAGE: f"{AS_ONE} {WITHOUT}", Kind.CONVERT: f"{SAVE_AS} {WITHOUT}"}
"""Remedy for a mask without the header of a PNG, by the kind of remedy that ``read_header`` gives for an image."""


class NoLabelsError(ValueError):
    """Raised for an intact PNG whose values are not labels, or are ambiguous.

    Attributes:
        found, expected, remedy: As in MhpError.
    """

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        super().__init__(found)
        self.found, self.expected, self.remedy = found, expected, remedy


def decode_mask(data: bytes, place: str, size: tuple[int, int], labels: int, *, red: bool = False) -> Pixels:
    """Decode one person's mask to uint8 (height, width): a label, 0 (not this person) or 255 (ignored).

    Args:
        data: Content of the file, a PNG in one of the forms of ``mhpdata.images.label_png``.
        place: Name of the file, for errors.
        size: (height, width) of the image that it belongs to.
        labels: Number of labels in the dataset.
        red: Whether the label may be in the red channel, as in MHP v2's masks.

    Raises:
        MaskError: The file is not such a PNG, has another size, or holds a label that does not exist.
    """
    try:
        header = read_header(data, place, _MASK)
    except ImageError as error:
        remedy = _TO_READ.get(error.kind, EXTRACT_AGAIN)
        raise MaskError(error.place, error.found, error.expected, remedy, fault=error.fault) from error
    if header.kind != "png":
        remedy = SAVE_AS
        if header.kind == "jpeg":
            remedy = "Create the mask again as a PNG: JPEG does not preserve labels."
        found, fault = f"is a {NAMES[header.kind]}", ("not-png", header.kind)
        raise MaskError(place, found, _MASK, f"{remedy} {WITHOUT}", fault=fault)
    if (header.height, header.width) != size:
        raise MaskError(
            place,
            f"is {header.height} x {header.width}",
            f"{size[0]} x {size[1]} (height x width), the size of its image",
            EXTRACT_AGAIN,
            fault=("mask-size", header.height, header.width, *size),
        )
    try:
        mask = read_values(data, labels, red=red)
    except NoLabelsError as error:
        remedy = f"{error.remedy} {WITHOUT}"
        raise MaskError(place, error.found, error.expected, remedy, fault=("not-labels",)) from error
    except ValueError as error:
        found = f"damaged PNG: {error}"
        raise MaskError(place, found, _MASK, EXTRACT_AGAIN, fault=("damaged",)) from error
    if int(mask.max()) >= labels:
        wrong = np.unique(mask[(mask >= labels) & (mask != IGNORE)])
        if wrong.size:
            found = ", ".join(map(str, wrong[:5]))
            remedy = f"Check that the mask belongs to this dataset. {EXTRACT_AGAIN}"
            expected, fault = f"labels 0 to {labels - 1}, or {IGNORE}", ("label", *wrong[:1].tolist(), labels - 1)
            raise MaskError(place, f"holds label {found}", expected, remedy, fault=fault)
    return np.asarray(mask, np.uint8)


def read_values(data: bytes, labels: int, *, red: bool = False) -> Values:
    """Read the labels of a PNG as stored.

    Args:
        data: Content of the file, of a size that has been checked.
        labels: Number of valid labels, used with 255 to detect ambiguous forms. Higher values are returned unchanged.
        red: Whether labels may be in the red channel, with green and blue 0.

    Returns:
        uint8 (height, width); uint16 for a PNG of 16 bits.

    Raises:
        NoLabelsError: The values are colours, or ambiguous.
        ValueError: The file is damaged.
    """
    png = read_png(data)
    samples = decode_png(png)
    if png.color == PALETTE:
        return _indices(samples[..., 0], png, labels, red)
    if png.color in (GRAY_ALPHA, RGB_ALPHA):
        samples = _opaque(samples, png)
    values = samples[..., 0] if samples.shape[2] == 1 else _one_channel(samples, red)
    if png.bits < 8 and values.any():
        found = f"{png.bits}-bit gray, which some programs read as {values.max()}"
        found += f" and some as {int(values.max()) * (255 // ((1 << png.bits) - 1))}"
        raise NoLabelsError(found, "8 bits, or a palette", SAVE_AS)
    if png.bits == 16:
        _check_scale(values, labels)
    return np.ascontiguousarray(values)


def _indices(indices: Values, png: Png, labels: int, red: bool) -> Values:
    """Return palette indices as labels. Raises NoLabelsError if the palette's colours encode other labels."""
    used = np.flatnonzero(np.bincount(indices.reshape(-1), minlength=256))
    palette = np.frombuffer(png.palette, np.uint8).reshape(-1, 3)
    if used[-1] >= len(palette):
        return indices  # some have no colour, so the palette does not encode labels
    colours = palette[used]
    levels, others = colours[:, 0], colours[:, 1:]
    spell = (others == levels[:, None]).all(axis=1) | (red & (others == 0).all(axis=1))
    spell &= (levels < labels) | (levels == IGNORE)
    differ = (levels != used) & (levels != 0) & (levels != IGNORE)  # black, white and red may just be colours
    if spell.all() and differ.any():
        one = int(np.flatnonzero(differ)[0])
        found = f"a palette in which index {used[one]} has the colour of label {levels[one]}"
        remedy = f"A program may have renumbered the labels when it made the palette. {SAVE_AS}"
        raise NoLabelsError(found, "indices that are the labels", remedy)
    return indices


def _opaque(samples: Values, png: Png) -> Values:
    """Return the samples without their alpha channel. Raises NoLabelsError unless all pixels are opaque."""
    clear = int(np.count_nonzero(samples[..., -1] != (1 << png.bits) - 1))
    if clear:
        remedy = f"Make it opaque, if its colours are the labels. {SAVE_AS}"
        raise NoLabelsError(f"its alpha channel is not full in {clear} pixels", "an opaque image", remedy)
    return samples[..., :-1]


def _one_channel(samples: Values, red: bool) -> Values:
    """Return the labels of three channels, which must be equal, or 0 but for the first one if ``red``."""
    labels, others = samples[..., 0], samples[..., 1:]
    odd = (others != labels[..., None]).any(axis=-1)
    if red and odd.any():
        odd &= others.any(axis=-1)
    if odd.any():
        found = f"is a colour image (its channels differ in {np.count_nonzero(odd)} pixels)"
        expected = "a gray or palette PNG with the label at each pixel"
        expected += ", or an RGB PNG with it in the red channel and 0 in the others" if red else ""
        raise NoLabelsError(found, expected, "Replace each colour by its label.")
    return labels


def _check_scale(values: Values, labels: int) -> None:
    """Raise NoLabelsError for 8-bit labels that were scaled to 0..65535."""
    highest = int(values.max())
    if highest >= max(labels, 257) and not (values % 257).any():
        found = f"16-bit numbers up to {highest}, all of them multiples of 257"
        remedy = f"Divide them by 257, by which a converter multiplied the 8-bit labels. {SAVE_AS}"
        raise NoLabelsError(found, f"labels 0 to {labels - 1}", remedy)
