"""Tiny JPEGs, odd but valid or damaged, each made from a number: effects of cameras, editors and disks.

Odd: of every sampling, with restarts, progressive, gray, CMYK, RGB by Adobe, and with content that viewers skip: broken
EXIF, ICC, Adobe and JFIF segments, stray and fill bytes between segments, trailers. Damaged: the same with bytes
changed, removed, inserted or cut off anywhere.
"""

from __future__ import annotations

import functools
import random

import cv2
from images import save
from jpegs import encode, rough, written

from mhpdata.images.formats.segments import SOS, Segment, segments

SAMPLINGS = ("444", "422", "440", "420", "411")
SIZES = ((1, 1), (2, 3), (5, 4), (8, 8), (9, 17), (16, 5), (17, 33), (24, 40), (1, 40), (40, 1))


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


@functools.cache
def bases() -> tuple[bytes, ...]:
    """Return undamaged JPEGs of every type."""
    found = []
    for i, size in enumerate(SIZES):
        image = rough(size, i)
        found += [encode(image, 60 + 4 * i, sampling) for sampling in SAMPLINGS]
        restart = [cv2.IMWRITE_JPEG_RST_INTERVAL, 1 + i % 3, cv2.IMWRITE_JPEG_QUALITY, 70]
        found.append(cv2.imencode(".jpg", image, restart)[1].tobytes())
        found.append(save(image, "JPEG", quality=80, subsampling=i % 3, progressive=True))
        options = ({"optimize": True}, {"mode": "L"}, {"mode": "CMYK"}, {"keep_rgb": True}, {"restart_marker_rows": 1})
        found.append(save(image, "JPEG", **options[i % 5]))
        found.append(written(i, restart=i % 3)[0])
    return tuple(found)


def before_codes(data: bytes) -> list[Segment]:
    """Return the segments up to the header of the first scan."""
    found = []
    for part in segments(data):
        found.append(part)
        if part.marker == SOS:
            break
    return found


def icc(number: int, count: int, size: int = 30) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0" + bytes([number, count]) + bytes(size))


def odd_parts(rng: random.Random) -> bytes:
    """Return bytes between two segments that no pixel depends on, valid or not."""
    kind = rng.randrange(14)
    if kind == 0:  # incomplete, doubled, misnumbered, empty
        return rng.choice(
            (icc(1, 2), icc(1, 1) * 2, icc(0, 1), icc(3, 2), icc(1, 1, 0), segment(0xE2, b"ICC_PROFILE\0"))
        )
    if kind == 1:
        return bytes(rng.randrange(255) for _ in range(rng.randrange(1, 40)))
    if kind == 2:  # 255s are fill bytes, but only before a marker
        return b"\xff" * rng.randrange(1, 5) + segment(0xFE, b"filled")
    if kind == 3:
        return b"\0\xff\0" + b"\xff\x00" * rng.randrange(3)
    if kind == 4:  # Adobe segments: too short, with an unknown transform, too long
        return segment(0xEE, rng.choice((b"Adobe", b"Adobe\0\x64\0\0\0\0\7", b"Adobe\1\x64\0\0\0\0\x80more", b"Adob")))
    if kind == 5:
        return segment(
            0xE0, rng.choice((b"JFIF\0\x09\1\0\0\1\0\1\0\0", b"JFIF\0\1\1\0\0\1\0\1\xff\xff", b"JFIF", b"JFXX\0\x10"))
        )
    if kind == 6:
        return segment(0xE1, b"Exif\0\0" + rng.choice((b"", b"MM", b"II*\0\xff\xff\xff\xff", rng.randbytes(50))))
    if kind == 7:
        return b"\xff\xe1\0" + bytes([rng.randrange(3)])  # too short to hold its own length
    if kind == 8:
        return segment(0xFE, b"\xff\xda\xff\xd8\xff\xd9" * rng.randrange(4))
    if kind == 9:
        return rng.choice((b"\xff\x01", b"\xff\xd0", b"\xff\xd7"))
    if kind == 10:
        return segment(0xED, b"Photoshop 3.0\0" + rng.randbytes(rng.randrange(60)))
    if kind == 11:
        return segment(0xE2, b"MPF\0" + rng.randbytes(20))
    return segment(rng.choice((0xE3, 0xE7, 0xEF)), rng.randbytes(rng.randrange(80)))


def trailer(rng: random.Random) -> bytes:
    """Return a trailer: another image, the bytes of a video, zeros."""
    return rng.choice(
        (
            b"\0",
            b"\n",
            b"\xff",
            b"\xff\xd9",
            rng.choice(bases()),
            rng.randbytes(3) + b"\xff\xda\0\x08" * 132,
            bytes(200),
        )
    )


def odd(number: int) -> bytes:
    """Return an odd JPEG that every viewer shows completely."""
    rng = random.Random(number)
    data = bases()[number % len(bases())]
    for _ in range(rng.randrange(4)):
        at = rng.choice(
            before_codes(data)[:-1]
        ).end  # not directly after SOI: viewers identify a JPEG by its third byte
        data = data[:at] + odd_parts(rng) + data[at:]
    return data + (trailer(rng) if rng.random() < 0.3 else b"")


def damaged(number: int) -> bytes:
    """Return a JPEG, odd or not, with a few bytes changed."""
    rng = random.Random(-number - 1)
    data = bytearray(odd(number) if rng.random() < 0.3 else bases()[number % len(bases())])
    scan = before_codes(bytes(data))[-1].begin
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(min(scan, len(data)) if rng.random() < 0.8 else 2, len(data) + 1)
        kind, end = rng.randrange(8), at + rng.choice((1, 2, 8, 30))
        if kind < 4 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 4:
            data[at:end] = rng.randbytes(end - at)
        elif kind == 5:
            del data[at:end]
        elif kind == 6:
            data[at:at] = data[at:end] if rng.random() < 0.5 else bytes([0xFF, rng.choice((0, 0xD0, 0xD3, 0xD9, 0xDA))])
        elif kind == 7 and rng.random() < 0.5:
            del data[at:]
    return bytes(data)
