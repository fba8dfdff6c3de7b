"""mhp verify: its report, exit status, and invalid usage."""

from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner
from verified import data_file, empty_image, line, write_packed

from mhpdata.checking.report import Report
from mhpdata.errors import ShardError
from mhptools.verify import main


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Read-only."""
    return write_packed(tmp_path_factory.mktemp("clean"), ["recordio"])


@pytest.fixture
def source(clean, tmp_path):
    return shutil.copytree(clean / "source", tmp_path / "MHP")


@pytest.fixture
def recordio(clean, tmp_path):
    return shutil.copytree(clean / "recordio", tmp_path / "rec")


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_report_is_cut_and_counted():
    report = Report("rec", [ShardError(f"file {i}", "broken") for i in range(5)], {"train": {"images": 3}})
    report.counts["val"] = {"images": 4}
    assert report.text(shown=2).splitlines() == [
        "rec",
        "",
        "split       images",
        "train            3",
        "val              4",
        "all              7",
        "",
        "5 problems:",
        "  ShardError: file 0: broken.",
        "  ShardError: file 1: broken.",
        "  ... and 3 more (--all shows them)",
    ]
    assert "file 4" in report.text()


def test_names_that_no_terminal_can_show(source):
    (source / "annotations" / "a\x1b[2J\n\udcff.png").write_bytes(b"")
    result = run("--src", source)
    assert result.exit_code == 0
    assert "annotations/a\\x1b[2J\\n\\udcff.png: not a mask's name" in result.stdout


def test_command_on_a_packed_folder(recordio):
    clean = run(recordio, "--deep")
    assert (clean.exit_code, clean.stdout.splitlines()[-1]) == (0, "No problems found.")
    data_file(recordio).unlink()
    broken = run(recordio)
    assert broken.exit_code == 1
    assert f"ShardError: {recordio}/train-00000.rec: missing" in broken.stdout


def test_command_on_a_download(source):
    assert run("--src", source, "--layout", "mhp-v1").exit_code == 0
    empty_image(source)
    broken = run("--src", source, "--workers", 1, "--all")
    assert broken.exit_code == 1
    assert "1 problem:" in broken.stdout


def test_command_cuts_long_lists(source):
    line(b"x\n" * 60)(source)
    assert "... and 10 more (--all shows them)" in run("--src", source).stdout
    assert "more (--all" not in run("--src", source, "--all").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["rec", "--src", "MHP"],
        ["rec", "--layout", "auto"],
        ["--src", "MHP", "--deep"],
        ["--src", "MHP", "--layout", "x"],
    ],
)
def test_wrong_usage(arguments):
    assert run(*arguments).exit_code == 2


def test_the_other_form_of_the_command_is_named(source, recordio):
    download = run(source)
    assert download.exit_code == 1 and f"check it with mhp verify --src {source}" in download.stderr
    packed = run("--src", recordio)
    assert packed.exit_code == 1 and f"Check it with mhp verify {recordio}/ (without --src)" in packed.stderr
    (recordio / "manifest.json").unlink()
    assert "if mhp pack was interrupted here, run its command again" in run(recordio).stderr


def test_wrong_number_of_workers_is_wrong_usage(recordio):
    assert run(recordio, "--workers", 0).exit_code == 2


def test_no_folder_is_an_error(tmp_path):
    result = run(tmp_path / "nothing")
    assert result.exit_code == 2
    assert "ManifestError" in result.stderr
