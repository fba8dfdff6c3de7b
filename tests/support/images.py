"""Make image files with Pillow or byte by byte, for tests of readers."""

from __future__ import annotations

import io
import struct
import zlib

import naive
import numpy as np
from PIL import Image

SIZE = (37, 53)  # neither side is a multiple of a JPEG block, so that edges are covered


def picture(channels: int = 3, dtype: type = np.uint8, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return smooth samples (height, width, channels) over the whole range of ``dtype``."""
    y, x, c = np.meshgrid(*map(np.arange, (*size, channels)), indexing="ij")
    waves = np.sin(y / (5 + c)) + np.sin(x / (9 - c)) + np.sin((x + y) / 3)
    return np.round((waves + 3) / 6 * np.iinfo(dtype).max).astype(dtype)


def save(image: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    """Encode a file with Pillow, after converting to ``mode``."""
    file = io.BytesIO()
    taken = Image.fromarray(image.squeeze())
    (taken.convert(mode) if mode else taken).save(file, kind, **options)
    return file.getvalue()


def pillow_rgb(data: bytes) -> np.ndarray:
    """Decode a file with Pillow."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def write_png(rows: np.ndarray, width: int, bits: int, color: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Make a PNG of unfiltered rows, uint8 (height, bytes per row), with ``chunks`` before the pixels."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return join_png((b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b""))


def encode_png(
    samples: np.ndarray,
    bits: int,
    color: int,
    *chunks: tuple[bytes, bytes],
    interlaced: bool = False,
    filters: str = "0",
) -> bytes:
    """Make a PNG of samples (height, width, channels), stored as given; rows cycle through ``filters``."""
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    passes = [samples[y::down, x::right] for y, x, down, right in (ADAM7 if interlaced else [(0, 0, 1, 1)])]
    stream = b"".join(naive.filter_rows(pack_samples(part, bits), bits * part.shape[2], filters) for part in passes)
    half = zlib.compress(stream)
    at = len(half) // 2
    return join_png((b"IHDR", header), *chunks, (b"IDAT", half[:at]), (b"IDAT", half[at:]), (b"IEND", b""))


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def pack_samples(samples: np.ndarray, bits: int) -> list[bytes]:
    """Pack each row of samples (height, width, channels) into bytes, the first sample in the highest bits."""
    if not samples.size:
        return []
    if bits >= 8:
        return [row.astype(f">u{bits // 8}").tobytes() for row in samples]
    each = np.unpackbits(samples.astype(np.uint8).reshape(len(samples), -1, 1), axis=2)[..., 8 - bits :]
    return [row.tobytes() for row in np.packbits(each.reshape(len(samples), -1), axis=1)]


def join_png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Make a PNG of these chunks with correct CRCs."""
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def zeros(size: int) -> bytes:
    """Make a zlib stream of ``size`` zeros, a multiple of 16 MiB, in a thousandth of the bytes."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflater.compress(bytes(1 << 24)) + deflater.flush(zlib.Z_FULL_FLUSH)
    check = size % 65521 << 16 | 1  # Adler-32
    return b"\x78\x9c" + block * (size >> 24) + b"\x03\x00" + struct.pack(">I", check)


def huge(kind: str, side: int = 60000) -> bytes:
    """Make a file of a few bytes that declares side x side pixels."""
    if kind == "jpeg":
        frame = struct.pack(">BHHB", 8, side, side, 3) + b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
        return b"\xff\xd8\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame + b"\xff\xda\x00\x02\xff\xd9"
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return join_png((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))


def palette_of(bits):
    """Return random colours for every index of ``bits`` bits: uint8 (2**bits, 3), the same at every call."""
    return np.random.default_rng(bits).integers(0, 256, (1 << bits, 3)).astype(np.uint8)
