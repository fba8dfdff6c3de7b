"""Every supported type of PNG decodes to the pixels of its specification, by arithmetic; others are rejected."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from images import encode_png, join_png, pack_samples, palette_of, save
from PIL import Image

from mhpdata.errors import ImageError
from mhpdata.images.decode import decode_image
from mhpdata.images.header import AS_ONE

SIZE = (11, 13)
DEPTHS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8)]
DEPTHS += [(4, 8), (4, 16), (6, 8), (6, 16)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def random_samples(color, bits, size=SIZE):
    rng = np.random.default_rng([color, bits])
    return rng.integers(0, 1 << bits, (*size, CHANNELS[color]))


def as_rgb(samples, color, bits):
    """Convert samples as in the specification: alpha dropped, rounded to 8 bits."""
    if color == 3:
        return palette_of(bits)[samples[..., 0]]
    shown = samples[..., :3] if color in (2, 6) else samples[..., :1].repeat(3, axis=2)
    return np.floor(shown * 255 / ((1 << bits) - 1) + 0.5).astype(np.uint8)


def chunks_of(color, bits):
    return [(b"PLTE", palette_of(bits).tobytes())] * (color == 3)


@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize(("color", "bits"), DEPTHS)
def test_pngs_of_every_kind(color, bits, interlaced):
    for size in [(1, 1), (1, 9), (3, 2), SIZE] if interlaced else [(1, 1), SIZE]:
        samples = random_samples(color, bits, size)
        for filters in ("0", "1", "2", "3", "4", "43210"):
            data = encode_png(samples, bits, color, *chunks_of(color, bits), interlaced=interlaced, filters=filters)
            np.testing.assert_array_equal(decode_image(data, "a.png")[0], as_rgb(samples, color, bits))


ANCILLARY = {
    "gamma": (b"gAMA", struct.pack(">I", 20000)),
    "chromaticities": (b"cHRM", struct.pack(">8I", *range(1, 9))),
    "colour profile": (b"iCCP", b"profile\0\0x\x9cjunk"),
    "sRGB": (b"sRGB", b"\x02"),
    "coding": (b"cICP", b"\x09\x10\x00\x01"),
    "significant bits": (b"sBIT", b"\x03\x03\x03"),
    "background": (b"bKGD", b"\0\1\0\2\0\3"),
    "transparent colour": (b"tRNS", b"\0\1\0\2\0\3"),
    "suggested palette": (b"PLTE", bytes(range(48))),
    "orientation": (b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
    "physical size": (b"pHYs", struct.pack(">IIB", 1, 900, 1)),
    "text": (b"tEXt", b"Comment\0words"),
    "an animation of no frames": (b"acTL", struct.pack(">II", 3, 0)),
    "private": (b"prVt", b"\xff" * 40),
}


@pytest.mark.parametrize("name", ANCILLARY)
def test_chunks_that_make_no_pixels_change_none(name, capfd):
    samples = random_samples(2, 8)
    data = encode_png(samples, 8, 2, ANCILLARY[name])
    np.testing.assert_array_equal(decode_image(data, "a.png")[0], samples)
    assert capfd.readouterr() == ("", ""), "a library has written to the terminal"


def test_a_transparent_palette_shows_its_colours():
    samples, palette = random_samples(3, 4), palette_of(4)
    data = encode_png(samples, 4, 3, (b"PLTE", palette.tobytes()), (b"tRNS", bytes(range(16))))
    np.testing.assert_array_equal(decode_image(data, "a.png")[0], palette[samples[..., 0]])


def test_pixels_that_run_on_are_cut_and_silent(capfd):
    """Some encoders pad the stream; libpng warns and reads what it needs."""
    samples = random_samples(2, 8)
    header = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row for row in pack_samples(samples, 8))
    for stream in (zlib.compress(rows) + b"more", zlib.compress(rows + bytes(999))):
        data = join_png((b"IHDR", header), (b"IDAT", stream), (b"IEND", b""))
        np.testing.assert_array_equal(decode_image(data, "a.png")[0], samples)
    assert capfd.readouterr() == ("", "")


def animated(size=SIZE):
    """Make a PNG of two frames with Pillow: OpenCV 4.11 decodes the first frame, OpenCV 5.0 the second."""
    first, second = (Image.fromarray(np.full((*size, 3), value, np.uint8)) for value in (10, 200))
    return save(np.asarray(first), "PNG", save_all=True, append_images=[second])


def test_an_animated_png_is_refused():
    with pytest.raises(ImageError, match="an animated PNG; expected a PNG with one image") as caught:
        decode_image(animated(), "a.png")
    assert caught.value.remedy == AS_ONE


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([(b"CgBI", b"\x50\0\x20\2")], "an unknown or repeated critical chunk b'CgBI'"),
        ([(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))], "an unknown or repeated critical chunk b'IHDR'"),
    ],
    ids=["Apple's", "two headers"],
)
def test_chunks_that_may_change_pixels_are_refused(chunks, found):
    with pytest.raises(ImageError, match=found):
        decode_image(encode_png(random_samples(2, 8), 8, 2, *chunks), "a.png")


@pytest.mark.parametrize(
    ("palettes", "found"),
    [
        ([], "0 palettes"),
        ([palette_of(4), palette_of(4)], "2 palettes"),
        ([palette_of(4)[:0]], "a palette of 0 bytes"),
        ([palette_of(4).ravel()[:-1]], "a palette of 47 bytes"),
        ([palette_of(4)[:9]], r"colour 15, but its palette has 9 colours"),
    ],
)
def test_a_png_without_a_colour_for_each_index_is_refused(palettes, found):
    chunks = [(b"PLTE", palette.tobytes()) for palette in palettes]
    with pytest.raises(ImageError, match=found):
        decode_image(encode_png(random_samples(3, 4), 4, 3, *chunks), "a.png")


@pytest.mark.parametrize(
    "header", [(8, 2, 1, 0, 0), (8, 2, 0, 1, 0), (8, 2, 0, 0, 2), (4, 2, 0, 0, 0), (16, 3, 0, 0, 0), (3, 0, 0, 0, 0)]
)
def test_a_png_of_an_unknown_kind_is_refused(header):
    data = join_png((b"IHDR", struct.pack(">IIBBBBB", 1, 1, *header)), (b"IDAT", b""), (b"IEND", b""))
    with pytest.raises(ImageError, match="damaged PNG: co"):
        decode_image(data, "a.png")
