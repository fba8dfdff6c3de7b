"""Thumbnails of samples for notebooks: content, size, and escaping of text."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mhpdata import thumbnails
from mhpdata.labels import voc_color

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "a\nb\x1b[31m\u202e\udcff&amp;",
]
TAGS = {"div", "p", "figure", "figcaption", "img", "table", "tr", "th", "td"}


class Tags(HTMLParser):
    """Return the tags, the attributes and the text of a page."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], {}, ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.update(attributes)

    def handle_data(self, data):
        self.text += data


def pixels(page):
    """Decode the images of a page: uint8 RGB."""
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)[:, :, ::-1] for data in found]


def gray(height, width):
    return np.full((height, width, 3), 100, np.uint8)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_stays_a_text(text):
    picture = thumbnails.picture(gray(8, 8), None, text)
    for page in (
        thumbnails.row(text, [picture, thumbnails.note(text)]),
        thumbnails.table(text, [text], [[text]], [text]),
    ):
        page.encode("utf-8")
        parsed = Tags(page)
        assert set(parsed.tags) <= TAGS
        assert set(parsed.attributes) <= {"style", "src", "alt"}
        assert parsed.attributes.get("src", "data:").startswith("data:")
        assert "\n" not in page and "\x1b" not in page and "\u202e" not in page
    if text.isprintable():
        assert Tags(picture).attributes["alt"] == text == Tags(picture).text


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((240, 320), (120, 160)),
        ((100, 1000), (24, 240)),
        ((30, 20), (30, 20)),
        ((1, 5000), (1, 240)),
        ((5000, 1), (120, 1)),
    ],
)
def test_a_picture_is_small(size, shown):
    (found,) = pixels(thumbnails.picture(gray(*size), None, ""))
    assert found.shape == (*shown, 3)
    (found,) = pixels(thumbnails.picture(gray(*size), np.zeros(size, np.uint8), ""))
    assert found.shape == (2 * shown[0], shown[1], 3)


def test_labels_are_laid_over_the_image():
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 20:40], labels[:, 40:] = 4, 255
    (found,) = pixels(thumbnails.picture(gray(40, 60), labels, ""))
    mixed = (100 + np.array(voc_color(4))) / 2
    for x, expected in ((10, 100), (30, mixed), (50, 100)):
        assert np.abs(found[5:35, x] - 100.0).max() < 8, "the image itself, above"
        assert np.abs(found[45:75, x] - expected).max() < 12


def test_each_label_has_a_colour_of_its_own():
    colours = thumbnails._colours()
    assert len(np.unique(colours, axis=0)) == 256


def test_a_row_of_large_images_is_small():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    labels = rng.integers(0, 59, (1080, 1920), dtype=np.uint8)
    assert len(thumbnails.picture(image, labels, "noise")) * thumbnails.MOST < 200_000
