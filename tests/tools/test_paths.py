"""Paths on the command line: home folders, empty paths, addresses, and paths that lead nowhere."""

from pathlib import Path

import click
import pytest
from bucket_server import bucket
from click.testing import CliRunner
from stored import NEEDS_OBSTORE

import mhpdata
from mhpdata.errors import OptionError, UnreadableError
from mhpdata.synth.writing.folder import synthesize
from mhptools import pack, synth, train, verify
from mhptools.paths import FILE, PATH, PathText
from mhptools.running import Command


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
    "bench": {"folder", "data", "cache", "replay"},
    "browse": {"folder", "data", "out", "predictions", "against"},
    "convert": {"weights", "target", "checkpoint", "out"},
    "eval": {"data", "checkpoint", "pretrained", "labels", "cache"},
    "export": {"folder", "data", "out"},
    "diff": {"a", "b"},
    "labels": {"sets", "to", "check"},
    "pack": {"src", "out", "labels", "packs", "names"},
    "predict": {"photos", "checkpoint", "pretrained", "labels", "to", "out", "data", "cache"},
    "score": {"against", "data", "pred", "labels", "csv_path", "worst", "cache"},
    "show": {"folder", "data", "run_folder", "out", "page", "pred", "commands"},
    "stats": {"folder", "data", "out"},
    "synth": {"out"},
    "train": {
        *("data", "remap", "pretrained_base", "pretrained", "resume", "weights", "replay", "save_dir", "logging_file"),
        "cache",
    },
    "verify": {"folder", "data", "src", "labels"},
}


@pytest.mark.parametrize("name", PATHS)
def test_every_path_of_every_command_is_one(name):
    main = __import__(f"mhptools.{name}", fromlist=["main"]).main
    assert isinstance(main, Command)
    assert {option.name for option in main.params if isinstance(option.type, PathText)} == PATHS[name]


PACKED = {"folder", "data", "a", "b", "packs"}
"""Options of any command that may be an address."""
STORED = {"browse": {"against"}, "pack": {"src", "out"}, "predict": {"out"}}
"""Further options of a command that may be one."""


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
            if option.name in PACKED | STORED.get(name, set()) and text.startswith("s3"):
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


@NEEDS_OBSTORE
def test_the_status_of_an_address_is_that_of_a_path(home, monkeypatch):
    """Nothing at an address is a wrong argument, another or a damaged dataset is wrong data, an output is neither."""
    synthesize("buckets/box/data", images=8, seed=0, scale=0.05, workers=1)
    mhpdata.pack("buckets/box/data", "buckets/box/rec", size=32)
    shard = next(Path("buckets/box/rec").glob("val-*.rec"))
    with bucket(Path("buckets"), monkeypatch):

        def status(main, *arguments):
            found = CliRunner().invoke(main, arguments)
            assert "Traceback" not in found.stderr
            return found.exit_code

        assert status(verify.main, "s3://box/rec") == 0
        assert status(verify.main, "s3://box/nowhere") == 2
        assert status(verify.main, "s3://nobucket/rec") == 2
        assert status(pack.main, "--src", "s3://box/nowhere", "--out", "x") == 2
        assert status(pack.main, "--src", "s3://nobucket/data", "--out", "x") == 2
        assert status(pack.main, "--src", "s3://box/rec", "--out", "x") == 1
        assert status(pack.main, "--src", "s3://box/data", "--out", "s3://nobucket/rec") == 3
        shard.unlink()
        assert status(verify.main, "s3://box/rec") == status(verify.main, "buckets/box/rec") == 1


def test_a_default_that_leads_nowhere_is_not_what_is_wrong(home):
    Path("damaged.pt").write_bytes(b"")
    Path("damaged.json").write_text("{")
    found = CliRunner().invoke(train.main, ["--resume", "damaged.pt"])  # --data is "rec", which does not exist
    assert found.exit_code == 1 and found.stderr.startswith("CheckpointError: damaged"), found.output
