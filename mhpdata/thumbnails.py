"""HTML for notebooks: rows of thumbnails with label overlays, and tables.

In: uint8 (height, width, 3) RGB images and uint8 (height, width) labels of the same size. Out: self-contained HTML with
JPEGs as data URLs. All text is escaped; characters that a terminal would not print become escape sequences. Labels have
the colours of PASCAL VOC's colour map; pixels with label 0 or 255 show the image.
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
"""Maximum number of thumbnails in a row."""
HEIGHT, WIDTH = 120, 240
"""Maximum height and width of a thumbnail, in pixels."""
_QUALITY = 80
_ROW = '<div style="display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start">'


def escape(text: object) -> str:
    """Return a text as one line of HTML, safe in quoted attributes as well."""
    return html.escape(printable(str(text)))


def picture(image: Pixels, labels: Pixels | None, caption: object) -> str:
    """Return a thumbnail with a caption: the image, and below it the same image with its labels as an overlay.

    Args:
        image: uint8 (height, width, 3), RGB.
        labels: uint8 (height, width); None to show the image only.
        caption: Any text.
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
    """Return a text to show in place of a thumbnail, such as the error of a damaged record."""
    return _cell(f"<figcaption>{escape(text)}</figcaption>")


def row(title: object, cells: Iterable[str]) -> str:
    """Return a title, and below it thumbnails and notes side by side."""
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
    """Return the colour of each label: uint8 (256, 3) RGB."""
    return np.array([voc_color(label) for label in range(256)], np.uint8)


def _lay_over(image: Pixels, labels: Pixels) -> Pixels:
    """Blend image and label colour half and half; pixels without a label show the image."""
    mixed = ((image.astype(np.uint16) + _colours()[labels] + 1) // 2).astype(np.uint8)
    unlabelled = (labels == 0) | (labels == IGNORE)
    return np.where(unlabelled[:, :, None], image, mixed)
