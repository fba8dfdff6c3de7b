"""Weights of others from a local mirror: right files, or one error and no file under the final name."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import types
import zipfile
from pathlib import Path

import pytest
from range_server import serving

import mhpdata
from mhpdata.errors import ArchiveError, MissingError, OptionError, OutputError, RemoteError
from mhpdata.fetching import web, weights
from mhpdata.fetching.published import WEIGHTS, WeightsFile

PARAMS = struct.pack("<QQ", 0x112, 0) + bytes(5000)
TENSORS = struct.pack("<Q", 2) + b"{}" + bytes(3000)
TORCH = b"PK\x03\x04" + bytes(2000)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(web.time, "sleep", lambda seconds: None)


@pytest.fixture
def mirror(tmp_path):
    """Yield a folder and the address under which a server on this machine has it."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    with serving(folder) as server:
        yield folder, server.url


def published(monkeypatch, name, *files):
    """Replace the files of known weights."""
    monkeypatch.setitem(WEIGHTS, name, WEIGHTS[name]._replace(files=files))


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def icnet(monkeypatch, mirror, content=PARAMS, written=None, name="net-1.params"):
    digest = f"sha1:{hashlib.sha1(content).hexdigest()}"
    file = WeightsFile(name, digest, folder="http://127.0.0.1:9", zipped=True, page="https://page")
    published(monkeypatch, "icnet_resnet50_mhpv1", file)
    with zipfile.ZipFile(mirror / "net-1.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other.txt", "not wanted")
        archive.writestr("net-1.params", content if written is None else written)


def get(name, out, url=None):
    return mhpdata.fetch_weights(name, out, accept_licence=True, url=url)


def test_a_file_in_an_archive_of_the_store(tmp_path, mirror, monkeypatch):
    folder, url = mirror
    icnet(monkeypatch, folder)
    out = tmp_path / "out"
    done = get("icnet_resnet50_mhpv1", out, f"{url}/")
    assert [path.name for path in out.iterdir()] == ["net-1.params"] and (out / "net-1.params").read_bytes() == PARAMS
    assert done.files[0].checked and not done.files[0].kept and "as published" in done.text()
    assert done.files[0].sha256 == hashlib.sha256(PARAMS).hexdigest()
    (folder / "net-1.zip").unlink()
    again = get("icnet_resnet50_mhpv1", out, url)
    assert again.files[0].kept and "was there before" in again.text()
    (out / "net-1.params").write_bytes(PARAMS[:-1])
    with pytest.raises(OutputError, match=r"SHA-1 is .* mhp does not replace it"):
        get("icnet_resnet50_mhpv1", out, url)
    assert (out / "net-1.params").read_bytes() == PARAMS[:-1]


@pytest.mark.parametrize(
    ("written", "says"),
    [(PARAMS + b"1", "SHA-1"), (bytes(2_000_001), "bytes; expected at most")],
    ids=["other", "too large"],
)
def test_another_file_in_the_archive_leaves_nothing(tmp_path, mirror, monkeypatch, written, says):
    monkeypatch.setattr(weights, "MOST", 2_000_000)
    icnet(monkeypatch, mirror[0], written=written)
    with pytest.raises(ArchiveError, match=says):
        get("icnet_resnet50_mhpv1", tmp_path / "out", mirror[1])
    assert not (tmp_path / "out").exists()


def test_an_archive_that_is_damaged_or_lacks_the_file(tmp_path, mirror, monkeypatch):
    icnet(monkeypatch, mirror[0])
    path = mirror[0] / "net-1.zip"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(ArchiveError, match=r"is not an archive with net-1\.params"):
        get("icnet_resnet50_mhpv1", tmp_path / "out", mirror[1])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../net-1.params", PARAMS)
    with pytest.raises(ArchiveError, match=r"is not an archive with net-1\.params"):
        get("icnet_resnet50_mhpv1", tmp_path / "out", mirror[1])
    path.write_text("<html>sign in</html>")
    with pytest.raises(ArchiveError, match="is not a zip archive"):
        get("icnet_resnet50_mhpv1", tmp_path / "out", mirror[1])
    path.unlink()
    with pytest.raises(RemoteError, match=r"status 404.*download it from https://page with a browser"):
        get("icnet_resnet50_mhpv1", tmp_path / "out", mirror[1])
    assert not (tmp_path / "out").exists()


def hub(monkeypatch, mirror):
    names = {"config.json": b'{"model_type": "segformer"}', "model.safetensors": TENSORS}
    files = [
        WeightsFile("model/config.json", folder="http://127.0.0.1:9", page="https://page"),
        WeightsFile(
            "model/model.safetensors", sha256(TENSORS), len(TENSORS), "http://127.0.0.1:9", page="https://page"
        ),
    ]
    published(monkeypatch, "segformer_b2_clothes", *files)
    for name, content in names.items():
        (mirror / name).write_bytes(content)


