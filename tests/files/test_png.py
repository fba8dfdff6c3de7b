"""Label PNGs: others read ours, we read theirs, and files that are no label maps are rejected."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mhpdata.errors import PredictionError
from mhpdata.labels import MHP_V1
from mhpmodels.files.png import decode_labels, encode_indexed, encode_picture, is_label_map

SIZES = [(1, 1), (1, 300), (300, 1), (37, 41)]


def some(size, below=256, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, below, size, dtype=dtype)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_indexed_png_is_its_labels(size, tmp_path):
    image = pytest.importorskip("PIL.Image")
    labels = some(size)
    data = encode_indexed(labels, MHP_V1.palette)
    (tmp_path / "x.png").write_bytes(data)
    with image.open(tmp_path / "x.png") as file:
        assert file.mode == "P"
        np.testing.assert_array_equal(np.array(file), labels)
        np.testing.assert_array_equal(np.reshape(file.getpalette(), (-1, 3)), MHP_V1.palette)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "x.png"))[:, :, ::-1], MHP_V1.palette[labels])
    again = decode_labels(data, "x.png", size, 256)
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, labels)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gray_pngs_are_their_labels(size):
    for dtype in (np.uint8, np.uint16):
        labels = some(size, np.iinfo(dtype).max + 1, dtype)
        data = cv2.imencode(".png", labels)[1].tobytes()
        again = decode_labels(data, "x.png", size, 1 << 16)
        assert again.dtype == dtype
        np.testing.assert_array_equal(again, labels)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_picture_is_its_colours(size, tmp_path):
    picture = some((*size, 3))
    (tmp_path / "x.png").write_bytes(encode_picture(picture))
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "x.png"))[:, :, ::-1], picture)


@pytest.mark.parametrize("more", [b"\n", b"more", bytes(11), bytes(12), b"\xff" * 40], ids=len)
def test_what_lies_behind_the_end_is_not_read(more):
    labels = some((9, 7))
    gray = cv2.imencode(".png", labels)[1].tobytes()
    for data in (encode_indexed(labels, MHP_V1.palette), gray):
        np.testing.assert_array_equal(decode_labels(data + more, "x.png", (9, 7), 256), labels)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_indexed_pngs_of_few_bits_transparency_and_pillow_s_own(bits, size, tmp_path):
    image = pytest.importorskip("PIL.Image")
    labels = some(size, 2**bits)
    picture = image.fromarray(labels, "L").convert("P")
    picture.putdata(labels.reshape(-1).tolist())
    picture.putpalette(MHP_V1.palette[: 2**bits].tobytes())
    picture.save(tmp_path / "x.png", bits=bits, transparency=0)
    data = (tmp_path / "x.png").read_bytes()
    assert data[24:26] == bytes([bits, 3]) and b"tRNS" in data
    np.testing.assert_array_equal(decode_labels(data, "x.png", size, 256), labels)


@pytest.mark.parametrize(
    ("image", "suffix", "match"),
    [
        (np.eye(4, dtype=np.uint8)[..., None] * np.uint8([1, 2, 1]), ".png", "channels differ in 4"),
        (np.eye(4, dtype=np.uint16) * np.uint16(257), ".png", "16-bit numbers up to 257, all of them multiples of 257"),
        (np.zeros((4, 4), np.uint8), ".jpg", "a JPEG; expected a PNG with the label at each pixel"),
        (np.zeros((4, 5), np.uint8), ".png", r"4 x 5; expected 4 x 4 \(height x width\), the size"),
    ],
)
def test_what_is_no_map_of_labels(image, suffix, match):
    with pytest.raises(PredictionError, match=match):
        decode_labels(cv2.imencode(suffix, image)[1].tobytes(), "x.png", (4, 4), 19)


def test_damage_is_an_error():
    data = encode_indexed(some((50, 50)), MHP_V1.palette)
    for bad in (b"", data[:-5], data[:200], data[:100] + b"!" + data[101:]):
        with pytest.raises(PredictionError, match=r"x\.png"):
            decode_labels(bad, "x.png", (50, 50), 256)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_label_map_of_ours_is_known_by_its_first_bytes(orientation):
    data = encode_indexed(np.zeros((40, 60), np.uint8), MHP_V1.palette, orientation)
    assert is_label_map(data[:1024])
    assert not is_label_map(encode_picture(np.zeros((40, 60, 3), np.uint8))[:1024])
