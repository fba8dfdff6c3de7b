"""The check of a download, pack, open, the loader and MXNet's reader agree on every JPEG.

All of them decode libjpeg's pixels (the loader upsamples Cb and Cr differently), or all reject the JPEG. The manifest
notes JPEGs that are not stored byte for byte.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import warnings
from contextlib import closing
from pathlib import Path

import cv2
import naive_loader as naive
import numpy as np
import odd_jpegs
import pytest
import simplejpeg
from jpegs import decode, encode, rough
from places import ROOT, TESTS

import mhpdata
from mhpdata import Output, Whole
from mhpdata.checking.packed import verify_packed, verify_source
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.drawing.placement import place_whole
from mhpdata.errors import ImageError, OptionError, RecordError
from mhpdata.images.decode import decode_file, decode_image, decode_jpeg
from mhpdata.images.formats.segments import segments, without_metadata
from mhpdata.images.header import read_header
from mhpdata.images.notes import MEANINGS, Note
from mhpdata.loading.loader import Loader
from mhpdata.packing import convert
from mhpdata.packing import run as packing
from mhpdata.packing.crosscheck import find_difference
from mhpdata.packing.summary import report
from mhpdata.storage.codec import encode_image
from mhpdata.storage.manifest import Manifest, read_manifest
from mhpmodels.prediction.inputs import read_file

FAULTS = sorted((TESTS / "data/jpeg").glob("*.jpg"))
"""JPEGs of noise with flipped bytes that libjpeg decodes without a warning; ours rejects them, or planes differ."""
JPEG = encode(rough((24, 40)), 90)


def write_download(root: Path, files: list[bytes]) -> Path:
    """Write MHP v2 with these images in test, which has no masks; names count from 1."""
    (root / "list").mkdir(parents=True)
    (root / "test/images").mkdir(parents=True)
    for name, data in enumerate(files, 1):
        (root / f"test/images/{name}.jpg").write_bytes(data)
    (root / "list/test_all.txt").write_text("".join(f"{name}\n" for name in range(1, len(files) + 1)))
    return root


def pack(root: Path, files: list[bytes], **options: object) -> Manifest:
    """Pack these images at source size into ``root / "rec"``."""
    source = root / "LV-MHP-v2"
    if not source.exists():
        write_download(source, files)
    return mhpdata.pack(source, root / "rec", splits=["test"], **{"size": 0, "workers": 2, **options})


def noted(manifest: Manifest) -> dict[str, set[str]]:
    """Return the codes of the notes of each image."""
    return {n.name: {m.code for m in manifest.notes if m.name == n.name} for n in manifest.notes}


def mxnet_pixels(folder: Path) -> list[np.ndarray]:
    """Decode each record to RGB by mx.recordio.unpack_img, or by the same call of OpenCV if MXNet is not installed."""
    if importlib.util.find_spec("mxnet") is None:
        with closing(mhpdata.open(folder, "test")) as split:
            images = [np.frombuffer(split.record(i).image, np.uint8) for i in range(len(split))]
        return [cv2.imdecode(image, -1)[..., ::-1] for image in images]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import mxnet as mx
    records = mx.recordio.MXIndexedRecordIO(*(str(folder / f"test-00000{s}") for s in (".idx", ".rec")), "r")
    return [mx.recordio.unpack_img(records.read_idx(key))[1][..., ::-1] for key in records.keys]


def libjpeg_pixels(data: bytes) -> np.ndarray:
    """Decode RGB with OpenCV, despite libjpeg's warnings; convert CMYK as mhp does, for OpenCV converts differently."""
    if read_header(data, "a").channels == 4:
        return decode_image(data, "a")[0]
    data = data[:2] + data[data.index(b"\xff", 2) :]  # OpenCV identifies a JPEG by its third byte
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def loader_pixels(image: bytes, sample: mhpdata.Sample) -> np.ndarray:
    """Draw a record with the slow twin of the loader."""
    scan, size = read_scan(image), sample.record.size
    planes = decode(image) if scan else [np.ascontiguousarray(sample.image[..., c]) for c in range(3)]
    return naive.image(planes, scan is not None, size, place_whole(size), scan and scan.factors)


