"""Exit statuses of commands: 1 for wrong data only, 3 for reasons outside the data; and path arguments."""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import mhpdata
import mhpdata.checking.packed
import mhpmodels.prediction.convert
from mhpdata.checking.report import Report
from mhpdata.errors import (
    CheckpointError,
    EngineError,
    FolderError,
    ImageError,
    ManifestError,
    MissingError,
    NonFiniteError,
    OptionError,
    OutputError,
    RecordError,
    ShardError,
    SourceChangedError,
    UnreadableError,
    caused,
    is_outside,
)
from mhpdata.synth.writing.folder import synthesize
from mhptools import convert, pack, synth, train, verify
from mhptools.paths import FILE, PATH, PathText
from mhptools.running import Command, _Stdout

ANSI = "a\x1b[2J\n\u202egpj.b"


def refused(number, kind=ShardError):
    return caused(kind("x", "cannot be read", "", "Repair it."), OSError(number, os.strerror(number)))


def run(function):
    """Run a command that calls ``function``; return its result."""

    @click.command(cls=Command)
    def main():
        function()

    return CliRunner().invoke(main, [])


def throw(error):
    def function():
        raise error

    return function


# --- statuses


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FolderError("x", "broken"), 1),
        (ImageError("x", "broken"), 1),
        (ManifestError("x", "broken"), 1),
        (RecordError("x", "broken"), 1),
        (CheckpointError("x", "broken"), 1),
        (NonFiniteError("x", "broken"), 1),
        (refused(errno.ENOENT), 1),
        (refused(errno.EISDIR), 1),
        (refused(errno.EINVAL), 1),
        (OptionError("x", "wrong"), 2),
        (click.UsageError("wrong"), 2),
        (refused(errno.EACCES), 3),
        (refused(errno.EIO), 3),
        (refused(errno.EMFILE), 3),
        (refused(errno.EACCES, CheckpointError), 3),
        (refused(errno.EACCES, ManifestError), 3),
        (refused(errno.EACCES, FolderError).below("MHP"), 3),
        (refused(errno.EACCES, OptionError), 3),
        (UnreadableError("x", "cannot be read"), 3),
        (SourceChangedError("x", "has changed"), 3),
        (OutputError("x", "already exists"), 3),
        (MissingError("x", "not installed"), 3),
        (EngineError("x", "no GPU"), 3),
        (MemoryError(), 3),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 3),
        (ImportError("no module"), 3),
        (EOFError("an error of ours"), 3),
        (ZeroDivisionError("an error of ours"), 3),
        (KeyboardInterrupt(), 130),
        (SystemExit(143), 143),
        (SystemExit(1), 1),
        (SystemExit(), 0),
    ],
)
def test_the_status_of_an_error(error, status):
    found = run(throw(error))
    assert found.exit_code == status
    lines = found.stderr.splitlines()
    if "ours" in str(error):
        assert (
            lines[0].startswith("Traceback")
            and lines[-1] == "This is an error in mhp: please report it with these lines."
        )
    elif not isinstance(error, SystemExit | click.UsageError | OptionError):
        assert len(lines) == 1 and "Traceback" not in found.stderr


def test_out_of_memory_names_the_options_that_the_command_has():
    @click.command(cls=Command)
    @click.option("--workers")
    @click.option("--batch-size")
    def main(workers, batch_size):
        raise MemoryError

    less = "Close other programs, or run the command again with a smaller --workers or --batch-size."
    assert CliRunner().invoke(main, []).stderr == f"MemoryError: out of memory. {less}\n"
    assert run(throw(MemoryError())).stderr == "MemoryError: out of memory. Close other programs.\n"


def test_what_lies_outside_the_data_is_told_by_the_cause_of_the_cause():
    error = caused(CheckpointError("x", "broken"), caused(ShardError("x", "broken"), PermissionError(13, "no")))
    assert is_outside(error) and not is_outside(caused(CheckpointError("x", "broken"), ValueError("no")))


# --- mhp verify


def report(monkeypatch, *findings):
    monkeypatch.setattr(mhpdata.checking.packed, "verify_packed", lambda *of, **given: Report("rec", list(findings)))
    return CliRunner().invoke(verify.main, ["."]).exit_code


def test_the_verdict_is_wrong_data_where_any_are(monkeypatch):
    assert report(monkeypatch) == 0
    assert report(monkeypatch, refused(errno.EIO), refused(errno.EACCES)) == 3
    assert report(monkeypatch, refused(errno.EIO), RecordError("x", "broken")) == 1


def test_a_download_that_may_not_be_looked_at_is_not_damaged(source, monkeypatch):
    """The folder of images can be listed but not entered, as after chmod 644."""
    stat = os.DirEntry.stat

    class Closed:
        def __init__(self, entry):
            self._entry = entry

        def __getattr__(self, name):
            return getattr(self._entry, name)

        def stat(self, **options):
            if self._entry.name.endswith(".jpg"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return stat(self._entry, **options)

    class Scanned(list):
        def __enter__(self):
            return self

        def __exit__(self, *of):
            return None

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: Scanned(map(Closed, scandir(path))))
    found = CliRunner().invoke(verify.main, ["--src", str(source)])
    assert found.exit_code == 3, found.output
    assert "cannot be inspected (Permission denied)" in found.output


