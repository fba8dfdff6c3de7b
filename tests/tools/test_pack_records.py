"""mhp pack --from and mhp diff: what they print, their exit status, and options that do not fit."""

import json

import pytest
from click.testing import CliRunner
from folder import write_folder

import mhpdata
from mhptools.mhp import main


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    write_folder(root / "src", images=8, size=(48, 64))
    mhpdata.pack(root / "src", root / "rec", size=0)
    return root


def test_a_condition_is_shown_dry_and_then_packed(folders, tmp_path):
    given = (
        "pack",
        "--from",
        folders / "rec",
        "--out",
        tmp_path / "few",
        "--where",
        "persons == 2",
        "--split",
        "train",
    )
    assert run(*given, "--dry-run").stdout == "train: 3 samples\n"
    assert json.loads(run(*given, "--dry-run", "--json").stdout) == {"train": ["0001", "0003", "0005"]}
    assert not (tmp_path / "few").exists()
    done = run(*given, "--format", "hdf5", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["splits"]["train"]["images"] == 3
    assert json.loads(done.stdout)["options"]["format"] == "hdf5"
    wrong = run("diff", folders / "rec", tmp_path / "few")
    assert wrong.exit_code == 1 and "only in a: 2 samples" in wrong.stdout
    assert json.loads(run("diff", folders / "rec", tmp_path / "few", "--json").stdout)["equal"] is False
    everything = ("pack", "--from", folders / "rec", "--out", tmp_path / "all", "--shard-mb", 1)
    assert json.loads(run(*everything, "--json").stdout)["written"] is True
    assert json.loads(run(*everything, "--json").stdout)["written"] is False
    same = run("diff", folders / "rec", tmp_path / "all")
    assert same.exit_code == 0 and same.stdout.endswith("The two folders hold the same samples.\n")


def test_with_a_download_only_changes_are_converted(folders, tmp_path):
    given = ("pack", "--src", folders / "src", "--from", folders / "rec", "--out", tmp_path / "new")
    assert "--size 0, now 768" in run(*given).stderr
    done = run(*given, "--size", 0)
    assert done.exit_code == 0 and done.stdout.endswith(f"Records taken from {folders / 'rec'}: 8.\n")
    again = run(*given, "--size", 0).stdout
    assert again.startswith(f"{tmp_path / 'new'}: already complete; nothing was written.") and "taken" not in again


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Give --src with a download, or --from with packed folders."),
        (("--src", "src", "--where", "gray"), "--where requires --from"),
        (("--from", "rec", "--size", "64"), "--size cannot be used with --from."),
        (("--from", "rec", "--on-error", "skip"), "--on-error cannot be used with --from."),
        (("--from", "rec", "--task", "1/2"), "--task cannot be used with --from."),
        (("--from", "rec", "--src", "src", "--where", "gray"), "--where cannot be used with --src and --from."),
        (("--from", "rec", "--from", "rec", "--src", "src"), "give one --from"),
        (("--from", "rec", "--where", "person > 1"), "Did you mean persons?"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(folders, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(folders)
    found = run("pack", "--out", tmp_path / "out", *arguments)
    assert found.exit_code == 2 and words in " ".join(found.stderr.split())
    assert not (tmp_path / "out").exists()
