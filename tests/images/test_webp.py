"""Every supported type of WebP decodes to Pillow's pixels, with any OpenCV; others are rejected.

OpenCV decodes them; the files are stored here with the digests of their pixels.
"""

from __future__ import annotations

import base64
import hashlib
import struct

import numpy as np
import pytest
from images import save

from mhpdata.errors import ImageError
from mhpdata.images.decode import decode_image

WEBPS = {  # base85, and the digest of the pixels, which is that of Pillow's
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
        (riff(canvas(0, 13), PICTURE), r"an image of 12 x 17 pixels on a canvas of 13 x 17 \(height x width\)"),
        (riff(canvas(0), (b"EXIF", bytes(16))), "begins with b'VP8X' and has no image"),
        (riff((b"VP8 ", bytes(16))), "a chunk b'VP8 ' without an image"),
        (riff((b"VP8L", bytes(16))), "a chunk b'VP8L' without an image"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_webps_that_are_refused(data, found):
    decode_image(riff(canvas(0), PICTURE), "a.webp")
    with pytest.raises(ImageError, match=found):
        decode_image(data, "a.webp")
