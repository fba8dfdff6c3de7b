"""Headers: type and size of a file without decoding it; ``baseline`` only for JPEGs that every reader supports."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from allocation import at_most
from images import SIZE, huge, join_png, picture, save, write_png

from mhpdata.errors import ImageError, MaskError
from mhpdata.images.decode import decode_image
from mhpdata.images.header import MAX_SCANS, Header, read_header
from mhpdata.images.label_png import decode_mask
from mhpdata.images.size import MAX_PIXELS

RGB = picture()
JPEG = save(RGB, "JPEG")


@pytest.mark.parametrize(
    ("options", "baseline"),
    [
        ({"subsampling": "4:4:4"}, True),
        ({"subsampling": "4:2:2"}, True),
        ({"subsampling": "4:2:0"}, True),
        ({"progressive": True}, False),
        ({"mode": "L"}, False),
        ({"mode": "CMYK"}, False),
    ],
)
def test_baseline(options, baseline):
    data = save(RGB, "JPEG", **options)
    channels = {"L": 1, "CMYK": 4}.get(options.get("mode"), 3)
    expected = Header("jpeg", *SIZE, channels, 8, gray=channels == 1, baseline=baseline, end=len(data))
    assert read_header(data, "a.jpg") == expected


def test_440_is_baseline():
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440]
    assert read_header(cv2.imencode(".jpg", RGB, options)[1].tobytes(), "a.jpg").baseline


@pytest.mark.parametrize("extra", [b"\0", b"\xff", b"junk", b"\xff\xd9\0"])
def test_bytes_after_the_end_are_not_baseline(extra):
    assert not read_header(JPEG + extra, "a.jpg").baseline


def test_the_end_is_that_of_the_picture():
    thumbnail = b"\xff\xe1" + (2 + len(JPEG)).to_bytes(2, "big") + JPEG  # in a segment, with its own EOI
    for data, trailer in ((JPEG, b""), (JPEG, b"\0"), (JPEG, JPEG), (JPEG[:2] + thumbnail + JPEG[2:], b"\xff\xd9")):
        assert read_header(data + trailer, "a.jpg").end == len(data)
    assert read_header(JPEG[:-2], "a.jpg").end == 0
    assert read_header(JPEG[:-1], "a.jpg").end == 0


def test_other_process_or_depth_is_not_baseline():
    frame = JPEG.index(b"\xff\xc0")
    extended = JPEG[: frame + 1] + b"\xc1" + JPEG[frame + 2 :]
    twelve = JPEG[: frame + 4] + b"\x0c" + JPEG[frame + 5 :]
    assert not read_header(extended, "a.jpg").baseline
    assert read_header(twelve, "a.jpg").bits == 12
    assert not read_header(twelve, "a.jpg").baseline


def test_fill_bytes_and_segments_before_the_frame_are_passed():
    segment = b"\xff\xe5\x00\x06\xff\xc0\x00\x11"  # its content looks like a frame
    assert read_header(JPEG[:2] + segment + b"\xff\xff\xff\x01" + JPEG[2:], "a.jpg").height == SIZE[0]


@pytest.mark.parametrize(
    ("color", "bits", "channels"),
    [(0, 1, 1), (0, 8, 1), (0, 16, 1), (2, 8, 3), (2, 16, 3), (3, 1, 1), (3, 4, 1), (3, 8, 1), (4, 8, 2), (6, 16, 4)],
)
def test_png(color, bits, channels):
    palette = [(b"PLTE", bytes(6))] * (color == 3)
    data = write_png(np.zeros((3, 5 * channels * bits // 8 + 1), np.uint8), 5, bits, color, *palette)
    assert read_header(data, "a.png") == Header("png", 3, 5, channels, bits, gray=color in (0, 4), palette=color == 3)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "empty file"),
        (b"0001.jpg\n", "has no known image format (starts with '0001.jpg')"),
        (b"GIF89a" + bytes(20), "declares 0 x 0 pixels"),
        (b"GIF80a" + bytes(20), "starts with 'GIF80a"),
        (b"\xff", "starts with '\\xff'"),
        (b"\xff\xd8", "truncated JPEG"),
        (b"\xff\xd8" + bytes(20), "truncated JPEG"),
        (b"\xff\xd8\xff\xd9", "truncated JPEG"),
        (JPEG[: JPEG.index(b"\xff\xc0") + 8], "truncated JPEG"),
        (b"\x89PNG\r\n\x1a\n", "truncated PNG"),
        (join_png((b"IDAT", b""), (b"IEND", b"")), "does not begin with IHDR"),
        (join_png((b"IHDR", bytes(12)), (b"IEND", b"")), "does not begin with IHDR"),
        (join_png((b"IHDR", b"\0\0\0\x01\0\0\0\x01\x08\x05\0\0\0"), (b"IEND", b"")), "colour type 5"),
        (join_png((b"IHDR", b"\0\0\0\0\0\0\0\x01\x08\x00\0\0\0"), (b"IEND", b"")), "declares 1 x 0 pixels"),
        (huge("jpeg", 0), "declares 0 x 0 pixels"),
    ],
)
def test_not_an_image(data, found):
    with pytest.raises(ImageError) as caught:
        read_header(data, "images/0001.jpg")
    assert found in caught.value.found
    assert caught.value.place == "images/0001.jpg"
    assert caught.value.remedy


def with_scans(count):
    """Make a JPEG of ``count`` scans; those in a comment and after its end do not count."""
    frame = JPEG.index(b"\xff\xc0")
    scan = b"\xff\xda\0\x08\1\1\0\0\x3f\0codes\xff\0"
    comment = b"\xff\xfe" + (2 + 200 * len(scan)).to_bytes(2, "big") + scan * 200
    return JPEG[: frame + 19] + comment + scan * count + b"\xff\xd9" + scan * 200


def test_a_hundred_scans_are_the_limit():
    assert MAX_SCANS == 100
    assert read_header(with_scans(100), "a").channels == 3
    with pytest.raises(ImageError, match="a progressive JPEG of 101 scans; expected at most 100"):
        read_header(with_scans(101), "a")


def png_of(height, width):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return join_png((b"IHDR", header), (b"IDAT", b""), (b"IEND", b""))


@pytest.mark.parametrize(("height", "width"), [(65535, 1), (1, 65535), (8192, 8192)])
def test_the_longest_sides_and_the_most_pixels(height, width):
    header = read_header(png_of(height, width), "a")
    assert (header.height, header.width) == (height, width)
    larger = (height + 1, width) if height > 1 else (height, width + 1)
    with pytest.raises(ImageError, match="65,535 per side"):
        read_header(png_of(*larger), "a")


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("side", [8193, 60000])
def test_a_huge_claim_costs_nothing(kind, side):
    data = huge(kind, side)
    assert len(data) < 100 and side * side > MAX_PIXELS
    with at_most(1 << 20), pytest.raises(ImageError, match=f"declares {side} x {side} = {side * side:,} pixels"):
        read_header(data, "a")


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"II*\0", "is a TIFF"),
        (b"MM\0*", "is a TIFF"),
        (b"\0\0\0\x18ftypheic", "is a HEIC"),
        (b"\0\0\0\x1cftypavif", "is an AVIF"),
        (b"\0\0\0\x0cJXL ", "is a JPEG XL"),
    ],
)
def test_a_whole_image_of_another_format_is_to_be_converted(start, found):
    with pytest.raises(ImageError, match=rf"^a\.jpg: {found}, which mhp does not read; .* Convert it to JPEG or PNG"):
        decode_image(start + bytes(64), "a.jpg")
    with pytest.raises(MaskError, match=rf"^1\.png: {found}, .* Save it as an 8-bit gray or palette PNG"):
        decode_mask(start + bytes(64), "1.png", (1, 1), 19)
    with pytest.raises(
        ImageError, match=r"has no known image format \(starts with '<svg'\).* Extract the archive again"
    ):
        decode_image(b"<svg", "a.jpg")


@pytest.mark.parametrize("page", [b"<html><body>", b"\xef\xbb\xbf\n <!DOCTYPE html>\n<html>", b"<HTML lang='en'"])
def test_a_web_page_is_named_and_fetched_again(page):
    with pytest.raises(
        ImageError, match=r"is a web page, not an image \(starts with .<(html|!DOCTYPE html|HTML lang)"
    ) as caught:
        decode_image(page, "a.jpg")
    assert caught.value.remedy.startswith("Download or extract it again. To pack without this image, pass --on-error")