# --- streams that are closed, full or left


def shell(line, *arguments):
    """Run a shell line in which "$@" is mhp verify with these arguments; its status is that of mhp verify."""
    command = [sys.executable, "-m", "mhptools.verify", *map(str, arguments)]
    return subprocess.run(["bash", "-c", line, "bash", *command], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """Make a valid download, with a name that must not reach a terminal unescaped."""
    return shutil.copytree(source, tmp_path_factory.mktemp("whole") / ANSI)


@pytest.fixture(scope="module")
def damaged(whole):
    folder = shutil.copytree(whole, whole.with_name("damaged"))
    next((folder / "images").iterdir()).unlink()
    return folder


FULL = "OutputError: standard output: cannot be written (No space left on device). Send it to "


@pytest.mark.parametrize(
    ("folder", "line", "status", "out", "error"),
    [
        ("whole", '"$@" 2>&-', 0, "No problems found.", ""),
        ("whole", '"$@" >&- 2>&- <&-', 0, "", ""),
        ("whole", '"$@" >/dev/full', 3, "", FULL),
        ("whole", '"$@" --help >/dev/full', 3, "", FULL),
        ("whole", '"$@" --layout=x 2>/dev/full', 2, "", ""),
        ("whole", '{ sleep 2; "$@"; echo $? >&2; } | true', 0, "", "141"),
        ("damaged", '"$@" 2>/dev/full', 1, "1 problem", ""),
    ],
)
def test_a_stream_that_takes_nothing_never_changes_the_verdict(request, folder, line, status, out, error):
    found = shell(line, "--src", request.getfixturevalue(folder))
    assert found.returncode == status, found.stdout + found.stderr
    assert "\x1b" not in found.stdout + found.stderr
    assert out in found.stdout and found.stderr.startswith(error) and found.stderr.count("\n") <= 1


def test_ctrl_c_is_one_line():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background processes of a shell ignore it
    try:
        (line,) = run(lambda: signal.raise_signal(signal.SIGINT)).stderr.split("\n")[:-1]
    finally:
        signal.signal(signal.SIGINT, before)
    assert line.startswith("Interrupted. ")


# --- untrusted names


@pytest.mark.parametrize(
    "error",
    [
        FolderError(ANSI, "missing"),
        OutputError(ANSI, "already exists"),
        OptionError(ANSI, "wrong"),
        click.UsageError(f"no such option: {ANSI}"),
        OSError(errno.EIO, "Input/output error", ANSI),
        ZeroDivisionError(ANSI.replace("\n", "")),
        ImportError(ANSI),
    ],
)
def test_an_error_never_moves_the_cursor(error):
    said = run(throw(error)).stderr
    assert "\x1b" not in said and "\u202e" not in said
    assert r"a\x1b[2J" in said and r"\u202egpj.b" in said


def test_what_is_printed_never_moves_the_cursor():
    written = io.BytesIO()
    with _Stdout(written, "ascii", False) as stdout:
        print(f"{ANSI}: \udcff pixAcc é", "a\u2028b", file=stdout, flush=True)
        assert written.getvalue().decode("ascii") == "a\\x1b[2J\n\\u202egpj.b: \\udcff pixAcc \\xe9 a\\u2028b\n"


def test_a_line_end_in_a_name_is_escaped_in_what_is_printed(monkeypatch):
    monkeypatch.setattr(mhpmodels.prediction.convert, "convert", lambda *of: Path(ANSI))
    done = CliRunner().invoke(convert.main, ["x.pt", ANSI])
    assert done.exit_code == 0 and done.stdout.count("\n") == 1 and "\x1b" not in done.stdout


# --- paths


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.mark.parametrize("arguments", [["--out=~/MHP"], ["--out", "~/MHP"]])
def test_a_tilde_is_the_home_folder(home, arguments):
    done = CliRunner().invoke(synth.main, [*arguments, "--images", "1", "--scale", "0.05", "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert (home / "MHP/train_list.txt").exists() and not list(Path().iterdir())


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("./~", "./~"),
        ("a/~", "a/~"),
        ("a~", "a~"),
        ("~", "{home}"),
        ("~/a b", "{home}/a b"),
        (".", "."),
        ("\udcff", "\udcff"),
    ],
)
def test_what_a_path_becomes(home, given, path):
    assert PATH.convert(given, None, None) == path.format(home=home)


def test_a_home_that_is_not_there_is_a_wrong_argument(home):
    with pytest.raises(click.BadParameter, match=r"'~nobody-has-this/x': ~nobody-has-this is no user's home folder"):
        PATH.convert("~nobody-has-this/x", None, None)
    Path("~backup-of-it").touch()
    assert PATH.convert("~backup-of-it", None, None) == "~backup-of-it"


PATHS = {
    "bench": {"folder", "data", "cache"},
    "convert": {"weights", "target", "checkpoint", "out"},
    "eval": {"data", "checkpoint"},
    "diff": {"a", "b"},
    "pack": {"src", "out", "packs", "names"},
    "predict": {"photos", "checkpoint", "out", "data"},
    "score": {"data", "pred", "csv_path", "worst"},
    "show": {"folder", "data", "run_folder", "out", "page", "pred", "commands"},
    "synth": {"out"},
    "train": {"data", "remap", "pretrained_base", "resume", "weights", "replay", "save_dir", "logging_file", "cache"},
    "verify": {"folder", "data", "src"},
}


@pytest.mark.parametrize("name", PATHS)
def test_every_path_of_every_command_is_one(name):
    main = __import__(f"mhptools.{name}", fromlist=["main"]).main
    assert isinstance(main, Command)
    assert {option.name for option in main.params if isinstance(option.type, PathText)} == PATHS[name]


PACKED = {"folder", "data", "a", "b", "packs"}
"""Options of any command that may be an address."""


@pytest.mark.parametrize("name", PATHS)
def test_an_address_is_an_error_except_for_a_packed_folder(name, capsys):
    main = __import__(f"mhptools.{name}", fromlist=["main"]).main
    for option in (one for one in main.params if one.name in PATHS[name]):
        context = click.Context(main)
        for text, found in (
            ("s3://bucket/x", "an address; expected a path on this machine"),
            ("ftp://host/x", "unsupported scheme ftp://"),
            ("https://me:SECRET@host/x", "user name or password"),
        ):
            if option.name in PACKED and text.startswith("s3"):
                assert option.type.convert(text, option, context) == text
                continue
            with pytest.raises(click.BadParameter, match=found) as caught:
                option.type.convert(text, option, context)
            assert "SECRET" not in caught.value.format_message()


@pytest.mark.parametrize(("main", "flag"), [(pack.main, "--src"), (pack.main, "--out"), (train.main, "--data")])
def test_an_empty_path_is_a_wrong_argument(home, main, flag):
    others = {"--src": "x", "--out": "y"} if main is pack.main else {}
    given = [text for pair in {**others, flag: ""}.items() for text in pair]
    found = CliRunner().invoke(main, given)
    assert found.exit_code == 2 and f"'{flag}': an empty path. Pass . for the current folder." in found.stderr


@pytest.mark.parametrize(
    "call",
    [
        lambda path: mhpdata.pack(path, "x"),
        lambda path: mhpdata.pack("x", path),
        lambda path: mhpdata.open(path, "train"),
        lambda path: mhpdata.Loader(path, "train"),
        mhpdata.verify_source,
        mhpdata.verify_packed,
        mhpdata.class_weights,
        synthesize,
    ],
)
def test_an_empty_path_is_a_wrong_argument_in_python(home, call):
    with pytest.raises(OptionError, match=r"^\w+: an empty path\. Pass \"\.\" for the current folder\.$"):
        call("")


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (verify.main, ["nowhere"]),
        (verify.main, ["--src", "nowhere"]),
        (pack.main, ["--src", "nowhere", "--out", "x"]),
        (train.main, []),
        (train.main, ["--data", "nowhere"]),
        (train.main, ["--resume", "nowhere"]),
    ],
)
def test_a_path_that_leads_nowhere_is_a_wrong_argument(home, main, arguments):
    found = CliRunner().invoke(main, arguments)
    assert found.exit_code == 2, found.output
    assert "nowhere" in found.stderr or "mhp train --data rec/" in found.stderr


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (verify.main, ["notes.txt"]),
        (verify.main, ["--src", "notes.txt"]),
        (pack.main, ["--src", "notes.txt", "--out", "x"]),
        (train.main, ["--data", "notes.txt"]),
    ],
)
def test_a_file_in_place_of_a_folder_is_a_wrong_argument(home, main, arguments):
    Path("notes.txt").touch()
    found = CliRunner().invoke(main, arguments)
    assert found.exit_code == 2 and "notes.txt" in found.stderr, found.output


def test_a_folder_in_place_of_a_photo_is_a_wrong_argument(home):
    Path("photos").mkdir()

    @click.command(cls=Command)
    @click.argument("photo", type=FILE)
    def main(photo):
        raise UnreadableError(photo, "cannot be read (not a regular file)", "an image", "Pass the path of a JPEG.")

    assert CliRunner().invoke(main, ["photos"]).exit_code == 2
    Path("1.jpg").touch()
    assert CliRunner().invoke(main, ["1.jpg"]).exit_code == 3


def test_a_default_that_leads_nowhere_is_not_what_is_wrong(home):
    Path("damaged.pt").write_bytes(b"")
    Path("damaged.json").write_text("{")
    found = CliRunner().invoke(train.main, ["--resume", "damaged.pt"])  # --data is "rec", which does not exist
    assert found.exit_code == 1 and found.stderr.startswith("CheckpointError: damaged"), found.output
