"""mhpdata.fetch from an archive, a web server and Google Drive (a stand-in for gdown), and what stays on the disk."""

from __future__ import annotations

import random
import sys
import types
import zipfile
from pathlib import Path

import pytest
from released import pretend, tree, zipped
from scripted_server import cut, scripted, status
from verified import build

import mhpdata
from mhpdata.errors import ArchiveError, MissingError, OptionError, OutputError, RemoteError
from mhpdata.fetching import drive, web
from mhpdata.fetching.datasets import DATASETS
from mhpdata.fetching.staging import FOLDER, staging
from mhpdata.terms import TERMS


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(web.time, "sleep", lambda seconds: None)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Read-only."""
    return build(tmp_path_factory.mktemp("release") / "LV-MHP-v1")


@pytest.fixture(scope="module")
def zip_file(original, tmp_path_factory):
    return zipped(original, tmp_path_factory.mktemp("zip") / "LV-MHP-v1.zip")


@pytest.fixture
def release(original, monkeypatch):
    return pretend(monkeypatch, original)


def get(out, **given):
    return mhpdata.fetch("mhp-v1", out, accept_licence=True, **given)


def test_from_an_archive_to_a_pack(tmp_path, release, original, zip_file):
    before = zip_file.read_bytes()
    done = get(tmp_path / "out", archive=zip_file)
    assert (done.kept, done.written, done.files, done.complete) == (0, len(release), len(release), True)
    assert tree(tmp_path / "out") == tree(original) and zip_file.read_bytes() == before
    assert done.text().endswith(f"out: {len(release)} of {len(release)} files are those of the LV-MHP v1 release.")
    assert mhpdata.verify_source(tmp_path / "out").release["same"] == len(release)
    assert (
        sum(split.records for split in mhpdata.pack(tmp_path / "out", tmp_path / "rec", size=64).splits.values()) == 8
    )


def test_again_it_needs_no_archive_and_no_network(tmp_path, release, zip_file):
    get(tmp_path / "out", archive=zip_file)
    for given in ({"archive": tmp_path / "none.zip"}, {"url": "http://127.0.0.1:9/x.zip"}, {}):
        done = get(tmp_path / "out", **given)
        assert (done.kept, done.written) == (len(release), 0)


def test_nothing_happens_without_the_licence(tmp_path, release, zip_file):
    with scripted(zip_file.read_bytes()) as script, pytest.raises(OptionError, match=r"Pass --accept-licence"):
        mhpdata.fetch("mhp-v1", tmp_path / "out", url=script.url)
    assert script.requests == [] and not (tmp_path / "out").exists()


def test_the_terms_are_complete():
    for name, dataset in DATASETS.items():
        assert None not in TERMS[name]
        assert TERMS[name].licence in dataset.terms() and TERMS[name].citation in dataset.terms()


@pytest.mark.parametrize(
    "given", [{"url": "ftp://x/y"}, {"url": "http://x/y", "archive": "z.zip"}, {"archive": ""}, {"archive": "s3://b/z"}]
)
def test_invalid_arguments(tmp_path, release, given):
    with pytest.raises(OptionError):
        get(tmp_path / "out", **given)
    with pytest.raises(OptionError, match="mhp-v1"):
        mhpdata.fetch("mhp-v3", tmp_path / "out", accept_licence=True)


def test_from_a_server_that_drops(tmp_path, release, original, zip_file):
    with scripted(zip_file.read_bytes(), changes={0: cut(9000), 2: status(503), 1: cut(9)}) as script:
        assert get(tmp_path / "out", url=script.url).complete
    assert tree(tmp_path / "out") == tree(original), "the archive is gone"


def test_an_interrupted_download_is_resumed(tmp_path, release, original, zip_file):
    with scripted(zip_file.read_bytes()) as script:
        script.changes = {0: cut(9000), **{number: status(503) for number in range(1, 20)}}
        with pytest.raises(RemoteError, match="run the same command again to resume"):
            get(tmp_path / "out", url=script.url)
        script.changes, count = {}, len(script.requests)
        assert get(tmp_path / "out", url=script.url).complete
    assert script.requests[count]["Range"] == "bytes=9000-"
    assert tree(tmp_path / "out") == tree(original)


def test_a_truncated_archive_is_one_error_and_is_downloaded_again(tmp_path, release, original, zip_file):
    data = zip_file.read_bytes()
    with scripted(data[:-3000]) as script:
        with pytest.raises(ArchiveError, match="is not a complete zip archive"):
            get(tmp_path / "out", url=script.url)
        assert tree(tmp_path / "out") == {}
        script.content, script.tag = data, '"two"'
        assert get(tmp_path / "out", url=script.url).complete
    assert tree(tmp_path / "out") == tree(original)


def test_flipped_bits_cost_the_files_that_they_hit(tmp_path, release, original, zip_file):
    data = bytearray(zip_file.read_bytes())
    data[len(data) // 3] ^= 4
    with scripted(bytes(data)) as script:
        done = get(tmp_path / "out", url=script.url)
        assert (done.complete, done.written, len(done.problems)) == (False, len(release) - 1, 1)
        assert "1 problem:\n  ArchiveError: " in done.text() and done.as_dict()["problems"][0]["place"]
        script.content, script.tag = zip_file.read_bytes(), '"two"'
        done = get(tmp_path / "out", url=script.url)
    assert (done.kept, done.written) == (len(release) - 1, 1)
    assert tree(tmp_path / "out") == tree(original)


def test_another_archive_is_called_so_first_and_leaves_no_folder(tmp_path, release, original):
    for name in release:
        (tmp_path / "part" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "part" / name).write_bytes(b"of another dataset")
    done = get(tmp_path / "out/deep", archive=zipped(tmp_path / "part", tmp_path / "part.zip"))
    lines = done.text(50).splitlines()
    assert not done.complete and len(release) > 3
    assert lines[1] == "This is not the archive of the LV-MHP v1 release: no file in it is right."
    assert lines[-1] == f"  ... and {len(release) - 3} more (--all shows them)" and len(lines) == 8
    assert len(done.text().splitlines()) == 4 + len(release)
    assert not (tmp_path / "out/deep").exists()


def test_a_failed_download_leaves_no_folder(tmp_path, release, zip_file):
    with scripted(zip_file.read_bytes()) as script:
        script.changes = {number: status(404) for number in range(20)}
        with pytest.raises(RemoteError):
            get(tmp_path / "out", url=script.url)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with pytest.raises(ArchiveError):
        get(tmp_path / "out", archive=zip_of_nothing(tmp_path / "empty.zip"))
    assert list((tmp_path / "out").iterdir()) == []


def zip_of_nothing(path):
    with zipfile.ZipFile(path, "w"):
        return path


def test_wrong_files_come_before_a_line_on_the_missing_ones(tmp_path, release, original):
    part = tmp_path / "part"
    (part / "images").mkdir(parents=True)
    for name in ("images/0007.jpg", "images/0008.jpg"):
        (part / name).write_bytes((original / name).read_bytes())
    data = bytearray((part / "images/0008.jpg").read_bytes())
    data[-40] ^= 1
    (part / "images/0008.jpg").write_bytes(data)
    done = get(tmp_path / "out", archive=zipped(part, tmp_path / "part.zip"))
    count = len(release) - 1
    assert (done.written, len(done.problems), len(done.missing)) == (1, count, count - 1)
    assert list(done.missing) == sorted(set(release) - {"images/0007.jpg", "images/0008.jpg"})
    assert done.problems[0].place.endswith(": images/0008.jpg") and done.problems[0].found != "missing"
    assert {error.found for error in done.problems[1:]} == {"missing"}
    *_, head, wrong, missing = done.text(50).split("\n")
    assert head == f"{count} problems:" and "images/0008.jpg: differs from the file of the release" in wrong
    few = ", ".join([*done.missing[:3], "..."])
    assert missing == f"  Missing in the archive: {count - 1} files ({few}). Download the archive again."
    assert done.text().count(": missing; expected") == count - 1 and len(done.as_dict()["problems"]) == count


def test_an_archive_of_something_else(tmp_path, release, original):
    other = zipped(original / "images", tmp_path / "other.zip", "photos/")
    with pytest.raises(ArchiveError, match="none of its 8 files is one of the release"):
        get(tmp_path / "out", archive=other)


def test_a_full_disk_keeps_the_archive(tmp_path, release, zip_file, monkeypatch):
    from mhpdata.fetching import extract

    def full(path, data, sync):
        raise OSError(28, "No space left on device", str(path))

    with scripted(zip_file.read_bytes()) as script:
        with monkeypatch.context() as patch:
            patch.setattr(extract, "write_atomically", full)
            with pytest.raises(OutputError, match="No space left"):
                get(tmp_path / "out", url=script.url)
        assert get(tmp_path / "out", url=script.url).complete
    assert len(script.requests) == 1


def test_files_of_others_in_its_folder_stay(tmp_path, release, zip_file):
    (tmp_path / "out" / FOLDER).mkdir(parents=True)
    (tmp_path / "out" / FOLDER / "mine").write_bytes(b"mine")
    with pytest.raises(OutputError, match="mine"):
        get(tmp_path / "out", archive=zip_file)
    assert (tmp_path / "out" / FOLDER / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["link", "file"])
def test_its_folder_is_a_folder(tmp_path, release, zip_file, kind):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "out" / FOLDER
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_bytes(b"mine")
    with scripted(zip_file.read_bytes()) as script, pytest.raises(OutputError, match=FOLDER):
        get(tmp_path / "out", url=script.url)
    assert script.requests == [] and list((tmp_path / "elsewhere").iterdir()) == []


def test_one_command_at_a_time(tmp_path, release, zip_file):
    with staging(tmp_path / "out"), pytest.raises(OutputError, match="another mhp fetch is writing here"):
        get(tmp_path / "out", archive=zip_file)
    assert get(tmp_path / "out", archive=zip_file).complete


class FakeDrive:
    """gdown.download with its arguments; the behaviour is an error to raise, or the bytes of the archive."""

    def __init__(self, content):
        self.content, self.calls = content, []

    def download(self, *, id, output, quiet, use_cookies, resume, timeout, retries, progress):
        self.calls.append(id)
        assert (quiet, use_cookies, resume) == (True, False, True) and timeout > 0 and retries > 0
        if isinstance(self.content, Exception):
            raise self.content
        progress(len(self.content), len(self.content))
        Path(output).write_bytes(self.content)
        return output


@pytest.fixture
def fake_drive(monkeypatch, zip_file):
    fake = FakeDrive(zip_file.read_bytes())
    module = types.ModuleType("gdown")
    module.download = fake.download
    monkeypatch.setitem(sys.modules, "gdown", module)
    return fake


def test_from_google_drive(tmp_path, release, original, fake_drive):
    assert get(tmp_path / "out").complete
    assert fake_drive.calls == ["1hTS8QJBuGdcppFAr_bvW2tsD9hW_ptr5"] and tree(tmp_path / "out") == tree(original)


class DownloadError(Exception):
    """An error with the name of gdown's."""


