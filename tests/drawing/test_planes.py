"""The JPEG decoder: libjpeg's samples bit for bit, and the JPEGs that it leaves to libjpeg."""

import io
import os
from pathlib import Path

import cv2
import naive_jpeg as naive
import numpy as np
import pytest
from images import picture, save
from jpegs import JPEG, changed, decode, encode, equal, luma, rough, written
from PIL import Image

from mhpdata.drawing.jpeg.inverse_dct import BLOCKS, inverse_dct
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.drawing.vectors import instructions as vectors
from mhpdata.errors import ImageError
from mhpdata.images.decode import decode_image, decode_jpeg
from mhpdata.kernels.jit import kernel
from mhpdata.packing.crosscheck import find_difference

SAMPLINGS = {"444": (1, 1), "422": (1, 2), "440": (2, 1), "420": (2, 2), "411": (1, 4)}
SIZES = [
    *[(1, 1), (1, 40), (7, 9), (8, 8), (16, 16), (17, 33), (33, 17), (70, 1)],
    *[pytest.param(size, marks=pytest.mark.compiled) for size in [(40, 129), (61, 257)]],
]
TRUE_SAMPLE = Path(os.environ.get("MHP_SAMPLES", "/nonexistent")) / "mhp_v1_1528/1528.jpg"