def agree(root: Path, files: list[bytes]) -> dict[str, int]:
    """Read these images with every reader; return the number rejected, and the count of each note."""
    manifest = pack(root, files, on_error="skip")
    refused = {skip.name for skip in manifest.skipped}
    checked = verify_source(root / "LV-MHP-v2")
    assert {Path(error.place).stem for error in checked.findings if isinstance(error, ImageError)} == refused
    for name in refused:
        with pytest.raises(ValueError):
            simplejpeg.decode_jpeg(without_metadata(files[int(name) - 1]), "RGB", strict=True)
    assert verify_packed(root / "rec", deep=True, workers=2).clean
    notes, split = noted(manifest), mhpdata.open(root / "rec", "test")
    assert len(split) == len(files) - len(refused)
    loader = Loader(root / "rec", "test", 1, view=Whole(), output=Output(dtype="uint8"), threads=2)
    for sample, batch, theirs in zip(split, loader, mxnet_pixels(root / "rec"), strict=True):
        data, stored, codes = files[int(sample.name) - 1], bytes(sample.record.image), notes.get(sample.name, set())
        expected = libjpeg_pixels(data)
        as_it_is = read_header(stored, "a").baseline and read_header(data, "a").channels == 3 and is_baseline(data)
        if "re-encoded" in codes or not as_it_is:
            expected = decode_jpeg(encode_image(expected, "jpeg", 95))
        np.testing.assert_array_equal(sample.image, expected, err_msg=f"{sample.name}: {codes}")
        np.testing.assert_array_equal(theirs, expected)
        np.testing.assert_array_equal(batch.images[0], loader_pixels(stored, sample))
        assert not find_difference(stored, sample.image)
        assert sample.record.verbatim == (stored == data)
        assert stored == data or codes or not as_it_is
        assert sample.record.source_sha256 == hashlib.sha256(data).digest()
    loader.close()
    split.close()
    return {"refused": len(refused), **{c: sum(c in n for n in notes.values()) for c in set().union(*notes.values())}}


