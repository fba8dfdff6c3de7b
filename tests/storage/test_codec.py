"""Images in a record: raw is exact, JPEG is baseline with the same pixels everywhere, damage is a RecordError."""

from __future__ import annotations

import numpy as np
import pytest
from allocation import at_most
from images import SIZE, huge, picture, pillow_rgb, save

from mhpdata.errors import RecordError
from mhpdata.images.header import read_header
from mhpdata.storage.codec import CODECS, decode_stored, encode_image

RGB = picture()
JPEG = encode_image(RGB, "jpeg", 95)
RAW = encode_image(RGB, "raw", 95)
YUV420 = encode_image(RGB, "yuv420", 95)


def test_raw_is_three_planes_and_exact():
    assert RGB[..., 0].tobytes() + RGB[..., 1].tobytes() + RGB[..., 2].tobytes() == RAW
    np.testing.assert_array_equal(decode_stored(RAW, CODECS["raw"], SIZE), RGB)


def test_yuv420_is_full_range_bt601_and_the_mean_of_four():
    """Luma is the exact value, rounded; chroma is the mean of 2 x 2 pixels, the edge repeated, rounded."""
    height, width = SIZE
    red, green, blue = np.moveaxis(RGB.astype(float), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = np.frombuffer(YUV420, np.uint8).astype(float)
    assert np.abs(planes[: height * width].reshape(SIZE) - luma).max() <= 0.5
    half = -(-height // 2), -(-width // 2)
    for light, scale, stored in zip(
        (blue, red), (1.772, 1.402), planes[height * width :].reshape(2, *half), strict=True
    ):
        chroma = np.pad(128 + (light - luma) / scale, [(0, n % 2) for n in SIZE], mode="edge")
        means = (chroma[::2, ::2] + chroma[1::2, ::2] + chroma[::2, 1::2] + chroma[1::2, 1::2]) / 4
        assert np.abs(stored - means).max() <= 0.501
    assert np.abs(decode_stored(YUV420, CODECS["yuv420"], SIZE).astype(int) - RGB).mean() < 4
    pure = np.zeros((2, 2, 3), np.uint8) + np.array([0, 0, 255], np.uint8)
    assert list(encode_image(pure, "yuv420", 95)) == [29] * 4 + [255, 107]


def test_jpeg_is_baseline_and_equals_pillow():
    assert read_header(JPEG, "image").baseline
    decoded = decode_stored(JPEG, CODECS["jpeg"], SIZE)
    np.testing.assert_array_equal(decoded, pillow_rgb(JPEG))
    assert np.abs(decoded.astype(int) - RGB).mean() < 3  # it is the same image, with the same channel order


def test_jpeg_has_pillows_bytes():
    """Two encoders with one libjpeg write the same file, except for Pillow's bytes before the tables."""
    ours, theirs = JPEG, save(RGB, "JPEG", quality=95, subsampling="4:2:0")
    assert ours[ours.index(b"\xff\xdb") :] == theirs[theirs.index(b"\xff\xdb") :]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 1), (8, 16)])
@pytest.mark.parametrize("codec", CODECS)
def test_edge_sizes(codec, size):
    image = picture(size=size)
    decoded = decode_stored(memoryview(encode_image(image, codec, 100)), CODECS[codec], size)
    assert decoded.shape == image.shape and decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - image).max() <= (0 if codec == "raw" else 60)  # 60: 4:2:0 of a few pixels


def test_encoding_takes_any_strides():
    mirrored = RGB[:, ::-1]
    for codec in CODECS:
        assert encode_image(mirrored, codec, 95) == encode_image(mirrored.copy(), codec, 95)


@pytest.mark.parametrize("size", [(SIZE[0], SIZE[1] + 1), (SIZE[0] - 1, SIZE[1]), (2, 3), (0, SIZE[1])])
@pytest.mark.parametrize("codec", CODECS)
def test_another_size_is_refused(codec, size):
    with pytest.raises(RecordError, match=r"^image: "):
        decode_stored({"jpeg": JPEG, "yuv420": YUV420, "raw": RAW}[codec], CODECS[codec], size)


@pytest.mark.parametrize(
    "data",
    [b"", b"text", JPEG[:-1], JPEG[: len(JPEG) // 2], JPEG + b"\0", save(RGB, "PNG"), RAW]
    + [save(RGB, "JPEG", **options) for options in ({"mode": "L"}, {"mode": "CMYK"}, {"progressive": True})],
)
def test_what_is_no_baseline_jpeg_is_refused(data):
    with pytest.raises(RecordError, match=r"^image: "):
        decode_stored(data, CODECS["jpeg"], SIZE)


@pytest.mark.parametrize("codec", [3, 4, 255])
def test_an_unknown_codec_is_refused(codec):
    with pytest.raises(RecordError, match="codec"):
        decode_stored(JPEG, codec, SIZE)


@pytest.mark.parametrize(("data", "codec"), [(huge("jpeg"), 0), (JPEG, 0), (b"", 2), (RAW, 2)])
def test_a_huge_claim_takes_no_memory(data, codec):
    with at_most(1 << 20), pytest.raises(RecordError, match=r"60000 x 60000|10800000000"):
        decode_stored(data, codec, (60000, 60000))
