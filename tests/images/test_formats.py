"""Every kind of PNG, BMP, GIF and WebP that is taken: the pixels are those that the file says, in every environment.

PNG, BMP and GIF are held against arithmetic; WebP, which OpenCV decodes, against digests, as its files are given here
byte by byte. The digests of all kinds are those of OpenCV 4.11 and 5.0 alike: this file runs with both.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib

import numpy as np
import pytest
from images import encode_png, join_png, pack_samples, picture, save
from PIL import Image

from mhpdata.errors import ImageError, MaskError
from mhpdata.images.decode import decode_image
from mhpdata.images.header import AS_ONE
from mhpdata.images.label_png import decode_mask

SIZE = (11, 13)
DEPTHS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8)]
DEPTHS += [(4, 8), (4, 16), (6, 8), (6, 16)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def random_samples(color, bits, size=SIZE):
    rng = np.random.default_rng([color, bits])
    return rng.integers(0, 1 << bits, (*size, CHANNELS[color]))


def palette_of(bits):
    return np.random.default_rng(bits).integers(0, 256, (1 << bits, 3)).astype(np.uint8)


def as_rgb(samples, color, bits):
    """What the specification says that samples show, alpha dropped, to the nearest of 8 bits."""
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
    """Some encoders pad the stream; libpng warns, and takes what it needs."""
    samples = random_samples(2, 8)
    header = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row for row in pack_samples(samples, 8))
    for stream in (zlib.compress(rows) + b"more", zlib.compress(rows + bytes(999))):
        data = join_png((b"IHDR", header), (b"IDAT", stream), (b"IEND", b""))
        np.testing.assert_array_equal(decode_image(data, "a.png")[0], samples)
    assert capfd.readouterr() == ("", "")


def animated(size=SIZE):
    """A PNG of two frames, as Pillow writes it: OpenCV 4.11 shows the first, OpenCV 5.0 the second."""
    first, second = (Image.fromarray(np.full((*size, 3), value, np.uint8)) for value in (10, 200))
    return save(np.asarray(first), "PNG", save_all=True, append_images=[second])


def test_an_animated_png_is_refused():
    with pytest.raises(ImageError, match="an animated PNG; expected a PNG of one image") as caught:
        decode_image(animated(), "a.png")
    assert caught.value.remedy == AS_ONE


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([(b"CgBI", b"\x50\0\x20\2")], "b'CgBI', which is critical and unknown"),
        ([(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))], "b'IHDR', which is critical and unknown, or there"),
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
        ([palette_of(4)[:9]], r"colour 15, where its palette has 9"),
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


# --- BMP ------------------------------------------------------------------------------------------------------------


def bmp(pixels, bits, size, *, header=40, packing=0, masks=(), palette=b"", used=0, top=False):
    """A BMP of bytes that are there already."""
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
    """Rows of bytes, each to a multiple of 4, the last first."""
    padded = [row + bytes(-len(row) % 4) for row in rows]
    return b"".join(padded if top else padded[::-1])


def words(image, masks, bits):
    """Pixels of 8-bit RGB in fields, by the highest bits, and what they show again: the nearest of 0..255."""
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
    """Runs, and stretches of bytes that are given one by one, by turns."""
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
        (bmp(bytes(999), 24, SIZE, packing=1), "24 bits a pixel, compression 1"),
        (bmp(bytes(999), 2, SIZE), "2 bits a pixel"),
        (bmp(bytes(999), 8, SIZE, packing=1, top=True), "-11 x 13 pixels"),
        (bmp(bytes(999), 24, SIZE, header=41), "a header of 41 bytes"),
        (bmp(bytes(999), 8, SIZE, header=64, packing=3), "compression 3"),
        (bmp(b"\7" * 999, 8, SIZE, palette=bytes(28)), "colour 7, where its palette has 7"),
        (bmp(b"\x0d\1\0\1", 8, SIZE, packing=1, palette=bytes(1024)), "its runs give 13 of 143 pixels"),
        (bmp(b"\x0e\1\0\1", 8, SIZE, packing=1, palette=bytes(1024)), "a run of 14 pixels at row 0, column 0"),
        (bmp(b"\0\2\1\1\0\1", 8, SIZE, packing=1, palette=bytes(1024)), "its runs pass over pixels"),
        (bmp(b"\0\5\1", 8, SIZE, packing=1, palette=bytes(1024)), "a run of 5 pixels"),
        (bmp(b"\x0d\1\0\0" * 11, 8, SIZE, packing=1, palette=bytes(1024)), "its runs have no end"),
    ],
)
def test_bmps_that_are_refused(data, found):
    with pytest.raises(ImageError, match=found):
        decode_image(data, "a.bmp")


# --- WebP -----------------------------------------------------------------------------------------------------------

WEBPS = {  # base85, and the digest of the pixels, which Pillow gives, too
    "lossy": (
        "Qb|TeRsaA1S4BclR!}$~N&o-=a039H0V)vy3;;gSTBb~>B_pCR2mt^Z31<KRMW|JXbU9=I0RFdF#Lv`7FI%=ta0c4IKl2u=;^;8t"
        "%;z(l&T>k92Z!MB000",
        "83377bc2ab576193",
    ),
    "lossy, alpha, colour profile, orientation": (
        "Qb|Te(f|MeS4BclR!}%t3IG5AH~;_u5C8xR002otLr@0*003}uZ)Rz1WdK1;P)Ixg000pmAP`9Lb{iBCk%1v3$*x}AiG74PXov9A"
        "pnZg_5z+r>GfOl$q64F+jG4uN!vGCRlf^SRyb}Gg^iNh$I3PX%0058!0G$CU5daJTKM{1XP%I}TqOb@7fFcQJ002ePx#4(J4tf9p"
        "{$>Y&{SLv~pD=g{O`D5XR8p5;f#3iDMOaBj8UO$QO-%qQ000080099K00RI30096700000000",
        "a5e7a2ee3ff5b62c",
    ),
    "lossless": (
        "Qb|TeWB>pFS4BclR!}%hR{#J2FA%^206!oQNJ1NZOo2cW+UTPR1d`B3A8r2QZw6zd65uG3ZC9Be02|4`uWEu4_DKT%cRUXf{SW3N"
        "o~uh6EXv<9>}!Kx1>fochkC(Mfre$AhD%id",
        "201a03f49a188d8b",
    ),
    "lossless, alpha": (
        "Qb|TeXaE2JS4BclR!}%hTL1t6FA%^25H%oZ+cwk=EzpW>+kXm+Kp+Wi^w9(YNob>wMv!fDw4oL4XabU?@C-~v3tKd3e9{SQT4)A#"
        "HSA-D&<pVu3qA;~;vQmZco^v+XhL89dCOe9AU6R3",
        "201a03f49a188d8b",
    ),
}


def webp(name):
    return base64.b85decode(WEBPS[name][0])


def riff(*chunks):
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize("name", WEBPS)
def test_webps_of_every_kind(name, capfd):
    data = webp(name)
    for file in (data, data + b"more"):
        pixels, header = decode_image(file, "a.webp")
        assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == WEBPS[name][1]
        assert (header.kind, header.height, header.width) == ("webp", 12, 17)
    for length in range(4, len(data), 3):
        with pytest.raises(ImageError, match=r"WebP|starts with"):
            decode_image(data[:length], "a.webp")
    assert capfd.readouterr() == ("", "")


def test_the_smallest_webp(capfd):
    data = save(np.full((2, 2, 3), 9, np.uint8), "WEBP", lossless=True, method=6)
    assert (decode_image(data, "a.webp")[0] == 9).all() and len(data) < 40
    with pytest.raises(ImageError, match="WebP"):
        decode_image(riff((b"VP8L", data[20:25])).ljust(30, b"x"), "a.webp")
    assert capfd.readouterr() == ("", "")


def canvas(flags, height=12, width=17):
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


PICTURE = b"VP8 ", webp("lossy")[20:]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (riff(canvas(2), PICTURE), "animated"),
        (riff(canvas(0), (b"ANIM", bytes(6)), PICTURE), "animated"),
        (riff(canvas(0), (b"ANMF", bytes(16)), PICTURE), "animated"),
        (riff(canvas(0, 13), PICTURE), r"an image of 12 x 17 pixels in one of \(13, 17\)"),
        (riff(canvas(0), (b"EXIF", bytes(16))), "begins with b'VP8X' and has no image"),
        (riff((b"VP8 ", bytes(16))), "a chunk b'VP8 ' that is no image"),
        (riff((b"VP8L", bytes(16))), "a chunk b'VP8L' that is no image"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_webps_that_are_refused(data, found):
    decode_image(riff(canvas(0), PICTURE), "a.webp")
    with pytest.raises(ImageError, match=found):
        decode_image(data, "a.webp")


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
    with pytest.raises(ImageError, match=r"is not an image format that mhp knows: .* Extract the archive again"):
        decode_image(b"<html>", "a.jpg")