def is_baseline(data: bytes) -> bool:
    return any(marker == 0xC0 for marker, _, _ in segments(data))


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Read three hundred odd JPEGs with all readers; return the results and the packed folder."""
    root = tmp_path_factory.mktemp("odd")
    return root, agree(root, [odd_jpegs.odd(number) for number in range(300)])


def test_odd_jpegs_are_taken_by_all(odd):
    _, counts = odd
    assert counts["refused"] == 0 and "re-encoded" not in counts
    assert counts["metadata"] > 60 and counts["trailer"] > 60


def test_damaged_jpegs_are_refused_or_taken_by_all(tmp_path):
    counts = agree(tmp_path, [odd_jpegs.damaged(number) for number in range(300)])
    assert 150 < counts["refused"] < 250 and counts["re-encoded"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("begin", range(300, 10300, 1000))
@pytest.mark.parametrize("make", [odd_jpegs.odd, odd_jpegs.damaged])
def test_ten_thousand_of_each(tmp_path, make, begin):
    counts = agree(tmp_path, [make(number) for number in range(begin, begin + 1000)])
    assert (counts["refused"] == 0) == (make is odd_jpegs.odd)


# ------------------------------------------------------------------------------------------- decoders that differ


def test_what_the_decoders_differ_on_is_encoded_again_and_noted(tmp_path):
    files = [path.read_bytes() for path in FAULTS]
    assert len(files) == 13
    assert agree(tmp_path, files) == {"refused": 0, "re-encoded": 13}
    manifest = read_manifest(tmp_path / "rec")
    assert {(note.code, note.values) for note in manifest.notes} == {("re-encoded", ())}
    words = {
        path.stem.split("-")[0]: find_difference(data, decode_jpeg(data))
        for path, data in zip(FAULTS, files, strict=True)
    }
    assert words["ours"] == "the loader's decoder finds invalid or truncated data"
    assert "differs from libjpeg" in words["planes"]
    assert "encoded again, because the loader's decoder and libjpeg differ on it: 13 images" in report(manifest, "rec")


def test_deep_finds_what_an_older_pack_has_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "_find_difference", lambda jpeg, image: "")
    pack(tmp_path, [path.read_bytes() for path in FAULTS])
    assert verify_packed(tmp_path / "rec").clean
    found = verify_packed(tmp_path / "rec", deep=True).findings
    assert len(found) == 13 and all(isinstance(error, RecordError) for error in found)
    assert all("the loader's decoder" in error.found and "--overwrite" in error.remedy for error in found)


def test_the_decoder_is_compiled_for_what_is_stored_as_it_is_only(tmp_path, monkeypatch):
    for name in ("mhpdata.packing.crosscheck", "mhpdata.drawing.jpeg.planes"):
        monkeypatch.setitem(sys.modules, name, None)  # makes its import fail
    for options in ({"size": 16}, {"image": "raw"}, {"image": "yuv420"}):
        pack(tmp_path, [JPEG], overwrite=True, **options)
    with pytest.raises(ImportError):
        pack(tmp_path, [JPEG], overwrite=True)


# ------------------------------------------------------------------------------------------- metadata


def after_soi(part: bytes, data: bytes = JPEG) -> bytes:
    return data[:2] + part + data[2:]


def before_scan(part: bytes, data: bytes = JPEG) -> bytes:
    at = data.index(b"\xff\xda")
    return data[:at] + part + data[at:]


ICC = odd_jpegs.icc
ADOBE = odd_jpegs.segment(0xEE, b"Adobe\0\x64\0\0\0\0" + b"?")[:-1]
VIDEO = b"....ftypmp42" + bytes(range(256)) * 40 + b"\xff\xda\0\x0c\xff\xd8" * 132
ODD = {
    "an incomplete ICC profile": after_soi(ICC(1, 3)),
    "a doubled ICC profile": after_soi(ICC(1, 1) * 2),
    "a misnumbered ICC profile": after_soi(ICC(2, 1)),
    "an ICC profile after SOF": before_scan(ICC(1, 2)),
    "bytes between markers": before_scan(b"four"),
    "an unknown transform of Adobe": after_soi(ADOBE + b"\x09", JPEG[:2] + JPEG[20:]),  # JFIF would take precedence
    "an unknown version of JFIF": after_soi(odd_jpegs.segment(0xE0, b"JFIF\0\x07\1\0\0\1\0\1\0\0")),
    "a short EXIF block": after_soi(b"\xff\xe1\0\x02" + b"Exif"),
    "a trailer": JPEG + VIDEO,
    "a trailer and a comment": after_soi(odd_jpegs.segment(0xFE, b"\xff\xda" * 150)) + VIDEO,
    "two images": JPEG + JPEG,
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_jpeg_has_the_pixels_of_the_plain_one(name):
    decoded = decode_file(ODD[name], "a.jpg")
    np.testing.assert_array_equal(decoded.pixels, decode_jpeg(JPEG))
    assert set(decoded.notes) == ({"trailer"} if ODD[name].startswith(JPEG) or "comment" in name else {"metadata"})
    assert decoded.jpeg is not None and decoded.jpeg.endswith(b"\xff\xd9")
    np.testing.assert_array_equal(decode_jpeg(decoded.jpeg), decode_jpeg(JPEG))
    assert decoded.jpeg != ODD[name]


def test_valid_metadata_is_stored_as_it_is():
    for data in (JPEG, after_soi(ICC(1, 1)), after_soi(odd_jpegs.segment(0xE1, b"Exif\0\0"))):
        decoded = decode_file(data, "a.jpg")
        assert decoded.jpeg == data and not decoded.notes


@pytest.mark.parametrize("name", ["Adobe says RGB", "Adobe says Y, Cb, Cr", "names R, G, B", "JFIF and names R, G, B"])
def test_without_metadata_the_components_are_what_they_were(name):
    names = {0xC0: (6, 9, 12), 0xDA: (1, 3, 5)}
    data = bytearray(JPEG[:2] + JPEG[20:] if name != "JFIF and names R, G, B" else JPEG)
    for marker, begin, _ in segments(bytes(data)):
        for at, letter in zip(names.get(marker, ()), b"RGB", strict=False):
            data[begin + 4 + at] = letter
    if name.startswith("Adobe"):
        transform = bytes([name.endswith("Cr")])
        data[2:2] = ADOBE + transform
    clean = without_metadata(bytes(data) + b"trailer")
    np.testing.assert_array_equal(decode_jpeg(clean), decode_jpeg(bytes(data)))
    rgb = name in ("Adobe says RGB", "names R, G, B")
    assert np.array_equal(decode_jpeg(clean), decode_jpeg(JPEG)) == (not rgb)
    assert clean == without_metadata(clean)


def test_remarks_notes_and_the_report_say_it(odd):
    root, counts = odd
    remarks = verify_source(root / "LV-MHP-v2").remarks
    lines = [f"damaged metadata removed, pixels intact: {counts['metadata']} images (test/"]
    lines += [f"bytes after the end of a JPEG removed: {counts['trailer']} images (test/"]
    for line in lines:
        assert any(remark.startswith(line) for remark in remarks)
        assert any(remark.startswith(line) for remark in verify_packed(root / "rec").remarks)
        assert line in report(read_manifest(root / "rec"), "rec")
    manifest = read_manifest(root / "rec")
    assert Manifest.from_json(manifest.to_json(), "again") == manifest
    assert {(note.split, note.code, len(note.values)) for note in manifest.notes} == {
        ("test", "metadata", 0),
        ("test", "trailer", 1),
    }


def test_a_manifest_without_notes_says_so(small):
    assert '"notes": []' in (small / "manifest.json").read_text() and read_manifest(small).notes == ()
    assert read_manifest(small).options["damaged"] == "fail"


def test_notes_survive_an_interrupted_pack(tmp_path, monkeypatch):
    files = [*ODD.values(), FAULTS[0].read_bytes()]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(packing, "describe_build", interrupt)
        pack(tmp_path, files)
    monkeypatch.setattr(packing, "convert", None)  # everything exists already
    manifest = pack(tmp_path, files)
    assert sorted(note.code for note in manifest.notes) == ["metadata"] * 8 + ["re-encoded"] + ["trailer"] * 3


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_predict_takes_them_too(tmp_path):
    for name, data in ODD.items():
        (tmp_path / "a.jpg").write_bytes(data)
        seen = read_file(tmp_path / "a.jpg", 24).image
        np.testing.assert_array_equal(seen, decode_jpeg(JPEG), err_msg=name)


# ------------------------------------------------------------------------------------------- damaged, but kept


CUT = JPEG[: len(JPEG) * 2 // 3]


def test_a_damaged_image_can_be_kept(tmp_path):
    with pytest.raises(ImageError, match="--damaged keep"):
        pack(tmp_path, [JPEG, CUT])
    manifest = pack(tmp_path, [JPEG, CUT], damaged="keep", overwrite=True)
    (note,) = manifest.notes
    assert (note.split, note.name, note.code, note.values) == ("test", "2", "damaged", ())
    assert manifest.options["damaged"] == "keep"
    split = mhpdata.open(tmp_path / "rec", "test")
    wanted = simplejpeg.decode_jpeg(CUT, "RGB", fastdct=False, fastupsample=False, strict=False)
    np.testing.assert_array_equal(split[1].image, decode_jpeg(encode_image(wanted, "jpeg", 95)))
    assert split[0].record.verbatim and not split[1].record.verbatim
    assert verify_packed(tmp_path / "rec", deep=True).clean
    assert any("damaged pixels kept, as requested: 1 image" in r for r in verify_packed(tmp_path / "rec").remarks)


def test_what_has_no_pixels_at_all_is_not_kept(tmp_path):
    files = [JPEG, JPEG[:100], JPEG.replace(b"\xff\xc0", b"\xff\xc3"), b"text"]
    manifest = pack(tmp_path, files, damaged="keep", on_error="skip")
    assert len(manifest.skipped) == 3 and not manifest.notes
    assert {skip.code for skip in manifest.skipped} == {"damaged", "unknown-format"}


def test_damaged_is_fail_or_keep(tmp_path):
    with pytest.raises(OptionError, match="damaged"):
        pack(tmp_path, [JPEG], damaged="maybe")


def test_the_format_says_what_each_note_means():
    text = (ROOT / "docs/format.md").read_text()
    assert all(f"\n| {code} | " in text for code in MEANINGS)


def test_a_note_is_checked_when_a_manifest_is_read(small):
    manifest = read_manifest(small)
    text = Manifest(**{**vars(manifest), "notes": (Note("train", "0001", "trailer", (7,)),)}).to_json()
    assert Manifest.from_json(text, "a").notes == (Note("train", "0001", "trailer", (7,)),)
    with pytest.raises(ValueError, match="notes"):
        Manifest.from_json(text.replace("[7]", "7"), "a")
