"""mhp: the group of all commands, the options of each command, and messages."""

from __future__ import annotations

import ast
import importlib
import json
import logging
import subprocess
import sys
from typing import get_args, get_type_hints

import click
import pytest
from click.testing import CliRunner
from folder import write_folder
from places import files

import mhpdata
from mhpdata.options import FORMATS, IMAGES, OVERLAPS, Layout, PackOptions
from mhpdata.packing.pack import PackChoices
from mhpdata.source.scan import AUTO, LAYOUTS
from mhptools.mhp import COMMANDS, main
from mhptools.running import DESTRUCTIVE, Command


def run(*arguments, command=main, **given):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], **given)


@pytest.fixture
def source(tmp_path):
    return write_folder(tmp_path / "LV-MHP-v1", images=8, size=(48, 64))


def test_python_runs_the_group_as_a_module():
    done = subprocess.run([sys.executable, "-m", "mhptools", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"mhp {mhpdata.__version__}\n" and not done.stderr


@pytest.mark.parametrize(
    ("module", "name"), [("mhptools", "mhp"), ("mhptools.mhp", "mhp"), ("mhptools.pack", "mhp pack")]
)
def test_usage_names_the_command_not_its_module(module, name):
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"Usage: {name} [OPTIONS]")


def test_usage_keeps_the_name_of_an_installed_command():
    code = "import sys; sys.argv[:] = ['/bin/mhp-pack', '--help']; from mhptools.pack import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: mhp-pack [OPTIONS]")


def test_the_help_of_the_group_imports_no_command():
    code = "import sys, mhptools.mhp as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(out.rstrip("\n").rpartition("\n")[2].split())
    assert "mhptools.mhp" in loaded
    assert not {f"mhptools.{name}" for name in COMMANDS} & loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_the_options_of_all_and_the_sentence_of_the_table(name):
    text = run(name, "-h").stdout
    assert text == run(name, "--help").stdout and text.startswith(f"Usage: main {name} ")
    assert "IMAGE...\n" not in text.partition("\n")[2], "arguments are no options"
    assert COMMANDS[name] in " ".join(text.split())
    general = text.partition("General options:")[2]
    assert all(flag in general for flag in ("-q, --quiet", "-v, --verbose", "--log-level", "--version", "-h, --help"))
    assert run(name, "--version").stdout == f"mhp {mhpdata.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text_and_each_idea_one_name(name):
    command = importlib.import_module(f"mhptools.{name}").main
    assert isinstance(command, Command)
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    assert all((option.help and option.help[0].isupper()) for option in options)
    flags = {flag: option for option in options for flag in option.opts}
    for long, short in (("--out", "-o"), ("--workers", "-j"), ("--quiet", "-q"), ("--verbose", "-v")):
        assert long not in flags or short in flags[long].opts
    named = {flag for _, names in command.groups for flag in names}
    assert named <= {parameter.name for parameter in command.params}, "a group names an option that is not there"
    reads = {"verify", "show", "stats", "browse", "export", "bench", "train", "eval", "predict", "score"}
    assert ("--data" in flags) == (name in reads)
    assert ("--checkpoint" in flags) == (name in {"eval", "predict", "convert"})
    assert name != "eval" or "--resume" in flags["--checkpoint"].opts, "as in GluonCV's script"


def test_an_unknown_command_is_a_wrong_argument():
    found = run("pakc")
    assert found.exit_code == 2 and "Did you mean pack?" in found.stderr
    assert "Run mhp --help" in run("zzz").stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_no_suggestion_deletes_anything(name):
    typed = "--overwrit"
    found = run(name, typed)
    assert found.exit_code == 2 and typed in found.stderr
    assert not any(flag in found.stderr.replace(typed, "", 1) for flag in DESTRUCTIVE)


def test_a_harmless_option_is_suggested():
    assert "--workers" in run("pack", "--worker").stderr


