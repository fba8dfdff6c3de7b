"""Images and masks: every type of file gives Pillow's pixels; a damaged file gives an error, never pixels."""

from __future__ import annotations

import itertools
import struct
import zlib

import numpy as np
import pytest
from allocation import at_most
from fuzz import little_memory
from images import SIZE, encode_png, huge, join_png, picture, pillow_rgb, save, write_png, zeros
from PIL import Image

from mhpdata.errors import ImageError, MaskError, SourceError
from mhpdata.images.decode import decode_image, decode_jpeg
from mhpdata.images.label_png import decode_mask
from mhpdata.labels import CIHP, MHP_V1, MHP_V2
from mhpmodels.files.png import encode_indexed

RGB = picture()
GRAY = picture(1)[..., 0]
LABELS = (GRAY // 14).astype(np.uint8)  # 0..18
MASK = save(LABELS, "PNG")

FILES = {
    "rgb.jpg": save(RGB, "JPEG"),
    "rgb-444.jpg": save(RGB, "JPEG", subsampling="4:4:4"),
    "rgb-422.jpg": save(RGB, "JPEG", subsampling="4:2:2"),
    "progressive.jpg": save(RGB, "JPEG", progressive=True),
    "restart.jpg": save(RGB, "JPEG", restart_marker_blocks=2),
    "trailing.jpg": save(RGB, "JPEG") + b"trailing",
    "gray.jpg": save(GRAY, "JPEG"),
    "gray-progressive.jpg": save(GRAY, "JPEG", progressive=True),
    "cmyk.jpg": save(RGB, "JPEG", mode="CMYK"),
    "rgb.png": save(RGB, "PNG"),
    "rgba.png": save(picture(4), "PNG"),
    "gray.png": save(GRAY, "PNG"),
    "gray-alpha.png": save(picture(2), "PNG"),
    "gray-1-bit.png": save(GRAY, "PNG", mode="1"),
    "palette.png": save(RGB, "PNG", mode="P"),
    "palette-transparent.png": save(RGB, "PNG", mode="P", transparency=3),
}


@pytest.mark.parametrize("name", FILES)
def test_equals_pillow(name):
    pixels, header = decode_image(FILES[name], name)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (*SIZE, 3))
    np.testing.assert_array_equal(pixels, pillow_rgb(FILES[name]))
    assert header.gray == name.startswith("gray")