def test_a_folder_of_the_hub_and_its_rest_after_an_error(tmp_path, mirror, monkeypatch):
    folder, url = mirror
    hub(monkeypatch, folder)
    (folder / "model.safetensors").write_bytes(TENSORS + b"1")
    with pytest.raises(ArchiveError, match=f"has at least {len(TENSORS) + 1} bytes"):
        get("segformer_b2_clothes", tmp_path / "out", url)
    (folder / "model.safetensors").write_bytes(TENSORS[:-1] + b"1")
    with pytest.raises(ArchiveError, match="SHA-256"):
        get("segformer_b2_clothes", tmp_path / "out", url)
    (folder / "model.safetensors").write_bytes(TENSORS)
    done = get("segformer_b2_clothes", tmp_path / "out", url)
    assert [(file.path.name, file.checked, file.kept) for file in done.files] == [
        ("config.json", False, True),
        ("model.safetensors", True, False),
    ]
    assert "no checksum is known for it" in done.text()
    assert sorted(path.name for path in (tmp_path / "out" / "model").iterdir()) == ["config.json", "model.safetensors"]
    assert json.dumps(done.as_dict())


@pytest.mark.parametrize("content", [b"<!doctype html>" * 100, struct.pack("<Q", 1 << 40) + b"{}", b"{}"])
def test_a_file_of_another_form_is_no_safetensors(tmp_path, mirror, monkeypatch, content):
    file = WeightsFile("model.safetensors", folder="http://127.0.0.1:9", page="https://page")
    published(monkeypatch, "mit-b0", file)
    (mirror[0] / "model.safetensors").write_bytes(content)
    with pytest.raises(ArchiveError, match="is not a safetensors file"):
        get("mit-b0", tmp_path / "out", mirror[1])
    assert not (tmp_path / "out").exists()


def test_from_google_drive_or_from_a_mirror(tmp_path, mirror, monkeypatch):
    calls = []

    def download(id, output, **options):
        calls.append(id)
        options["progress"](len(TORCH), len(TORCH))
        Path(output).write_bytes(TORCH)

    monkeypatch.setitem(sys.modules, "gdown", types.SimpleNamespace(download=download))
    name = WEIGHTS["schp-pascal"].files[0].name
    done = get("schp-pascal", tmp_path / "out")
    assert calls == ["1E5YwNKW2VOEayK9mWCS3Kpsxf-3z04ZE"] and (tmp_path / "out" / name).read_bytes() == TORCH
    assert not done.files[0].checked and [path.name for path in (tmp_path / "out").iterdir()] == [name]
    with pytest.raises(ArchiveError, match=r"has 2004 bytes; expected 267449349"):
        get("schp-lip", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    (mirror[0] / name).write_bytes(TORCH + b"1")
    get("schp-pascal", tmp_path / "again", mirror[1])
    assert (tmp_path / "again" / name).read_bytes() == TORCH + b"1" and len(calls) == 2
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(MissingError, match=rf"move it into the output folder as {name}"):
        get("schp-pascal", tmp_path / "third")


def test_nothing_before_the_licence_and_no_link_is_followed(tmp_path, mirror, monkeypatch):
    icnet(monkeypatch, mirror[0])
    with pytest.raises(OptionError, match="licence of GluonCV's ICNet, trained on LV-MHP v1 is not accepted"):
        mhpdata.fetch_weights("icnet_resnet50_mhpv1", tmp_path / "out", url=mirror[1])
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").write_bytes(PARAMS)
    (tmp_path / "out" / "net-1.params").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="link"):
        get("icnet_resnet50_mhpv1", tmp_path / "out", mirror[1])


def test_the_table_names_its_files_once_and_each_digest_has_its_length():
    files = [file for entry in WEIGHTS.values() for file in entry.files]
    assert len({file.name for file in files}) == len(files)
    for file in files:
        kind, _, digits = file.digest.partition(":")
        assert len(digits) == {"": 0, "sha1": 40, "sha256": 64}[kind] and bool(file.folder) != bool(file.drive_id)
        assert not file.name.startswith("/") and ".." not in file.name and file.page.startswith("https://")
        assert set(digits) <= set("0123456789abcdef")
    for entry in WEIGHTS.values():
        assert all(word in entry.terms() for word in ("Licence: ", "Trained on: ", "Cite: "))


def test_an_address_with_a_query_is_not_that_of_a_folder(tmp_path):
    with pytest.raises(OptionError, match="url: an address with a query"):
        get("icnet_resnet50_mhpv1", tmp_path / "out", "https://example.org/folder?token=a")
    assert not (tmp_path / "out").exists()
