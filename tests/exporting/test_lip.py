"""lip: lists lead to images, label maps, mirrored label maps and edges."""

import numpy as np
import pytest
from exports import read

import mhpdata
from mhpdata.exporting.forms.lip import edges


def plain_edges(labels):
    """Return the edges of a label map, pixel by pixel: the slow twin of ``edges``."""
    height, width = labels.shape
    marked = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            # the pixel that is marked: the lower one, the left one, the upper left one, the upper right one
            for down, right, low, far in ((1, 0, 1, 0), (0, 1, 0, 0), (1, 1, 0, 0), (1, -1, 0, 0)):
                a, b = y + down, x + right
                if 0 <= a < height and 0 <= b < width:
                    one, other = labels[y, x], labels[a, b]
                    if one != other and 255 not in (one, other):
                        marked[y + low, x + far] = True
    wide = np.zeros_like(marked)
    for y, x in np.argwhere(marked):
        wide[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = True
    return np.where(wide, 255, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (20, 31)])
def test_edges_are_those_of_plain_loops(size):
    rng = np.random.default_rng(0)
    for share in (0, 0.1, 0.5):
        labels = np.where(rng.random(size) < share, rng.integers(0, 4, size), 1).astype(np.uint8)
        labels[rng.random(size) < share / 4] = 255
        assert (edges(labels) == plain_edges(labels)).all()


def test_lists_lead_to_the_packed_pixels(whole, tmp_path):
    out = tmp_path / "out"
    mhpdata.export(whole, out, "lip")
    for split in ("train", "val", "test"):
        samples = mhpdata.open(whole, split)
        assert (out / f"{split}_id.txt").read_text().split() == list(samples.names)
        for sample, line in zip(samples, (out / f"{split}List.txt").read_text().splitlines(), strict=True):
            image, labels, *more = (out / path for path in line.split(" "))
            assert image.name == labels.with_suffix(".jpg").name == f"{sample.name}.jpg"
            assert image.read_bytes() == bytes(sample.record.image)
            assert (read(labels) == sample.labels).all()
            assert len(more) == (2 if split == "train" else 0)
            if more:
                mirrored = samples.manifest.labels.mirrored[sample.labels[:, ::-1]]
                assert (read(more[0]) == mirrored).all() and (read(more[1]) == plain_edges(sample.labels)).all()
