"""The display of a batch in notebooks."""

from __future__ import annotations

import base64
import re

import cv2
import numpy as np
import pytest
from loading import open_loader

import mhpdata
from mhpdata.loading.batch import _pixels


def first(small, **options):
    loader = open_loader(small, "train", size=48, base_size=48, batch_size=4, **options)
    batch = next(iter(loader))
    loader.close()
    return batch


def shown(page):
    found = re.findall(r"base64,([^\"]+)", page)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)[:, :, ::-1] for data in found]


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_the_images_are_shown_as_they_were(small, dtype):
    expected = first(small, dtype="uint8").images
    batch = first(small, dtype=dtype)
    assert np.abs(_pixels(batch.images).astype(int) - expected).max() <= (1 if dtype != "uint8" else 0)
    pictures = shown(batch._repr_html_())
    assert [picture.shape for picture in pictures] == [(96, 48, 3)] * 4
    for picture, image in zip(pictures, expected, strict=True):
        assert np.abs(picture[:48].astype(int) - image).mean() < 20


def test_numbers_that_are_none_are_black():
    assert (_pixels(np.full((1, 3, 2, 2), np.nan, np.float32)) == 0).all()


def test_a_batch_without_labels_and_an_empty_one():
    images, indices = np.zeros((2, 8, 8, 3), np.uint8), np.arange(2)
    page = mhpdata.Batch(images, None, indices)._repr_html_()
    assert [picture.shape for picture in shown(page)] == [(8, 8, 3)] * 2
    assert shown(mhpdata.Batch(images[:0], None, indices[:0])._repr_html_()) == []


def test_at_most_six_are_shown():
    labels = np.zeros((9, 8, 8), np.uint8)
    page = mhpdata.Batch(np.zeros((9, 8, 8, 3), np.uint8), labels, np.arange(9))._repr_html_()
    assert len(shown(page)) == 6


def test_arrays_of_another_kind_have_no_pictures():
    assert mhpdata.Batch([1, 2], None, [0, 1])._repr_html_() is None