def test_the_shell_completes_commands_options_and_folders():
    def complete(words, number):
        env = {"_MHP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        return run(env=env, prog_name="mhp").stdout.split()

    assert complete("mhp sc", 1) == ["plain,score"]
    assert "plain,--overlap" in complete("mhp pack --ov", 2)
    assert complete("mhp pack --src LV", 3) == ["dir,LV"]


@click.command(cls=Command)
def talk():
    logging.getLogger("mhpdata").debug("fine grain")
    logging.getLogger("mhpmodels.x").info("news\x1b[2J")
    logging.getLogger("mhpmodels.training.runlog").info("a line of the log")
    logging.getLogger("mhpdata").warning("beware")
    raise ZeroDivisionError


NEWS, BEWARE = "news\\x1b[2J", "beware"


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ((), [NEWS, BEWARE]),
        (("-q",), [BEWARE]),
        (("-v",), ["fine grain", NEWS, BEWARE]),
        (("--log-level", "error"), []),
        (("-v", "-q"), [BEWARE]),
    ],
)
def test_levels_of_messages(flags, shown):
    found = run(*flags, command=talk)
    lines = found.stderr.partition("Traceback")[0].splitlines()
    if "-v" in flags:
        assert lines.pop(0).startswith(f"mhp {mhpdata.__version__}, Python ")
    assert lines == shown
    assert found.stdout == ("a line of the log\n" if NEWS in shown else "")
    assert not logging.getLogger("mhpdata").handlers and logging.getLogger("mhpdata").propagate


def test_verbose_shows_where_an_error_comes_from(tmp_path):
    arguments = ("pack", "--src", tmp_path, "--out", tmp_path / "rec")
    assert "Traceback" not in run(*arguments).stderr
    shown = run(*arguments, "-v").stderr
    assert "Traceback" in shown and shown.splitlines()[-1].startswith("FolderError: ")


def test_a_dry_run_writes_nothing_and_comes_close(source, tmp_path):
    out = tmp_path / "rec"
    arguments = ("pack", "--src", source, "--out", out, "-j", 1, "--size", 32, "--json")
    guess = json.loads(run(*arguments, "--dry-run").stdout)
    assert not out.exists()
    done = json.loads(run(*arguments).stdout)
    assert guess["layout"] == done["layout"] == "mhp-v1" and list(guess["splits"]) == list(done["splits"])
    for name, split in done["splits"].items():
        assert guess["splits"][name]["images"] == split["images"]
        assert guess["splits"][name]["bytes"] == pytest.approx(split["bytes"], rel=0.2)
    text = run(*arguments[:-1], "--dry-run")
    assert text.exit_code == 0 and "nothing was written" in text.stdout and "No problems" in text.stdout


def test_a_dry_run_names_what_is_broken(source, tmp_path):
    image = next((source / "images").iterdir())
    image.write_bytes(b"no image")
    arguments = ("pack", "--src", source, "--out", tmp_path / "rec", "-j", 1, "--dry-run")
    stops = run(*arguments)
    assert stops.exit_code == 1 and "1 problem would stop the pack" in stops.stdout and image.name in stops.stdout
    skips = run(*arguments, "--on-error", "skip", "--json")
    assert skips.exit_code == 0
    found = json.loads(skips.stdout)
    assert len(found["skipped"]) == 1 and sum(split["images"] for split in found["splits"].values()) == 7


def test_reports_as_json(source, tmp_path):
    rec = tmp_path / "rec"
    run("pack", "--src", source, "-o", rec, "-j", 1)
    found = json.loads(run("verify", "--data", rec, "--json").stdout)
    assert found["problems"] == [] and sum(row["records"] for row in found["counts"].values()) == 8
    next(rec.glob("*.idx")).unlink()
    broken = run("verify", rec, "--json")
    assert broken.exit_code == 1 and json.loads(broken.stdout)["problems"][0]["error"] == "ShardError"
    drawn = json.loads(run("synth", "-o", tmp_path / "MHP", "--images", 4, "--scale", 0.05, "-j", 1, "--json").stdout)
    assert sum(split["images"] for split in drawn["splits"].values()) == 4


def test_a_packed_folder_is_given_once(tmp_path):
    for name in ("verify", "show", "stats", "browse", "bench"):
        more = ("--out", "x.png") if name in ("show", "browse") else ()
        found = run(name, tmp_path, "--data", tmp_path, *more)
        assert found.exit_code == 2 and "given twice" in found.stderr
    assert run("convert", "a", "--checkpoint", "b", "--out", "c").exit_code == 2


def test_the_library_prints_nothing():
    for path in files("mhpdata", "mhpmodels"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "tqdm.write", "sys.stdout.write", "sys.stderr.write"), path


def test_types_of_choices_are_those_of_the_tables():
    assert get_args(Layout) == (AUTO, *LAYOUTS)
    for name, choices in (("overlap", OVERLAPS), ("format", FORMATS), ("image", IMAGES)):
        assert get_args(get_type_hints(PackChoices)[name]) == get_args(get_type_hints(PackOptions)[name]) == choices