def pillow_ycbcr(data, shrink=1):
    """Decode Y, Cb, Cr by libjpeg through Pillow, without conversion to RGB."""
    image = Image.open(io.BytesIO(data))
    image.draft("YCbCr", tuple(n // shrink for n in image.size))
    assert image.mode == "YCbCr"
    return list(np.asarray(image).transpose(2, 0, 1))


# ------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_sampling_at_every_size(sampling, size):
    data = encode(rough(size), 85, sampling)
    assert read_scan(data).factors == SAMPLINGS[sampling]
    planes = decode(data)
    np.testing.assert_array_equal(planes[0], luma(data))
    equal(planes, naive.decode(data))
    if sampling == "444":
        equal(planes, pillow_ycbcr(data))
    pixels = decode_jpeg(data)
    assert not find_difference(data, pixels), "upsampled and converted as in libjpeg, they are libjpeg's RGB"
    pixels[-1, 0, 1] ^= 1
    difference = f"the loader's decoder differs from libjpeg in 1 of {size[0] * size[1]} pixels"
    assert find_difference(data, pixels) == difference


@pytest.mark.compiled
@pytest.mark.parametrize("size", [(65500, 1), (1, 65500)])
def test_the_longest_sides_that_libjpeg_has(size):
    data = encode(rough(size), 90)
    assert not find_difference(data, decode_jpeg(data))
    np.testing.assert_array_equal(decode(data)[0], luma(data))
    at = data.index(b"\xff\xc0") + (5 if size[1] == 1 else 7)
    longer = data[:at] + (65501).to_bytes(2, "big") + data[at + 2 :]
    with pytest.raises(ImageError, match="at most 67,108,864, and 65,500 per side"):
        decode_image(longer, "a.jpg")


@pytest.mark.compiled
@pytest.mark.parametrize("quality", range(1, 101))
def test_every_quality(quality):
    for seed, image in enumerate((rough((40, 56), quality), picture(size=(40, 56)))):
        data = encode(image, quality, "444")
        equal(decode(data), pillow_ycbcr(data))
        data = encode(image, quality, list(SAMPLINGS)[(quality + seed) % 5])
        np.testing.assert_array_equal(decode(data)[0], luma(data))


@pytest.mark.parametrize("size", [(48, 80), (96, 34)])
def test_chroma_of_420_is_libjpeg_s(size):
    data = encode(rough(size), 80)
    # at half size libjpeg takes chroma as stored
    for ours, theirs in zip(decode(data)[1:], pillow_ycbcr(data, shrink=2)[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["optimised", "cv2, restarts", "cv2", "Pillow, restarts", "Pillow, rows", "a comment"])
def test_what_encoders_write(kind):
    image = rough((61, 83))
    data = {
        "optimised": lambda: save(image, "JPEG", quality=70, optimize=True),
        "cv2, restarts": lambda: cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_RST_INTERVAL, 3])[1].tobytes(),
        "cv2": lambda: cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes(),
        "Pillow, restarts": lambda: save(image, "JPEG", quality=60, restart_marker_blocks=1),
        "Pillow, rows": lambda: save(image, "JPEG", quality=99, subsampling=1, restart_marker_rows=2),
        "a comment": lambda: save(image, "JPEG", comment=b"\xff\xda\xff\xc2\xff\xd9", icc_profile=bytes(70000)),
    }[kind]()
    assert ("restarts" in kind or "rows" in kind) == (read_scan(data).restart > 0)
    np.testing.assert_array_equal(decode(data)[0], luma(data))
    equal(decode(data), naive.decode(data))


def test_bytes_behind_the_picture_do_not_matter():
    data = encode(rough((20, 30)))
    equal(decode(data + b"\xff\xd8 more"), naive.decode(data))
    assert read_scan(memoryview(data)).codes == read_scan(data).codes


@pytest.mark.compiled
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_parts_are_the_same_samples(sampling):
    data = encode(rough((150, 700)), 80, sampling)
    whole, factors = decode(data), SAMPLINGS[sampling]
    rng = np.random.default_rng(0)
    for _ in range(40):
        rows, columns = (tuple(sorted(rng.choice(n + 1, 2, replace=False).tolist())) for n in (150, 700))
        for c, plane in enumerate(decode(data, rows, columns)):
            (top, left), (bottom, right) = (
                [(n + (f - 1) * way) // f if c else n for n, f in zip(corner, factors, strict=True)]
                for way, corner in ((0, (rows[0], columns[0])), (1, (rows[1], columns[1])))
            )
            np.testing.assert_array_equal(plane[top:bottom, left:right], whole[c][top:bottom, left:right])


def test_a_part_costs_only_its_blocks():
    planes = decode(encode(rough((64, 700)), 80, "444"), (16, 24), (256, 384))
    for plane in planes:
        assert (plane[:16] == 77).all()
        assert (plane[24:] == 77).all()
        assert (plane[:, :256] == 77).all()
        assert (plane[:, 384:] == 77).all()


@pytest.mark.parametrize("seed", range(24))
def test_codes_that_no_encoder_writes(seed):
    data, coefficients = written(seed, restart=seed % 4, fill=b"\xff" * (seed % 3))
    assert len(read_scan(data).codes) == 3
    for ours, theirs in zip(naive.read_coefficients(data), coefficients, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    equal(decode(data), naive.decode(data))
    np.testing.assert_array_equal(decode(data)[0], luma(data))


def one_block(*symbols_and_bits):
    """Make a JPEG of 8 x 8 whose Y has these codes after its DC; Cb and Cr are flat."""
    codes = {0: (bytes([0, 2, *[0] * 14]), b"\0\x03"), 16: (bytes([0, 0, 0, 6, *[0] * 12]), b"\0\xf0\x05\x52\xf1\x11")}
    words = {symbol: word for word, symbol in naive.words(*codes[16]).items()}
    bits = "01101" + "".join(part if isinstance(part, str) else words[part] for part in symbols_and_bits)
    flat = "00" + words[0]
    return (
        naive.headers((8, 8), (1, 1), [[7] * 64] * 3, codes, (0, 0, 0)) + naive.stuffed(bits + 2 * flat) + b"\xff\xd9"
    )


@pytest.mark.parametrize(
    "codes",
    [
        (0xF1, "1", 0xF1, "1", 0xF1, "0", 0xF1, "1"),  # a run to the 64th coefficient and beyond ends in the last
        (0xF0, 0xF0, 0xF0, 0xF0),
        (0xF0, 0xF0, 0xF0, 0x52, "10", 0x52, "01", 0xF1, "1"),
        (0x11, "1", 0x52, "11", 0x05, "10101", 0),
    ],
    ids=["runs past the end", "zeros past the end", "a value past the end", "within"],
)
def test_runs_that_libjpeg_takes_are_taken_alike(codes):
    data = one_block(*codes)
    equal(decode(data), naive.decode(data))
    np.testing.assert_array_equal(decode(data)[0], luma(data))


def test_a_run_without_a_value_ends_the_block():
    codes = {0: (bytes([0, 2, *[0] * 14]), b"\0\x03"), 16: (bytes([0, 2, *[0] * 14]), b"\x02\x50")}
    block = "01101" + "00" + "10" + "01"  # a DC, one value, symbol 0x50
    data = naive.headers((8, 8), (1, 1), [[7] * 64] * 3, codes, (0, 0, 0)) + naive.stuffed(block * 3) + b"\xff\xd9"
    equal(decode(data), naive.decode(data))
    np.testing.assert_array_equal(decode(data)[0], luma(data))


@pytest.mark.skipif(not TRUE_SAMPLE.is_file(), reason="the licence keeps the true sample out; see MHP_SAMPLES")
def test_the_true_sample():
    data = TRUE_SAMPLE.read_bytes()
    assert (read_scan(data).size, read_scan(data).factors) == ((710, 1000), (2, 2))
    np.testing.assert_array_equal(decode(data)[0], luma(data))


# ------------------------------------------------------------------------------------------------- IDCT


@pytest.mark.parametrize("level", range(vectors.LEVEL + 1))
def test_the_inverse_dct_wraps_at_32_bits(level):
    @kernel
    def transform(level, loops, coefficients, steps, work, out, begin, stride):
        inverse_dct(level, loops, coefficients, steps, work, out, begin, stride)

    rng = np.random.default_rng(0)
    for low, high in (-50, 50), (-2048, 2048), (-32768, 32768):
        blocks = rng.integers(low, high, (BLOCKS, 8, 8)).astype(np.int16)
        steps = rng.integers(0, 256, (8, 8)).astype(np.int32)
        out = np.zeros(8 * 32, np.uint64)
        work = np.zeros(64 * BLOCKS, np.int32)
        transform(
            level,
            None if level else True,
            blocks.reshape(BLOCKS, 64).T.ravel().copy(),
            steps.ravel(),
            work,
            out,
            16,
            32,
        )
        samples = out.view(np.uint8).reshape(8, 2, BLOCKS, 8)
        assert not samples[:, 0].any()
        np.testing.assert_array_equal(samples[:, 1].transpose(1, 0, 2), naive.inverse_dct(blocks, steps))


# ------------------------------------------------------------------------------------------------- refused


def with_byte(at, value):
    def change(part):
        part[at] = value
        return part

    return change


PLAIN = changed(JPEG, 0xE0, lambda part: None)
"""Remove the JFIF marker, so that component ids and Adobe's marker take effect."""


def refused():
    image = rough((24, 40))
    yield "no JPEG", b""
    yield "a PNG", save(image, "PNG")
    yield "progressive", save(image, "JPEG", progressive=True)
    yield "gray", save(image, "JPEG", "L")
    yield "CMYK", save(image, "JPEG", "CMYK")
    yield "RGB by Adobe", save(image, "JPEG", keep_rgb=True)
    adobe = naive.part(0xEE, b"Adobe\0\x64\0\0\0\0")
    yield "Adobe, transform 0", b"\xff\xd8" + adobe[:3] + b"\x0e" + adobe[4:] + b"\0" + PLAIN[2:]
    yield "Adobe, transform 2", b"\xff\xd8" + adobe[:3] + b"\x0e" + adobe[4:] + b"\2" + PLAIN[2:]
    names = {0xC0: (6, 9, 12), 0xDA: (1, 3, 5)}
    rgb = PLAIN
    for marker, places in names.items():
        for at, name in zip(places, b"RGB", strict=True):
            rgb = changed(rgb, marker, with_byte(at, name))
    yield "names R, G, B", rgb
    yield "12 bits", changed(JPEG, 0xC0, with_byte(0, 12))
    yield "no height", changed(JPEG, 0xC0, lambda part: part[:1] + b"\0\0" + part[3:])
    yield "no width", changed(JPEG, 0xC0, lambda part: part[:3] + b"\0\0" + part[5:])
    yield "steps of 16 bits", changed(JPEG, 0xDB, lambda part: bytes([part[0] | 0x10]) + bytes(64) + part[1:])
    yield "two scans", changed(JPEG, 0xDA, lambda part: bytes([1, part[1], 0, 0, 63, 0]))
    yield "a part of the coefficients", changed(JPEG, 0xDA, with_byte(8, 5))
    yield "chroma with more than one block", changed(JPEG, 0xC0, with_byte(10, 0x21))
    yield "three columns", changed(JPEG, 0xC0, with_byte(7, 0x31))
    yield "two names the same", changed(changed(JPEG, 0xC0, with_byte(9, 1)), 0xDA, with_byte(3, 1))
    yield "a name that the frame does not have", changed(JPEG, 0xDA, with_byte(3, 9))
    for name, marker in (("extended", 0xC1), ("lossless", 0xC3), ("arithmetic", 0xC9), ("arithmetic, tables", 0xCC)):
        yield name, JPEG.replace(b"\xff\xc0", bytes([0xFF, marker]))
    yield "two frames", changed(JPEG, 0xC0, lambda part: bytes(part) + naive.part(0xC0, bytes(part)))
    yield "no frame", changed(JPEG, 0xC0, lambda part: None)
    yield "no quantiser", changed(JPEG, 0xDB, lambda part: None)
    yield "no codes", changed(JPEG, 0xC4, lambda part: None)
    yield "codes that do not exist", changed(JPEG, 0xDA, with_byte(2, 0x10 | 3))
    yield "a marker without a length", b"\xff\xd8\xff\xd0" + JPEG[2:]
    yield "bytes between markers", b"\xff\xd8\0\0" + JPEG[2:]
    yield "a length of 1", b"\xff\xd8\xff\xe1\0\1" + JPEG[2:]
    yield "a short restart interval", b"\xff\xd8" + naive.part(0xDD, b"\1") + JPEG[2:]
    yield "a code of all ones", changed(JPEG, 0xC4, lambda part: part[:1] + bytes([2, *[0] * 15]) + b"\0\1")
    yield "more codes than bits", changed(JPEG, 0xC4, lambda part: part[:1] + bytes([3, *[0] * 15]) + b"\0\1\2")
    many = bytes([0, 0, 0, 0, 0, 0, 0, 0, 200, 200, *[0] * 6]) + bytes(400)
    yield "more than 256 codes", changed(JPEG, 0xC4, lambda part: part[:1] + many)
    yield "fewer symbols than counted", changed(JPEG, 0xC4, lambda part: part[:-1])
    yield "DC of 16 bits", changed(JPEG, 0xC4, lambda part: part[:17] + bytes([16 + (part[0] & 0x10)]) + part[18:])


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in refused()])
def test_what_is_for_another_decoder(data):
    assert read_scan(data) is None


def test_names_and_markers_that_are_taken():
    adobe = b"\xff\xd8" + naive.part(0xEE, b"Adobe\0\x64\0\0\0\0\1") + PLAIN[2:]
    for data in JPEG, PLAIN, adobe:
        equal(decode(data), naive.decode(JPEG))
    named = dict(refused())["names R, G, B"]
    jfif = b"\xff\xd8" + naive.part(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + named[2:]
    equal(decode(jfif), naive.decode(JPEG))  # JFIF takes precedence over component ids, in libjpeg too
    np.testing.assert_array_equal(decode(jfif)[0], luma(jfif))
    short = b"\xff\xd8" + naive.part(0xE0, b"JFIF\0") + named[2:]
    assert read_scan(short) is None
