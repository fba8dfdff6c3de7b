"""Packing a download again with --from: only changed entries are converted, and the bytes are those of a whole pack."""

import json

import cv2
import pytest
from folder import encode, mask, photo, tree, write_folder, write_list

import mhpdata
from mhpdata.editing.update import update
from mhpdata.errors import OptionError
from mhpdata.packing import run as running


@pytest.fixture
def download(tmp_path):
    return write_folder(tmp_path / "LV-MHP-v1", images=16)


@pytest.fixture
def converted(monkeypatch):
    """Return the names of the entries that are converted from now on."""
    names = []
    convert = running.convert
    monkeypatch.setattr(
        running, "convert", lambda root, entry, *rest: names.append(entry.name) or convert(root, entry, *rest)
    )
    return names


def test_only_changed_entries_are_converted(download, tmp_path, converted):
    mhpdata.pack(download, tmp_path / "old", size=0)
    size = (96, 128)
    (download / "annotations" / "0003_02_01.png").write_bytes(encode(".png", mask(2, 2, size)))
    (download / "images" / "0007.jpg").write_bytes(encode(".jpg", photo(99, size)))
    for name in ("0005_02_01.png", "0005_02_02.png"):  # a third person
        (download / "annotations" / name).rename(download / "annotations" / name.replace("_02_", "_03_"))
    (download / "annotations" / "0005_03_03.png").write_bytes(encode(".png", mask(1, 3, size)))
    for file in sorted((download / "images").iterdir()):
        file.touch()  # times of change alone change nothing
    names = [f"{n:04d}" for n in range(1, 13)]
    write_list(download / "train_list.txt", [name for name in names if name != "0002"])
    write_list(download / "test_list.txt", ["0013", "0014", "0015", "0016"])
    converted.clear()
    done = update(download, tmp_path / "old", tmp_path / "new", size=0)
    assert sorted(converted) == ["0003", "0005", "0007"] and done.kept == 12
    mhpdata.pack(download, tmp_path / "whole", size=0)
    assert tree(tmp_path / "new") == tree(tmp_path / "whole")
    builds = [json.loads((tmp_path / one / "build.json").read_text()) for one in ("new", "whole")]
    assert builds[0]["source_content"] == builds[1]["source_content"]
    assert update(download, tmp_path / "old", tmp_path / "new", size=0).kept == 0  # already done


def test_skips_notes_and_containers_follow(download, tmp_path, converted):
    (download / "images" / "0004.jpg").write_bytes(b"no image")
    path = download / "images" / "0006.jpg"
    path.write_bytes(path.read_bytes() + b"trailing")
    mhpdata.pack(download, tmp_path / "old", size=0, on_error="skip")
    converted.clear()
    done = update(download, tmp_path / "old", tmp_path / "new", size=0, on_error="skip", format="hdf5")
    assert converted == ["0004"] and done.kept == 15 and [note.name for note in done.manifest.notes] == ["0006"]
    mhpdata.pack(download, tmp_path / "whole", size=0, on_error="skip", format="hdf5")
    assert tree(tmp_path / "new") == tree(tmp_path / "whole")


def test_records_of_other_options_or_libraries_are_refused(download, tmp_path):
    mhpdata.pack(download, tmp_path / "old", size=64)
    with pytest.raises(OptionError, match=r"with other options \(--size 64, now 0\)"):
        update(download, tmp_path / "old", tmp_path / "new", size=0)
    with pytest.raises(OptionError, match="is also --from"):
        update(download, tmp_path / "old", tmp_path / "old", size=64)
    build = tmp_path / "old" / "build.json"
    content = json.loads(build.read_text())
    content["maker"]["OpenCV"] = "3.0"
    build.write_text(json.dumps(content))
    with pytest.raises(OptionError, match=f"OpenCV 3.0 instead of {cv2.__version__}"):
        update(download, tmp_path / "old", tmp_path / "new", size=64)
    build.unlink()
    with pytest.raises(OptionError, match=r"no maker in its build\.json"):
        update(download, tmp_path / "old", tmp_path / "new", size=64)
    assert not (tmp_path / "new" / "manifest.json").exists()
