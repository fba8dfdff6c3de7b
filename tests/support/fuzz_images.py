"""Fuzz targets that read images and label maps, and their valid inputs."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import cv2
import numpy as np
from fuzz_target import Seeds
from images import picture, save
from make_golden import GOLDEN, SOURCE_SIZE, masks

from mhpdata.drawing.jpeg.grid import grid
from mhpdata.drawing.jpeg.planes import Workplace, decode_planes
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.images.decode import decode_file, decode_jpeg
from mhpdata.images.label_png import decode_mask
from mhpdata.packing.crosscheck import find_difference
from mhpmodels.files.png import decode_labels


def read_photo(data: bytes, _: int) -> Any:
    """Read an image of a download; a JPEG that is stored without its oddities must keep its pixels."""
    decoded = decode_file(data, "photo")
    pixels, header = decoded.pixels, decoded.header
    if decoded.jpeg is not None and header.height * header.width < 1 << 20:
        np.testing.assert_array_equal(decode_jpeg(decoded.jpeg), pixels)
        find_difference(decoded.jpeg, pixels)
    assert pixels.shape == (header.height, header.width, 3) and pixels.dtype == np.uint8
    return pixels.tobytes()


def read_label_png(data: bytes, _: int) -> Any:
    """Read a mask of a download."""
    mask = decode_mask(data, "mask", SOURCE_SIZE, 19)
    assert mask.shape == SOURCE_SIZE and set(np.unique(mask)) <= {*range(19), 255}
    return mask.tobytes()


def read_red_png(data: bytes, _: int) -> Any:
    """Read a mask of MHP v2."""
    mask = decode_mask(data, "mask", SOURCE_SIZE, 59, red=True)
    assert mask.shape == SOURCE_SIZE and set(np.unique(mask)) <= {*range(59), 255}
    return mask.tobytes()


def read_predicted_png(data: bytes, _: int) -> Any:
    """Read a predicted label map."""
    labels = decode_labels(data, "prediction", SOURCE_SIZE, 1 << 16)
    assert labels.shape == SOURCE_SIZE and labels.dtype in (np.uint8, np.uint16)
    return labels.tobytes()


def repair_png(data: bytes) -> bytes:
    """Correct the CRC of every chunk that can still be identified."""
    fixed, at = bytearray(data), 8
    while at + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, at)
        if at + 12 + length > len(fixed):
            break
        struct.pack_into(">I", fixed, at + 8 + length, zlib.crc32(fixed[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(fixed)


def read_jpeg_planes(data: bytes, _: int) -> Any:
    """Decode with the loader's JPEG decoder; None if it leaves the JPEG to libjpeg, False if the codes are damaged."""
    scanned = read_scan(data)
    if scanned is None or scanned.size[0] * scanned.size[1] > 1 << 20:
        return None
    target, (height, width) = grid(scanned.size, scanned.factors), scanned.size
    planes = np.zeros(target.size, np.uint8)
    codes = np.frombuffer(data, np.uint8).copy()
    rows, columns = (height // 3, height), (width // 4, max(width // 4 + 1, width // 2))
    done = decode_planes(codes, scanned, (0, height), (0, width), planes, Workplace())
    assert decode_planes(codes, scanned, rows, columns, np.zeros_like(planes), Workplace()) or not done
    return done and planes.tobytes()


def jpegs() -> Seeds:
    """Return JPEGs of all samplings, and progressive, gray and CMYK ones."""
    plain = [save(picture(3), "JPEG", quality=80, subsampling=k) for k in (0, 1, 2)]
    others = [save(picture(3), "JPEG", progressive=True), save(picture(1), "JPEG")]
    return [(GOLDEN / "photo.jpg").read_bytes(), *plain, *others, save(picture(4), "JPEG", mode="CMYK")]


def others() -> Seeds:
    """Return images in other formats: BMP, lossy and lossless WebP, GIF."""
    bgr = picture(3)
    lossy, lossless = ([cv2.IMWRITE_WEBP_QUALITY, quality] for quality in (80, 101))
    kinds = ((".bmp", []), (".webp", lossy), (".webp", lossless))
    return [*(cv2.imencode(suffix, bgr, options)[1].tobytes() for suffix, options in kinds), save(picture(3), "GIF")]


def red_pngs() -> Seeds:
    """Return masks with the label in the red channel."""
    return [save(np.dstack([mask, np.zeros_like(mask), np.zeros_like(mask)]), "PNG") for mask in masks()]


def pngs() -> Seeds:
    """Return label maps as RGB, RGBA, 16-bit and 8-bit gray."""
    plain = (GOLDEN / "photo.png").read_bytes()
    return [plain, save(picture(4), "PNG"), save(picture(1, np.uint16), "PNG"), save(masks()[0], "PNG")]


def label_pngs() -> Seeds:
    return [save(mask, "PNG") for mask in masks()]