@pytest.mark.parametrize("adobe", ["none", "ycck"])
def test_other_four_component_jpegs_equal_pillow(adobe):
    data = save(RGB, "JPEG", mode="CMYK")
    at = data.index(b"\xff\xee")
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    data = data[:at] + data[end:] if adobe == "none" else data[: end - 1] + b"\x02" + data[end:]
    np.testing.assert_array_equal(decode_image(data, "a.jpg")[0], pillow_rgb(data))


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_every_depth(bits, transparent):
    rng = np.random.default_rng(bits)
    indices = rng.integers(0, 1 << bits, SIZE, dtype=np.uint8)
    palette = rng.integers(0, 256, (1 << bits, 3), dtype=np.uint8)
    rows = np.packbits(np.unpackbits(indices[..., None], 2)[..., 8 - bits :].reshape(SIZE[0], -1), 1)
    chunks = [(b"PLTE", palette.tobytes())] + [(b"tRNS", bytes(range(1 << bits)))] * transparent
    pixels, header = decode_image(write_png(rows, SIZE[1], bits, 3, *chunks), "a.png")
    np.testing.assert_array_equal(pixels, palette[indices])
    assert header.palette and not header.gray


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_become_the_nearest_of_8(color, channels):
    values = picture(channels, np.uint16)
    values.ravel()[:6] = 0, 128, 129, 65535, 65406, 65407  # just below and above a half
    data = write_png(values.astype(">u2").reshape(SIZE[0], -1).view(np.uint8), SIZE[1], 16, color)
    nearest = np.floor(values * (255 / 65535) + 0.5).astype(np.uint8)
    wanted = nearest[..., :3] if channels >= 3 else nearest[..., :1].repeat(3, 2)
    np.testing.assert_array_equal(decode_image(data, "a.png")[0], wanted)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_ignored(kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    data = save(RGB, kind, exif=exif)
    assert data != save(RGB, kind)
    np.testing.assert_array_equal(decode_image(data, "a")[0], decode_image(save(RGB, kind), "a")[0])


def test_name_and_content_may_disagree():
    np.testing.assert_array_equal(decode_image(FILES["rgb.png"], "images/0001.jpg")[0], RGB)


def test_decode_jpeg_takes_a_view():
    data = FILES["rgb.jpg"]
    np.testing.assert_array_equal(decode_jpeg(memoryview(b"head" + data)[4:]), pillow_rgb(data))


def refuse(data, place="images/0001.jpg"):
    """Assert that decoding raises an error with location, fault and remedy."""
    with pytest.raises(ImageError) as caught:
        decode_image(data, place)
    assert caught.value.place == place and caught.value.found and caught.value.remedy


@pytest.mark.parametrize(
    "name", ["rgb.jpg", "progressive.jpg", "restart.jpg", "gray.jpg", "cmyk.jpg", "rgb.png", "palette.png"]
)
def test_a_file_cut_anywhere_is_refused(name):
    data = FILES[name]
    for length in range(len(data)):
        refuse(data[:length])


@pytest.mark.parametrize("name", ["rgb.jpg", "gray.jpg"])
def test_a_file_cut_and_ended_again_is_refused(name):
    data = FILES[name]
    scan = data.index(b"\xff\xda") + 14
    for length in range(scan, len(data) - 3):
        refuse(data[:length] + b"\xff\xd9")


def test_every_flipped_bit_of_a_png_is_refused():
    data = bytearray(save(picture(size=(5, 7)), "PNG"))
    for place in range(8 * len(data)):
        data[place // 8] ^= 1 << place % 8
        refuse(bytes(data))
        data[place // 8] ^= 1 << place % 8


def png_lacking(what, image, color):
    """Make a PNG with valid chunks but missing pixels."""
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    stream = zlib.compress(rows)
    body = {
        "everything": b"",
        "half the stream": stream[: len(stream) // 2],
        "the checksum": stream[:-4],
        "a right checksum": stream[:-1] + bytes([stream[-1] ^ 1]),
        "half the rows": zlib.compress(rows[: len(rows) // 2]),
        "one row": zlib.compress(rows[: -len(rows) // SIZE[0]]),
        "one byte": zlib.compress(rows[:-1]),
        "a known filter": zlib.compress(b"\x07" + rows[1:]),
    }
    header = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 8, color, 0, 0, 0)
    pixels = [] if what == "its chunk" else [(b"IDAT", body[what])]
    return join_png((b"IHDR", header), *pixels, (b"IEND", b""))


LACKING = [
    "its chunk", "everything", "half the stream", "the checksum", "a right checksum",
    "half the rows", "one row", "one byte", "a known filter",
]  # fmt: skip


@pytest.mark.parametrize("what", LACKING)
def test_a_png_without_all_its_pixels_is_refused(what):
    refuse(png_lacking(what, RGB, 2))
    with pytest.raises(MaskError):
        decode_mask(png_lacking(what, LABELS, 0), "m.png", SIZE, 19)


@pytest.mark.parametrize("data", [b"", b"not an image, though long enough to be one"])
def test_what_is_no_image_is_refused(data):
    refuse(data)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_huge_claim_takes_no_memory(kind):
    with at_most(1 << 20):
        refuse(huge(kind))
    with at_most(1 << 20), pytest.raises(MaskError, match="60000 x 60000"):
        decode_mask(huge(kind), "m.png", (60000, 60000), 19)


BOMB = zeros(1 << 30)


def test_the_bomb_is_a_stream_of_zeros():
    assert zlib.decompress(zeros(1 << 25)) == bytes(1 << 25) and len(BOMB) < 2 << 20


@pytest.mark.parametrize(
    ("kind", "before"),
    [(b"zTXt", b"about\0\0"), (b"iTXt", b"about\0\1\0\0\0"), (b"iCCP", b"profile\0\0"), (b"IDAT", b"")],
    ids=["text", "international text", "colour profile", "pixels"],
)
def test_a_bomb_in_a_png_takes_no_memory(kind, before):
    """The chunk would inflate to a GiB: the result is the image without it, or an error, within half of that."""
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    pixels = [] if kind == b"IDAT" else [(b"IDAT", zlib.compress(bytes(72)))]
    data = join_png((b"IHDR", header), (kind, before + BOMB), *pixels, (b"IEND", b""))
    with little_memory():
        for read in (lambda: decode_image(data, "p.png")[0], lambda: decode_mask(data, "m.png", (8, 8), 19)):
            try:
                assert not read().any()
            except SourceError as error:
                assert error.place in ("p.png", "m.png")


def test_a_jpeg_of_a_thousand_scans_is_refused():
    data = save(picture(3), "JPEG", progressive=True)
    at = data.index(b"\xff\xda")
    scan = data[at : data.index(b"\xff", at + 4 + data[at + 3])]
    decode_image(data, "p.jpg")
    with pytest.raises(ImageError, match="scans; expected at most 100"):
        decode_image(data[:-2] + scan * 1000 + data[-2:], "p.jpg")


@pytest.mark.parametrize("kind", ["16 bits", "CMYK"])
def test_what_is_converted_is_not_held_in_whole_more_than_once(kind):
    side = 1500
    image = np.zeros((side, side, 4 if kind == "CMYK" else 1), np.uint16 if kind == "16 bits" else np.uint8)
    data = save(image, "JPEG", mode="CMYK") if kind == "CMYK" else save(image, "PNG")
    decoded, out, block = side * side * (4 if kind == "CMYK" else 6), side * side * 3, 16 << 20
    with at_most(decoded + 2 * out + block):
        decode_image(data, "photo")


def test_mask():
    mask = decode_mask(MASK, "m.png", SIZE, 19)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, LABELS)


def with_label(label):
    labels = LABELS.copy()
    labels[20, 30] = label
    return labels


def depth(labels, bits, color, *chunks):
    return encode_png(labels[..., None], bits, color, *chunks)


def palette(*colours):
    return b"PLTE", np.array(colours, np.uint8).tobytes()


OPAQUE = np.full_like(LABELS, 255)
FEW = LABELS % 4
WHITE_AND_COLOURS = [(255, 255, 255), (128, 0, 0), (0, 128, 0), (255, 0, 0)]
FORMS = {
    "gray": (save(LABELS, "PNG"), LABELS),
    "palette of grays": (save(LABELS, "PNG", mode="P"), LABELS),
    "mhp predict's palette": (encode_indexed(LABELS, MHP_V1.palette), LABELS),
    "palette, all background": (encode_indexed(0 * LABELS, MHP_V1.palette), 0 * LABELS),
    "palette, 2 bits": (depth(FEW, 2, 3, palette(*WHITE_AND_COLOURS)), FEW),
    "palette, black and white": (depth(FEW % 2, 1, 3, palette((0, 0, 0), (255, 255, 255))), FEW % 2),
    "palette, transparent": (depth(FEW, 4, 3, palette(*WHITE_AND_COLOURS), (b"tRNS", b"\0")), FEW),
    "palette that is too short": (depth(FEW, 8, 3, palette((1, 1, 1))), FEW),
    "palette of gray levels that are no labels": (depth(FEW, 2, 3, palette(*[[85 * i] * 3 for i in range(4)])), FEW),
    "channels alike": (save(np.dstack([LABELS] * 3), "PNG"), LABELS),
    "channels alike, opaque": (save(np.dstack([LABELS] * 3 + [OPAQUE]), "PNG"), LABELS),
    "gray, opaque": (save(np.dstack([LABELS, OPAQUE]), "PNG"), LABELS),
    "16 bits": (save(LABELS.astype(np.uint16), "PNG"), LABELS),
    "16 bits, opaque": (encode_png(np.dstack([LABELS.astype(int), np.full(SIZE, 65535)]), 16, 4), LABELS),
    "16 bits, channels alike": (encode_png(np.dstack([LABELS.astype(int)] * 3), 16, 2), LABELS),
    "4 bits, nothing": (depth(0 * LABELS, 4, 0), 0 * LABELS),
    "not counted": (save(with_label(255), "PNG"), with_label(255)),
    "not counted, 16 bits": (save(with_label(255).astype(np.uint16), "PNG"), with_label(255)),
    "not counted, palette": (encode_indexed(with_label(255), MHP_V1.palette), with_label(255)),
    "interlaced": (encode_png(LABELS[..., None], 8, 0, interlaced=True), LABELS),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_hold_the_labels(form, capfd):
    data, labels = FORMS[form]
    mask = decode_mask(data, "m.png", SIZE, 19)
    assert mask.dtype == np.uint8 and mask.flags.c_contiguous
    np.testing.assert_array_equal(mask, labels)
    np.testing.assert_array_equal(decode_mask(data, "m.png", SIZE, 19, red=True), labels)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("labels", [MHP_V1, MHP_V2, CIHP], ids=lambda labels: labels.name)
def test_every_label_in_the_palettes_of_mhp(labels):
    """The colours of an image with any two labels are never read as labels."""
    count = len(labels.names)
    for a, b in itertools.combinations([*range(count), 255], 2):
        data = encode_indexed(np.array([[a, b]], np.uint8), labels.palette)
        assert decode_mask(data, "m.png", (1, 2), count, red=True).tolist() == [[a, b]]


def test_the_numbers_of_persons_are_all_of_a_byte():
    numbers = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(decode_mask(save(numbers, "PNG"), "m.png", (16, 16), 256), numbers)


CLEAR = OPAQUE.copy()
CLEAR[3, 4:6] = 254
SPOILT = np.dstack([LABELS] * 3)
SPOILT[3, 4, 1] += 1
BACK = r"Extract the archive again"
ANEW = r"Save it as an 8-bit gray or palette PNG"


@pytest.mark.parametrize(
    ("data", "found", "remedy"),
    [
        (save(RGB, "PNG"), "is a colour image (its channels differ in", "Replace each colour by its label"),
        (save(SPOILT, "PNG"), "its channels differ in 1 pixels", "Replace each colour by its label"),
        (save(np.dstack([SPOILT, OPAQUE]), "PNG"), "its channels differ in 1 pixels", "Replace each colour"),
        (save(np.dstack([LABELS] * 3 + [CLEAR]), "PNG"), "alpha channel is not full in 2 pixels", "Make it opaque"),
        (save(np.dstack([LABELS, CLEAR]), "PNG"), "alpha channel is not full in 2 pixels", "Make it opaque"),
        (depth(FEW, 4, 0), "4-bit gray, which some programs read as 3 and some as 51", ANEW),
        (save(LABELS, "PNG", mode="1"), "1-bit gray, which some programs read as 1 and some as 255", ANEW),
        (save(LABELS.astype(np.uint16) * 257, "PNG"), "numbers up to 4626, all of them multiples of 257", "Divide"),
        (save(LABELS.astype(np.uint16) * 100, "PNG"), "holds label 100, 200, 300, 400, 500", "belongs to this dataset"),
        (depth(FEW, 2, 3, palette(*[[i] * 3 for i in (0, 4, 11, 2)])), "index 1 has the colour of label 4", ANEW),
        (depth(FEW, 2, 3, palette(*[[i] * 3 for i in (0, 4, 255, 3)])), "index 1 has the colour of label 4", ANEW),
        (depth(0 * FEW, 1, 3, palette([4] * 3)), "index 0 has the colour of label 4", ANEW),
        (save(LABELS, "JPEG"), "a JPEG", "JPEG does not preserve labels"),
        (save(LABELS, "BMP"), "a BMP", ANEW),
        (save(LABELS, "GIF"), "a GIF", ANEW),
        (
            save(LABELS, "PNG", save_all=True, append_images=[Image.new("L", SIZE[::-1])]),
            "animated",
            "save one frame",
        ),
        (save(LABELS[:-1], "PNG"), f"{SIZE[0] - 1} x {SIZE[1]}", BACK),
        (save(LABELS.T, "PNG"), f"{SIZE[1]} x {SIZE[0]}", BACK),
        (save(with_label(19), "PNG"), "holds label 19", BACK),
        (save(with_label(254), "PNG"), "holds label 254", BACK),
        (encode_indexed(with_label(19), MHP_V1.palette), "holds label 19", BACK),
        (b"", "empty file", BACK),
        (b"text", "(starts with 'text')", BACK),
    ],
)
def test_no_mask(data, found, remedy):
    with pytest.raises(MaskError) as caught:
        decode_mask(data, "annotations/0001_02_01.png", SIZE, 19)
    assert found in caught.value.found
    assert caught.value.place == "annotations/0001_02_01.png"
    assert caught.value.expected or "empty" in found
    assert remedy in caught.value.remedy
    assert remedy == BACK or BACK not in caught.value.remedy or "belongs to this dataset" in remedy


def test_a_palette_that_was_made_of_the_red_channel_is_refused_where_labels_are_there():
    data = depth(FEW, 2, 3, palette((0, 0, 0), (9, 0, 0), (255, 0, 0), (3, 0, 0)))
    np.testing.assert_array_equal(decode_mask(data, "m.png", SIZE, 59), FEW)
    with pytest.raises(MaskError, match="index 1 has the colour of label 9"):
        decode_mask(data, "m.png", SIZE, 59, red=True)


def test_a_mask_cut_anywhere_or_with_a_flipped_bit_is_refused():
    for length in range(len(MASK)):
        with pytest.raises(MaskError):
            decode_mask(MASK[:length], "m.png", SIZE, 19)
    for place in range(len(MASK)):
        data = bytearray(MASK)
        data[place] ^= 1 << place % 8
        with pytest.raises(MaskError):
            decode_mask(bytes(data), "m.png", SIZE, 19)


def test_chunks_that_change_how_a_mask_looks_do_not_change_its_labels():
    orientation = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    for chunk in ((b"gAMA", b"\0\0\x4e\x20"), (b"sBIT", b"\x05"), (b"tRNS", b"\0\x03"), (b"eXIf", orientation)):
        np.testing.assert_array_equal(decode_mask(write_png(LABELS, SIZE[1], 8, 0, chunk), "m.png", SIZE, 19), LABELS)
