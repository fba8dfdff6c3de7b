"""The EXIF orientation of untrusted files, and pixels rotated by it, compared with Pillow."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from images import join_png, picture, save
from PIL import Image, ImageOps

from mhpdata.images.decode import decode_image
from mhpdata.images.exif import read_orientation, turn

RGB = picture()
KINDS = {"JPEG": {}, "PNG": {}, "WEBP": {"lossless": True}}


def tiff(order: str, *entries: tuple[int, int, int, int], at: int = 8, count: int | None = None) -> bytes:
    """Make a TIFF structure of one directory with entries (tag, type, number, value) of 16-bit values."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    body = b"".join(struct.pack(f"{order}HHIHxx", *entry) for entry in entries)
    length = len(entries) if count is None else count
    return mark + struct.pack(f"{order}I", at) + bytes(at - 8) + struct.pack(f"{order}H", length) + body + bytes(4)


def jpeg(*segments: bytes, stray: bytes = b"") -> bytes:
    """Make a JPEG with APP1 segments after its SOI."""
    data = save(RGB, "JPEG")
    parts = [b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment for segment in segments]
    return data[:2] + stray + b"".join(parts) + data[2:]


def oriented(value: int, order: str = "<") -> bytes:
    return tiff(order, (0x010F, 2, 4, 65), (0x0112, 3, 1, value))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_all_orientations_as_pillow_turns_them(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(RGB, kind, exif=exif, **KINDS[kind])
    assert read_orientation(data) == orientation
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    turned = turn(decode_image(data, "a")[0], orientation)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, shown)
    np.testing.assert_array_equal(turn(RGB[..., 0], orientation), turn(RGB, orientation)[..., 0])


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_and_the_mark_of_a_jpeg_in_other_formats(order):
    block = oriented(8, order)
    assert read_orientation(jpeg(b"Exif\0\0" + block)) == 8
    for prefix in (b"", b"Exif\0\0"):
        assert read_orientation(join_png((b"tEXt", b"a\0b"), (b"IDAT", b""), (b"eXIf", prefix + block))) == 8
        body = b"VP8X" + struct.pack("<I", 10) + bytes([8]) + bytes(9) + b"odd " + struct.pack("<I", 3) + b"123\0"
        body += b"EXIF" + struct.pack("<I", len(prefix + block)) + prefix + block
        assert read_orientation(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body) == 8
        assert read_orientation(b"RIFF" + struct.pack("<I", 40) + b"WEBP" + body) == 1, "after the end of the RIFF"


def test_only_the_first_block_before_the_pixels_counts():
    mark = b"Exif\0\0"
    assert read_orientation(jpeg(b"http://ns.adobe.com/xap/1.0/\0", mark + oriented(3), mark + oriented(6))) == 3
    assert read_orientation(jpeg(mark + oriented(3), stray=b"\0\0\xff\xff\xff\xd0")) == 3
    whole = save(RGB, "JPEG")
    assert read_orientation(whole + jpeg(mark + oriented(3))) == 1, "a second JPEG after the first"
    assert read_orientation(join_png((b"IEND", b""), (b"eXIf", oriented(3)))) == 1
    assert read_orientation(jpeg(mark + tiff("<", (0x010F, 2, 4, 65)))) == 1, "no orientation is recorded"
    for kind in ("BMP", "GIF", "WEBP"):
        assert read_orientation(save(RGB, kind)) == 1


@pytest.mark.parametrize(
    "block, found",
    [
        (b"", "begins with b''"),
        (b"JUNK" + oriented(6)[4:], "begins with b'JUNK'"),
        (oriented(6)[:6], "ends after 6 bytes"),
        (oriented(6)[:9], "directory begins at byte 8 of 9"),
        (b"MM\0*\xff\xff\xff\xf0" + bytes(30), "directory begins at byte 4294967280"),
        (b"II*\0" + bytes(30), "directory begins at byte 0"),
        (oriented(6)[:30], "2 entries reaches past its end"),
        (tiff(">", (0x0112, 3, 1, 6), count=65535), "65535 entries reaches past its end"),
        (tiff("<", (0x0112, 3, 1, 6), (0x0112, 3, 1, 8)), "more than one orientation"),
        (tiff("<", (0x0112, 4, 1, 6)), "1 values of type 4"),
        (tiff("<", (0x0112, 3, 2, 6)), "2 values of type 3"),
        (oriented(0), "value 0"),
        (oriented(9), "value 9"),
        (oriented(6 << 8), "value 1536"),
    ],
)
def test_a_damaged_block_is_told(block, found):
    for data in (jpeg(b"Exif\0\0" + block), join_png((b"eXIf", block))):
        with pytest.raises(ValueError, match=found):
            read_orientation(data)


def test_any_damage_is_an_orientation_or_a_valueerror_and_takes_no_time():
    rng = np.random.default_rng(0)
    data = jpeg(b"Exif\0\0" + oriented(6))[:200]
    for _ in range(2000):
        damaged = bytearray(data[: rng.integers(2, len(data))])
        damaged[rng.integers(2, len(damaged) + 1) - 1] = rng.integers(256)
        damaged[:2] = b"\xff\xd8"
        try:
            assert read_orientation(bytes(damaged)) in range(1, 9)
        except ValueError as error:
            assert str(error)
    assert read_orientation(b"\xff\xd8" + b"\xff" * (1 << 22)) == 1
    for many in (b"\xff\xd8" + b"\xff\xfe\0\2" * (1 << 17), join_png(*[(b"tEXt", b"")] * ((1 << 16) + 1))):
        with pytest.raises(ValueError, match="more than 65536"):
            read_orientation(many)
