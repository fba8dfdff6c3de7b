"""COCO's RLE: byte for byte that of pycocotools, on random and edge shapes; area and box, too."""

import numpy as np
import pytest

from mhpdata.exporting.rle import compress, regions

SHAPES = [(1, 1), (1, 9), (9, 1), (7, 5), (31, 40), (200, 300), (3, 2000), (2000, 3)]


def masks(size, seed):
    """Yield random masks: noise, sparse pixels, blobs, and each with ignored pixels."""
    rng = np.random.default_rng(seed)
    for labels in (2, 3, 19):
        noise = rng.integers(0, labels, size, dtype=np.uint8)
        blobs = np.ascontiguousarray(noise.repeat(7, 0).repeat(5, 1)[: size[0], : size[1]])
        for mask in (noise, np.where(rng.random(size) < 0.9, 0, noise).astype(np.uint8), blobs):
            yield mask
            yield np.where(rng.random(size) < 0.05, 255, mask).astype(np.uint8)


def decode(text):
    """Return the counts of a compressed text: the slow twin of ``compress``, as the format defines it."""
    counts, at = [], 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[at]) - 48
            value |= (code & 31) << shift
            more, shift, at = bool(code & 32), shift + 5, at + 1
            if not more and code & 16:
                value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def draw(region, size):
    """Draw a region with nothing but loops."""
    flat, value = [], 0
    for count in decode(region.rle["counts"]):
        flat += [value] * count
        value = 1 - value
    return np.array(flat, bool).reshape(size[::-1]).T


@pytest.mark.parametrize("size", SHAPES[:5])
def test_regions_are_the_pixels_of_the_mask(size):
    for mask in masks(size, 1):
        person, parts = regions(mask)
        labelled = (mask != 0) & (mask != 255)
        assert set(parts) == set(np.unique(mask[labelled]).tolist())
        assert (person is None) == (not labelled.any())
        for wanted, region in [(labelled, person)] * (person is not None) + [(mask == k, parts[k]) for k in parts]:
            assert (draw(region, size) == wanted).all()
            assert region.area == wanted.sum()


@pytest.mark.parametrize("size", SHAPES)
def test_regions_are_those_of_pycocotools(size):
    coco = pytest.importorskip("pycocotools.mask", reason="the extra dev has pycocotools")
    for mask in masks(size, 2):
        person, parts = regions(mask)
        wanted = {0: (mask != 0) & (mask != 255), **{label: mask == label for label in parts}}
        for label, region in {0: person, **parts}.items():
            if region is not None:
                theirs = coco.encode(np.asfortranarray(wanted[label], np.uint8))
                assert (theirs["size"], theirs["counts"].decode()) == (region.rle["size"], region.rle["counts"])
                assert (coco.area(theirs), coco.toBbox(theirs).tolist()) == (region.area, region.box)


def test_a_mask_without_labels_has_no_region():
    assert regions(np.zeros((4, 5), np.uint8)) == (None, {})
    assert regions(np.full((4, 5), 255, np.uint8)) == (None, {})


def test_counts_of_the_largest_images_are_exact():
    mask = np.zeros((5000, 6000), np.uint8)
    mask[4999, 5999] = 3
    person, _ = regions(mask)
    assert decode(person.rle["counts"]) == [29_999_999, 1]
    mask[0, 0] = 2
    person, parts = regions(mask)
    assert decode(person.rle["counts"]) == [0, 1, 29_999_998, 1]
    assert (person.box, parts[3].box) == ([0, 0, 6000, 5000], [5999, 4999, 1, 1])
    wide = np.array([0, 2**31 - 1, 1, 2**31 - 1, 2**30], np.int64)
    assert decode(compress(wide)) == wide.tolist()
