"""Every supported type of BMP decodes to the pixels of its specification, by arithmetic; others are rejected."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from images import pack_samples, palette_of, picture

from mhpdata.errors import ImageError
from mhpdata.images.decode import decode_image

SIZE = (11, 13)


def bmp(pixels, bits, size, *, header=40, packing=0, masks=(), palette=b"", used=0, top=False):
    """Make a BMP of encoded pixel bytes."""
    height, width = size
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", 40, width, -height if top else height, 1, bits, packing, 0, 1, 1, used, 0)
        info += b"".join(struct.pack("<I", mask) for mask in masks)
        info = struct.pack("<I", header) + info[4:] + bytes(max(0, header - len(info)))
    at = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(pixels), 0, 0, at) + info + palette + pixels


def lines(rows, top=False):
    """Join rows of bytes, each padded to a multiple of 4, the last row first."""
    padded = [row + bytes(-len(row) % 4) for row in rows]
    return b"".join(padded if top else padded[::-1])


def words(image, masks, bits):
    """Pack 8-bit RGB into bit fields by its highest bits; return both fields and decoded values, nearest in 0..255."""
    packed, shown = np.zeros(image.shape[:2], np.uint64), np.empty_like(image)
    for channel, mask in enumerate(masks):
        low = (mask & -mask).bit_length() - 1
        most = mask >> low
        field = (image[..., channel].astype(float) * most / 255).astype(np.uint64)
        packed |= field << np.uint64(low)
        shown[..., channel] = np.floor(field * (255 / most) + 0.5)
    return [row.astype(f"<u{bits // 8}").tobytes() for row in packed], shown


RGB = picture(size=SIZE)
INDICES = np.random.default_rng(8).integers(0, 16, SIZE)


def bgr(palette, fourth=b"\0"):
    return b"".join(colour[::-1].tobytes() + fourth for colour in palette)


def indexed(bits, **options):
    indices, three = INDICES % (1 << bits), options.get("header") == 12
    rows = pack_samples(indices[..., None], bits)
    palette = bgr(palette_of(bits), b"" if three else b"\0")
    return bmp(lines(rows, options.get("top")), bits, SIZE, palette=palette, **options), palette_of(bits)[indices]


def fielded(bits, masks, header=40, packing=3):
    rows, shown = words(RGB, masks, bits)
    taken = masks if packing in (3, 6) else ()
    if packing == 6:
        taken = (*masks, 0xFF000000)
    return bmp(lines(rows), bits, SIZE, header=header, packing=packing, masks=taken), shown


def plain(**options):
    rows = [row[:, ::-1].tobytes() for row in RGB]
    return bmp(lines(rows, options.get("top")), 24, SIZE, **options), RGB


def with_alpha(header):
    rows = [np.dstack([RGB[..., ::-1], INDICES.astype(np.uint8)])[y].tobytes() for y in range(SIZE[0])]
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    return bmp(lines(rows), 32, SIZE, header=header, packing=3, masks=masks), RGB


def in_runs(bits):
    """Encode alternating runs and literal bytes."""
    data = b""
    for y in range(SIZE[0])[::-1]:
        x = 0
        for count in [1, 5, 4, 3]:
            part = INDICES[y, x : x + count]
            if y % 2 and count >= 3:
                packed = pack_samples(part[None, :, None], bits)[0]
                data += bytes([0, count]) + packed + bytes(len(packed) % 2)
            elif bits == 4 and count == 4:
                part[2:] = part[:2]
                data += bytes([4, part[0] << 4 | part[1]])
            else:
                for index in part.tolist():
                    data += bytes([1, index << 4 if bits == 4 else index])
            x += count
        data += b"\0\0"
    palette = palette_of(4 if bits == 4 else 8)
    packing = {8: 1, 4: 2}[bits]
    return bmp(data + b"\0\1", bits, SIZE, packing=packing, palette=bgr(palette)), palette[INDICES]


BMPS = {
    "1 bit": lambda: indexed(1),
    "4 bits": lambda: indexed(4),
    "8 bits": lambda: indexed(8),
    "8 bits, OS/2": lambda: indexed(8, header=12),
    "8 bits, OS/2 2": lambda: indexed(8, header=64),
    "4 bits, from the top": lambda: indexed(4, top=True),
    "8 bits, runs": lambda: in_runs(8),
    "4 bits, runs": lambda: in_runs(4),
    "24 bits": plain,
    "24 bits, from the top": lambda: plain(top=True),
    "24 bits, OS/2": lambda: plain(header=12),
    "24 bits, V5": lambda: plain(header=124),
    "16 bits": lambda: fielded(16, (0x7C00, 0x3E0, 0x1F), packing=0),
    "16 bits, 555": lambda: fielded(16, (0x7C00, 0x3E0, 0x1F)),
    "16 bits, 565": lambda: fielded(16, (0xF800, 0x7E0, 0x1F)),
    "16 bits, 444, V4": lambda: fielded(16, (0xF00, 0xF0, 0xF), header=108),
    "16 bits, blue first": lambda: fielded(16, (0x1F, 0x7E0, 0xF800)),
    "32 bits": lambda: fielded(32, (0xFF0000, 0xFF00, 0xFF), packing=0),
    "32 bits, fields": lambda: fielded(32, (0xFF0000, 0xFF00, 0xFF)),
    "32 bits, red last": lambda: fielded(32, (0xFF, 0xFF00, 0xFF0000)),
    "32 bits, alpha last": lambda: fielded(32, (0xFF000000, 0xFF0000, 0xFF00)),
    "32 bits, 10 each": lambda: fielded(32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "32 bits, 11 11 10": lambda: fielded(32, (0xFFE00000, 0x1FFC00, 0x3FF), header=52),
    "32 bits, 3 1 16": lambda: fielded(32, (0xE0000000, 0x1000000, 0xFFFF), header=56),
    "32 bits, with a mask of alpha": lambda: fielded(32, (0xFF, 0xFF00, 0xFF0000), packing=6),
    "32 bits, V4 with alpha": lambda: with_alpha(108),
    "32 bits, V5 with alpha": lambda: with_alpha(124),
}


@pytest.mark.parametrize("name", BMPS)
def test_bmps_of_every_kind(name, capfd):
    data, shown = BMPS[name]()
    pixels, header = decode_image(data, "a.bmp")
    np.testing.assert_array_equal(pixels, shown)
    assert (header.kind, header.height, header.width) == ("bmp", *SIZE)
    for length in [*range(0, len(data), 7), len(data) - 1]:
        with pytest.raises(ImageError, match=r"BMP|empty|starts with"):
            decode_image(data[:length], "a.bmp")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (fielded(32, (0xFF, 0xFF, 0xFF00))[0], "masks 0xff, 0xff, 0xff00"),
        (fielded(32, (0xF0F, 0xF000, 0xF0000))[0], "masks 0xf0f"),
        (bmp(bytes(999), 16, SIZE, packing=3, masks=(0xFF0000, 0xFF00, 0xFF)), "masks 0xff0000"),
        (bmp(bytes(999), 32, SIZE, packing=3, masks=(0, 0xFF00, 0xFF)), "masks 0x0"),
        (bmp(bytes(999), 8, SIZE, packing=4), "compression 4"),
        (bmp(bytes(999), 24, SIZE, packing=1), "24 bits per pixel, compression 1"),
        (bmp(bytes(999), 2, SIZE), "2 bits per pixel"),
        (bmp(bytes(999), 8, SIZE, packing=1, top=True), "-11 x 13 pixels"),
        (bmp(bytes(999), 24, SIZE, header=41), "a header of 41 bytes"),
        (bmp(bytes(999), 8, SIZE, header=64, packing=3), "compression 3"),
        (bmp(b"\7" * 999, 8, SIZE, palette=bytes(28)), "colour 7, but its palette has 7 colours"),
        (bmp(b"\x0d\1\0\1", 8, SIZE, packing=1, palette=bytes(1024)), "its runs give 13 of 143 pixels"),
        (bmp(b"\x0e\1\0\1", 8, SIZE, packing=1, palette=bytes(1024)), "a run of 14 pixels at row 0, column 0"),
        (bmp(b"\0\2\1\1\0\1", 8, SIZE, packing=1, palette=bytes(1024)), "its runs skip pixels"),
        (bmp(b"\0\5\1", 8, SIZE, packing=1, palette=bytes(1024)), "a run of 5 pixels"),
        (bmp(b"\x0d\1\0\0" * 11, 8, SIZE, packing=1, palette=bytes(1024)), "its runs have no end mark"),
    ],
)
def test_bmps_that_are_refused(data, found):
    with pytest.raises(ImageError, match=found):
        decode_image(data, "a.bmp")
