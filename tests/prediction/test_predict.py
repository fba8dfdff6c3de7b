"""Label PNGs, overlays and legends: correct pixels under correct names; nothing overwritten or half-written."""

from __future__ import annotations

import os
import time
import unicodedata
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bucket_server import bucket, contents
from folder import encode, photo, tree, write_folder
from images import picture, save
from networks import ByColour
from predictors import SMALL, around
from stored import NEEDS_OBSTORE

import mhpdata
from mhpdata.errors import (
    EngineError,
    ImageError,
    ManifestError,
    OptionError,
    OutputError,
    PredictionError,
    UnreadableError,
)
from mhpdata.images.decode import decode_image
from mhpdata.images.exif import turn
from mhpdata.images.resize import resize_image
from mhpdata.images.size import packed_size
from mhpdata.labels import MHP_V1
from mhpdata.synth.writing.forms import EXIF
from mhpmodels.figures.colours import picture_palette
from mhpmodels.figures.overlay import lay_over
from mhpmodels.files.output import write_file
from mhpmodels.files.png import decode_labels, encode_indexed
from mhpmodels.inference.pieces import Inference
from mhpmodels.inference.rescale import labels_at
from mhpmodels.prediction import files
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_photos, predict_split


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    root = tmp_path_factory.mktemp("predict")
    source = write_folder(root / "LV-MHP-v1", images=8, size=(40, 60))
    mhpdata.pack(source, root / "rec", size=32, image="raw", workers=1)
    return root / "rec"


@pytest.fixture
def photos(tmp_path):
    """Return {name: path} of a colour JPEG, a gray one, a PNG with alpha under a wrong name, and one 1 pixel wide."""
    sizes = {"colour": (40, 61), "gray": (33, 33), "alpha": (20, 90), "line": (64, 1)}
    images = {name: photo(i, size) for i, (name, size) in enumerate(sizes.items())}
    images["gray"] = images["gray"][:, :, 0]
    images["alpha"] = np.dstack([images["alpha"], images["alpha"][:, :, 0]])
    paths = {}
    for name, image in images.items():
        paths[name] = tmp_path / f"{name}.jpg"
        paths[name].write_bytes(encode(".png" if name == "alpha" else ".jpg", image))
    return paths


def read_labels(path):
    """Return the indices of an indexed PNG, and its palette."""
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as file:
        assert file.mode == "P" and file.format == "PNG"
        return np.array(file), np.reshape(file.getpalette(), (-1, 3))


def expected(image, size):
    small = resize_image(image, packed_size(*size, 32))
    return labels_at(ByColour(19, 1)(small[None])[0], size)


def test_photos(photos, tmp_path):
    done = predict_photos(around(), [str(path) for path in photos.values()], tmp_path / "new" / "out", MHP_V1, SMALL)
    assert done.labels == tuple(tmp_path / "new" / "out" / f"{name}.png" for name in photos)
    assert sorted(done.labels) == sorted((tmp_path / "new" / "out").iterdir()), "nothing else is written"
    assert done.skipped == () and done.milliseconds > 0
    for path, source in zip(done.labels, photos.values(), strict=True):
        image, header = decode_image(source.read_bytes(), str(source))
        labels, palette = read_labels(path)
        np.testing.assert_array_equal(labels, expected(image, (header.height, header.width)))
        np.testing.assert_array_equal(palette[:19], MHP_V1.palette[:19])


def oriented(kind, image, orientation):
    """Make an image file with an EXIF orientation; return it with its decoded pixels."""
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + bytes(6)
    data = save(image, kind, exif=b"Exif\0\0" + tiff)
    return data, decode_image(data, "a")[0]