def caused(error, cause):
    error.__cause__ = cause
    return error


class FileURLRetrievalError(Exception):
    """An error with the name of gdown's."""


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (FileURLRetrievalError("html"), RemoteError, "its limit of downloads may be reached"),
        (ConnectionResetError(104, "reset"), RemoteError, "the connection failed"),
        (OSError(28, "No space left on device"), OutputError, "Free space"),
        (AssertionError(), RemoteError, "--zip"),
        (DownloadError("incomplete"), RemoteError, "did not arrive completely"),
        (caused(DownloadError("tried"), ConnectionError("down")), RemoteError, "the connection failed"),
    ],
)
def test_google_drive_refuses(tmp_path, release, fake_drive, error, kind, says):
    fake_drive.content = error
    with pytest.raises(kind, match=says):
        get(tmp_path / "out")
    assert kind is OutputError or not (tmp_path / "out").exists()


def test_a_file_of_google_drive_that_is_too_large(tmp_path, release, fake_drive):
    fake_drive.content = bytes(2 * sum(file.size for file in release.values()))
    with pytest.raises(ArchiveError, match="expected at most"):
        get(tmp_path / "out")


def test_without_gdown_it_says_what_else_there_is(tmp_path, release, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(MissingError, match=r'pip install "gdown.*pass it with --zip'):
        get(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_gdown_itself_resumes(tmp_path):
    """A local server stands for Google Drive."""
    pytest.importorskip("gdown", reason="the extra fetch is not installed here")
    dataset, content = DATASETS["mhp-v1"], b"PK\x03\x04" + random.Random(0).randbytes(3 << 20)
    with staging(tmp_path / "out") as to, scripted(content) as script:
        to.create()
        script.changes = {0: cut(2_000_000)}
        url = script.url.partition("?")[0]
        drive.download_from_drive(dataset, to, 4 << 20, url=url)
        assert to.drive.read_bytes() == content and script.requests[1]["Range"] == f"bytes={3 << 19}-"
        to.drive.unlink()
        with pytest.raises(ArchiveError, match="expected at most 100"):
            drive.download_from_drive(dataset, to, 100, url=url)
        script.always = status(404)
        with pytest.raises(RemoteError):
            drive.download_from_drive(dataset, to, 4 << 20, url=url)
        to.clear()
        assert not to.folder.exists(), "all names are known"
