"""HTML for notebooks: a row of small pictures with their labels laid over them, and tables.

In: uint8 (height, width, 3) RGB images and uint8 (height, width) labels of the same size. Out: HTML that stands by
itself, with JPEGs as data URLs. Every text is escaped, and what a terminal would not print is written as an escape.
Each label has a colour of its own, that of PASCAL VOC's map; pixels of labels 0 and 255 show the image.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mhpdata.labels import IGNORE, voc_color
from mhpdata.wording import printable

Pixels = NDArray[np.uint8]

MOST = 6
"""Pictures of a row."""
HEIGHT, WIDTH = 120, 240
"""Of a picture at most, in pixels."""
_QUALITY = 80
_ROW = '<div style="display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start">'


def escape(text: object) -> str:
    """Return a text as HTML on one line, fit for quoted attributes, too."""
    return html.escape(printable(str(text)))


def picture(image: Pixels, labels: Pixels | None, caption: object) -> str:
    """Return a small image, its labels laid over it below, and a caption.

    Args:
        image: uint8 (height, width, 3), RGB.
        labels: uint8 (height, width); None without labels.
        caption: any text.
    """
    from mhpdata.opencv import cv2

    height, width = image.shape[:2]
    scale = min(HEIGHT / height, WIDTH / width, 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    if labels is not None:
        shown = cv2.resize(np.ascontiguousarray(labels), size, interpolation=cv2.INTER_NEAREST)
        small = np.concatenate([small, _lay_over(small, shown)])
    jpeg = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    data, text = base64.b64encode(jpeg).decode("ascii"), escape(caption)
    return _cell(f'<img src="data:image/jpeg;base64,{data}" alt="{text}"><figcaption>{text}</figcaption>')


def note(text: object) -> str:
    """Return a text in the place of a picture, such as the error of a damaged record."""
    return _cell(f"<figcaption>{escape(text)}</figcaption>")


def row(title: object, cells: Iterable[str]) -> str:
    """Return pictures and notes beside each other, below a title."""
    return f"<div><p>{escape(title)}</p>{_ROW}{''.join(cells)}</div></div>"


def table(title: object, heads: Sequence[object], lines: Iterable[Sequence[object]], below: Iterable[object]) -> str:
    """Return a table below a title, and some lines of text below it."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    texts = "".join(f"<p>{escape(text)}</p>" for text in below)
    return f"<div><p>{escape(title)}</p><table><tr>{head}</tr>{body}</table>{texts}</div>"


def _cell(content: str) -> str:
    return f'<figure style="margin:0;max-width:{WIDTH}px;overflow-wrap:anywhere">{content}</figure>'


@cache
def _colours() -> Pixels:
    """The colour of each label: uint8 (256, 3) RGB."""
    return np.array([voc_color(label) for label in range(256)], np.uint8)


def _lay_over(image: Pixels, labels: Pixels) -> Pixels:
    """Half image, half colour where there is a label."""
    mixed = ((image.astype(np.uint16) + _colours()[labels] + 1) // 2).astype(np.uint8)
    plain = (labels == 0) | (labels == IGNORE)
    return np.where(plain[:, :, None], image, mixed)