@pytest.mark.parametrize("kind, orientation", [("JPEG", n) for n in range(1, 9)] + [("PNG", 6), ("WEBP", 8)])
def test_image_files_are_predicted_upright_unless_raw_is_asked_for(tmp_path, kind, orientation):
    data, stored = oriented(kind, picture(size=(24, 40)), orientation)
    (tmp_path / "a.jpg").write_bytes(data)
    options = replace(SMALL, overlay=True)
    done = predict_photos(around(), [tmp_path / "a.jpg"], tmp_path / "out", MHP_V1, options)
    upright = turn(stored, orientation)
    labels = read_labels(done.labels[0])[0]
    assert labels.shape == ((40, 24) if orientation >= 5 else (24, 40)) == upright.shape[:2]
    np.testing.assert_array_equal(labels, expected(upright, upright.shape[:2]))
    assert done.turned == ({} if orientation == 1 else {"a": orientation}) and done.remarks == ()
    assert cv2.imread(str(tmp_path / "out" / "pictures" / "a.jpg")).shape[:2] == labels.shape
    raw = predict_photos(around(), [tmp_path / "a.jpg"], tmp_path / "raw", MHP_V1, replace(SMALL, exif="raw"))
    np.testing.assert_array_equal(read_labels(raw.labels[0])[0], expected(stored, (24, 40)))
    assert raw.turned == {} and raw.remarks == ()
    size = labels.shape
    if orientation == 1:
        assert done.labels[0].read_bytes() == raw.labels[0].read_bytes()
        np.testing.assert_array_equal(decode_labels(done.labels[0].read_bytes(), "a.png", size, 19), labels)
    else:  # even if the size is that of the stored pixels: labels of a dataset are never rotated
        with pytest.raises(PredictionError, match=r"turned upright.*mhp predict --exif raw"):
            decode_labels(done.labels[0].read_bytes(), "a.png", (24, 40), 19)
    decode_labels(raw.labels[0].read_bytes(), "a.png", (24, 40), 19)


def test_an_image_with_a_damaged_exif_block_is_predicted_as_stored_with_a_remark(tmp_path):
    data = save(picture(size=(24, 40)), "JPEG", exif=EXIF)
    (tmp_path / "a.jpg").write_bytes(data)
    done = predict_photos(around(), [tmp_path / "a.jpg"], tmp_path / "out", MHP_V1, SMALL)
    np.testing.assert_array_equal(read_labels(done.labels[0])[0], expected(decode_image(data, "a")[0], (24, 40)))
    assert done.turned == {} and len(done.remarks) == 1
    assert "a.jpg: predicted as stored, because its EXIF block is damaged: its directory begins at" in done.remarks[0]
    raw = predict_photos(around(), [tmp_path / "a.jpg"], tmp_path / "raw", MHP_V1, replace(SMALL, exif="raw"))
    assert raw.remarks == () and raw.labels[0].read_bytes() == done.labels[0].read_bytes()


@pytest.mark.parametrize("names", [None, ("0008",)])
def test_a_split_at_source_size_named_by_id(packed, tmp_path, names):
    done = predict_split(around(), packed, "test", tmp_path, names, SMALL)
    samples = {sample.name: sample for sample in mhpdata.open(packed, "test")}
    assert [path.name for path in done.labels] == [f"{name}.png" for name in names or samples]
    for path in done.labels:
        labels, _ = read_labels(path)
        assert labels.shape == (40, 60)
        np.testing.assert_array_equal(labels, expected(samples[path.stem].image, (40, 60)))


def test_a_split_without_labels(packed, tmp_path, monkeypatch):
    from dataclasses import replace

    from mhpdata.storage.split import Split

    record = Split.record
    bare = {"runs": None, "row_offsets": None, "masks": []}
    monkeypatch.setattr(Split, "record", lambda self, index: replace(record(self, index), **bare))
    assert mhpdata.open(packed, "test")[0].labels is None
    assert len(predict_split(around(), packed, "test", tmp_path, None, SMALL).labels) == 2


def test_overlays_and_legend(photos, tmp_path):
    pytest.importorskip("matplotlib")
    options = Options(size=32, threads=1, overlay=True, legend=True)
    out = tmp_path / "out"
    predict_photos(around(), [photos["colour"]], out, MHP_V1, options)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == [
        "colour.png", "pictures/colour.jpg", "pictures/legend.png",
    ]  # fmt: skip
    shown = cv2.imread(str(out / "pictures" / "colour.jpg"))
    assert shown.shape == (40, 61, 3)
    legend = cv2.imread(str(out / "pictures" / "legend.png"))[:, :, ::-1].reshape(-1, 3)
    assert {tuple(color) for color in picture_palette(MHP_V1)[:19].tolist()} <= set(
        map(tuple, np.unique(legend, axis=0).tolist())
    )


