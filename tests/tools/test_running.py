"""Exit statuses of commands: 1 for wrong data only, 3 for reasons outside the data; streams and untrusted names."""

from __future__ import annotations

import errno
import importlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from places import ROOT

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
from mhptools import convert, verify
from mhptools.mhp import COMMANDS
from mhptools.running import Command, _Stdout

ANSI = "a\x1b[2J\n\u202egpj.b"


def refused(number, kind=ShardError):
    return caused(kind("x", "cannot be read", "", "Repair it."), OSError(number, os.strerror(number)))


def run(function, *arguments, resumes=False):
    """Run a command that calls ``function``; return its result."""

    @click.command(cls=Command, resumes=resumes)
    @click.option("--keep", is_flag=True)
    @click.option("--overwrite", is_flag=True)
    @click.option("--persons", is_flag=True)
    def main(keep, overwrite, persons):
        function()

    return CliRunner().invoke(main, arguments)


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


def test_the_usage_is_shown_for_wrong_arguments_but_not_for_a_file_with_wrong_content(tmp_path):
    (tmp_path / "mine.json").write_text("{")
    wrong = run(throw(OptionError(tmp_path / "mine.json", "is not JSON")))
    assert (wrong.exit_code, wrong.stderr) == (2, f"Error: {tmp_path}/mine.json: is not JSON.\n")
    for place in ("keep", tmp_path, tmp_path / "missing.json", "a" * 5000, "\0"):
        found = run(throw(OptionError(place, "wrong")))
        assert found.exit_code == 2 and found.stderr.startswith("Usage: ")


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
    assert line == "Interrupted. Run the same command again."


@pytest.mark.parametrize("cause", [True, False])
@pytest.mark.parametrize("kind", [RuntimeError, ImportError, TypeError])
def test_ctrl_c_during_an_import_is_an_interruption_too(kind, cause):
    """Python 3.11 makes a RuntimeError of one in __set_name__, as while numba is imported."""

    def imports():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise kind("Error calling __set_name__") from (error if cause else None)

    def again():
        try:
            imports()
        except kind as error:
            raise MissingError("numba", "cannot be imported") from error

    for function in (imports, again):
        found = run(function, resumes=True)
        assert (found.exit_code, found.stderr) == (130, "Interrupted. Run the same command again to resume.\n")


@pytest.mark.parametrize(
    ("resumes", "arguments", "end"),
    [
        (True, (), " to resume."),
        ("--keep", (), " with --keep to resume."),
        ("--keep", ("--keep",), " to resume."),
        ("--keep", ("--overwrite",), "."),
        ("--keep", ("--persons",), " with --overwrite."),
        ("--keep", ("--persons", "--overwrite"), "."),
    ],
)
def test_ctrl_c_advises_to_resume_only_where_a_command_does(resumes, arguments, end):
    found = run(throw(KeyboardInterrupt()), *arguments, resumes=resumes)
    assert (found.exit_code, found.stderr) == (130, f"Interrupted. Run the same command again{end}\n")


def test_the_commands_that_resume_are_those_of_the_documentation():
    modules = {name: importlib.import_module(f"mhptools.{name}") for name in COMMANDS}
    found = {name: module.main.resumes for name, module in modules.items() if module.main.resumes}
    assert found == dict.fromkeys(("fetch", "pack", "browse", "export"), True) | {"predict": "--keep"}
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8").split("## Resuming")[1].split("\n## ")[0]
    assert set(re.findall(r"`mhp (\w+)", page)) == {*found, "train"}


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
