"""GIFs decode as in Pillow; incomplete and animated ones are rejected."""

import io

import numpy as np
import pytest
from PIL import Image

from mhpdata.errors import ImageError
from mhpdata.images.decode import decode_image
from mhpdata.images.formats.gif import decode_gif


def gif(seed=0, size=(37, 53), colours=256, **options):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, colours, (5, 7), np.uint8).repeat(8, 0).repeat(8, 1)[: size[0], : size[1]]
    noise = rng.integers(0, colours, size, np.uint8)
    picture = Image.fromarray(np.where(rng.random(size) < 0.3, noise, coarse), "P")
    picture.putpalette(rng.integers(0, 256, 3 * colours, np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, "GIF", **options)
    return file.getvalue()


def pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("colours", [2, 3, 16, 200, 256])
@pytest.mark.parametrize("options", [{}, {"interlace": 0}, {"comment": b"x" * 600}], ids=str)
def test_pixels_are_pillows(colours, options):
    data = gif(colours, colours=colours, **options)
    np.testing.assert_array_equal(decode_gif(data), pillow(data))
    pixels, header = decode_image(data, "1.jpg")
    np.testing.assert_array_equal(pixels, pillow(data))
    assert (header.kind, header.height, header.width, header.gray) == ("gif", 37, 53, False)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 3), (200, 240)])
def test_sizes_and_a_full_table_of_codes(size):
    picture = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "GIF")
    np.testing.assert_array_equal(decode_gif(file.getvalue()), pillow(file.getvalue()))


def test_cut_short_anywhere_it_is_an_error():
    data = gif()
    for length in [*range(6, len(data), 97), len(data) - 1]:
        with pytest.raises(ImageError, match="GIF"):
            decode_image(data[:length], "1.jpg")


def test_damaged_bytes_never_do_more_than_raise():
    data, rng = gif(), np.random.default_rng(2)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[int(rng.integers(10, len(data)))] = int(rng.integers(256))
        try:
            pixels, _ = decode_image(bytes(damaged), "1.jpg")
        except ImageError:
            continue
        assert pixels.shape == (37, 53, 3)


def test_several_pictures_are_refused():
    file = io.BytesIO()
    frames = [Image.fromarray(np.full((9, 9), value, np.uint8)) for value in (10, 200)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="more than one image"):
        decode_image(file.getvalue(), "1.jpg")