def test_the_overlay_leaves_background_alone_and_shows_edges_pure():
    image = np.full((4, 6, 3), 100, np.uint8)
    labels = np.zeros((4, 6), np.uint8)
    labels[1:, 2:] = 2
    labels[1:, 4:] = 11
    shown = lay_over(image, labels, MHP_V1.palette)
    assert (shown[0] == 100).all() and (shown[:, :2] == 100).all()
    assert shown[2, 3].tolist() == [178, 50, 50]  # half (100, 100, 100), half (255, 0, 0)
    for y, x, label in ((1, 3, 2), (2, 2, 2), (2, 4, 11), (1, 5, 11)):
        assert shown[y, x].tolist() == MHP_V1.palette[label].tolist()


def test_nothing_is_overwritten_unless_asked(photos, tmp_path):
    out = tmp_path / "out"
    two = [photos["colour"], photos["gray"]]
    out.mkdir()
    (out / "gray.png").write_text("mine")
    with pytest.raises(OutputError, match=r"gray\.png: already exists"):
        predict_photos(around(), two, out, MHP_V1, SMALL)
    assert [path.name for path in out.iterdir()] == ["gray.png"], "told before anything was predicted"
    assert (out / "gray.png").read_text() == "mine"
    (out / "gray.png").write_bytes(encode_indexed(np.zeros((9, 9), np.uint8), MHP_V1.palette))
    predict_photos(around(), two, out, MHP_V1, Options(size=32, threads=1, overwrite=True))
    assert read_labels(out / "gray.png")[0].shape == (33, 33)
    (out / "line.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        predict_photos(around(), [photos["line"]], out, MHP_V1, Options(size=32, overwrite=True))


@pytest.mark.parametrize("overlay", [False, True])
def test_an_interrupted_run_goes_on(photos, tmp_path, overlay):
    options = Options(size=32, threads=1, overlay=overlay)
    whole, out = tmp_path / "whole", tmp_path / "out"
    predict_photos(around(), list(photos.values()), whole, MHP_V1, options)
    expected = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*.*")}
    predict_photos(around(), [photos["colour"], photos["line"], photos["alpha"]], out, MHP_V1, options)
    (out / "line.png").unlink()  # its overlay, if any, was written before
    if overlay:
        (out / "pictures" / "alpha.jpg").unlink()
    before = [(out / name).stat().st_mtime_ns for name in ("colour.png", "alpha.png")]
    done = predict_photos(around(), list(photos.values()), out, MHP_V1, replace(options, keep=True))
    assert (len(done.labels), done.kept) == ((3, 1) if overlay else (2, 2))
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*.*")} == expected
    assert [(out / name).stat().st_mtime_ns for name in ("colour.png", "alpha.png")] == before
    done = predict_photos(around(), list(photos.values()), out, MHP_V1, replace(options, keep=True))
    assert (done.labels, done.kept, done.milliseconds) == ((), 4, 0)


def test_a_file_that_comes_meanwhile_stays(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    opened = Path.open

    def meanwhile(self, *args, **options):
        with opened(path, "wb") as file:
            file.write(b"another's")
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", meanwhile)
    with pytest.raises(OutputError, match="already exists"):
        write_file(path, b"mine", overwrite=False)
    monkeypatch.undo()
    assert path.read_bytes() == b"another's" and list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    (tmp_path / "x.csv").write_bytes(b"name,before")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        write_file(tmp_path / "x.csv", b"new", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert (tmp_path / "x.csv").read_bytes() == b"name,before"


def test_what_a_killed_process_left_is_removed_and_what_another_is_writing_is_not(photos, tmp_path):
    out = tmp_path / "pred"
    half = encode_indexed(np.zeros((9, 9), np.uint8), MHP_V1.palette)[:500]
    old, new = out / ".0001.png.4711.part", out / ".0002.png.4712.part"
    others = out / ".notes.part", out / ".0003.png.4713.part"
    out.mkdir()
    for path in (old, new):
        path.write_bytes(half)
    for path in others:
        path.write_text("of somebody else")
    for path in (old, *others):
        os.utime(path, (time.time() - 7200,) * 2)
    os.utime(new, (time.time(),) * 2)  # the clock that mhp reads, independent of the disk's
    predict_photos(around(), [photos["gray"]], out, MHP_V1, SMALL)
    assert not old.exists() and new.exists() and all(path.exists() for path in others)


def test_a_photo_that_does_not_decode_ends_it_or_is_left_out(photos, tmp_path):
    photos["gray"].write_bytes(photos["gray"].read_bytes()[:-200])
    out = tmp_path / "out"
    with pytest.raises(ImageError, match=r"gray\.jpg"):
        predict_photos(around(), list(photos.values()), out, MHP_V1, SMALL)
    options = Options(size=32, overwrite=True, on_error="skip")
    done = predict_photos(around(), [*photos.values(), tmp_path / "nowhere.jpg"], out, MHP_V1, options)
    assert [path.stem for path in done.labels] == ["colour", "alpha", "line"]
    assert [type(error) for error in done.skipped] == [ImageError, UnreadableError]
    assert {path.stem for path in out.iterdir()} == {"colour", "alpha", "line"}
    with pytest.raises(
        ImageError, match=r"gray\.jpg: truncated JPEG: .*JPEG\. Copy the file again\. To skip .*\"skip\"\)\.$"
    ):
        predict_photos(around(), [photos["gray"]], tmp_path / "none", MHP_V1, options)
    with pytest.raises(UnreadableError, match=r"nowhere\.jpg: .*; none of 2 images can be used; expected"):
        predict_photos(around(), [tmp_path / "nowhere.jpg", photos["gray"]], tmp_path / "none", MHP_V1, options)
    kept = replace(options, overwrite=False, keep=True)
    assert predict_photos(around(), [photos["gray"], photos["line"]], out, MHP_V1, kept).kept == 1


def test_a_name_as_long_as_the_disk_takes_is_written(photos, tmp_path):
    """The final name fits the limit; the longer name of the unfinished file would not."""
    long = photos["gray"].rename(tmp_path / ("é" * 122 + "long.jpg"))
    assert len(os.fsencode(long.name)) == 252
    options = replace(SMALL, overlay=True)
    done = predict_photos(around(), [long], tmp_path / "out", MHP_V1, options)
    assert [path.stem for path in done.labels] == [long.stem] and done.labels[0].is_file()
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == sorted([long.name, f"{long.stem}.png"])


@pytest.mark.parametrize("two", [("IMG_1", "img_1"), ("caf\u00e9", "cafe\u0301")])
def test_names_that_are_one_on_the_disk_are_an_error_there(two, tmp_path, monkeypatch):
    paths = [tmp_path / f"{name}.jpg" for name in two]
    for path in paths:
        path.write_bytes(encode(".jpg", photo(1, (33, 33))))
    done = predict_photos(around(), paths, tmp_path / "out", MHP_V1, SMALL)
    assert len(list((tmp_path / "out").iterdir())) == len(done.labels) == 2, "this disk tells them apart"
    exists = os.path.lexists

    def folding(path):
        """Simulate a disk that ignores case and Unicode form."""
        there = Path(path).parent.iterdir() if Path(path).parent.is_dir() else ()
        fold = [unicodedata.normalize("NFC", name).casefold() for name in (Path(path).name, *(p.name for p in there))]
        return exists(path) or fold[0] in fold[1:]

    monkeypatch.setattr(os.path, "lexists", folding)
    with pytest.raises(
        OptionError, match=f"the images: {two[0]} and {two[1]}, which are the same name on the disk of .*out2"
    ):
        predict_photos(around(), paths, tmp_path / "out2", MHP_V1, SMALL)
    assert not list((tmp_path / "out2").iterdir()), "nothing is written"


def test_wrong_arguments(photos, packed, tmp_path):
    with pytest.raises(OptionError, match="2 named colour"):
        predict_photos(around(), [photos["colour"], f"{os.sep}elsewhere{os.sep}colour.png"], tmp_path, MHP_V1, SMALL)
    with pytest.raises(OptionError, match="images: none"):
        predict_photos(around(), [], tmp_path, MHP_V1, SMALL)
    with pytest.raises(OptionError, match=r"the network: has 20 outputs; expected at most 19"):
        predict_photos(Inference(ByColour(20), 20, 8), [photos["colour"]], tmp_path, MHP_V1, SMALL)
    with pytest.raises(OptionError, match=r"name: '0001'; expected names of .*, such as 0007, 0008"):
        predict_split(around(), packed, "test", tmp_path, ["0001"], SMALL)
    with pytest.raises(OptionError, match="on_error"):
        Options(on_error="ignore")
    with pytest.raises(OptionError, match="exif: 'turned'"):
        Options(exif="turned")
    with pytest.raises(OptionError, match="keep: given with --overwrite"):
        Options(keep=True, overwrite=True)
    with pytest.raises(OutputError, match="cannot be created"):
        predict_photos(around(), [photos["colour"]], photos["gray"] / "out", MHP_V1, SMALL)
    with pytest.raises(EngineError, match="logits"):
        predict_photos(Inference(ByColour(2), 19, 8), [photos["colour"]], tmp_path / "out", MHP_V1, SMALL)
    assert not list((tmp_path / "out").iterdir())


def test_a_name_that_leads_out_of_the_folder_is_refused(packed, tmp_path):
    manifest = tmp_path / "rec" / "manifest.json"
    manifest.parent.mkdir()
    for file in packed.iterdir():
        (tmp_path / "rec" / file.name).write_bytes(file.read_bytes())
    manifest.write_text(manifest.read_text().replace('"0007"', '"../07"'))
    with pytest.raises(ManifestError, match=r"'\.\./07'"):
        predict_split(around(), tmp_path / "rec", "test", tmp_path / "out", None, SMALL)


@NEEDS_OBSTORE
def test_predictions_in_object_storage_equal_those_in_a_folder(packed, tmp_path, monkeypatch):
    options = replace(SMALL, overlay=True)
    written = predict_split(around(), packed, "test", tmp_path / "pred", None, options)
    (tmp_path / "buckets/box").mkdir(parents=True)
    with bucket(tmp_path / "buckets", monkeypatch) as server:
        out = "s3://box/a b/pred"
        done = predict_split(around(), packed, "test", out, None, options)
        assert [path.name for path in done.labels] == [path.name for path in written.labels]
        assert contents(server, "box", "a b/pred") == tree(tmp_path / "pred")
        assert not any(path == "/box" for _, path, _ in server.requests), "nothing is listed"
        with pytest.raises(OutputError, match=r"already exists\. Pass --keep to write only missing files"):
            predict_split(around(), packed, "test", out, None, options)
        first = server.folder / "box/a b/pred" / done.labels[0].name
        first.unlink()
        again = predict_split(around(), packed, "test", out, None, replace(options, keep=True))
        assert again.kept == len(done.labels) - 1
        predict_split(around(), packed, "test", out, None, replace(options, overwrite=True))
        assert contents(server, "box", "a b/pred") == tree(tmp_path / "pred")
        first.write_bytes(b"mine")
        with pytest.raises(OutputError, match="was not written by mhp"):
            predict_split(around(), packed, "test", out, None, replace(options, overwrite=True))
        assert first.read_bytes() == b"mine"
        monkeypatch.setattr(files, "look_if_there", lambda *_: None)  # another process writes it meanwhile
        with pytest.raises(OutputError, match="already exists"):
            predict_split(around(), packed, "test", out, None, replace(options, keep=True))
        assert first.read_bytes() == b"mine"
    with pytest.raises(OptionError, match="a web server"):
        predict_split(around(), packed, "test", "https://host/pred", None, options)
