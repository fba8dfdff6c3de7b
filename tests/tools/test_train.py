"""mhp train: flags to config, and exit statuses."""

import importlib
import os
import re
import shlex
import signal
from pathlib import Path

import pytest
from bucket_server import bucket
from click.testing import CliRunner
from folder import write_folder
from numpy_engine import NumpyEngine
from recipes import recipes
from stored import NEEDS_OBSTORE

import mhpdata
import mhpmodels.engines.engine
import mhpmodels.training.bundle
import mhpmodels.training.launch
import mhpmodels.training.train
import mhptools.train
from mhpmodels.config import OPTIONS, TrainConfig
from mhpmodels.files import checkpoint
from mhpmodels.training.tables import read_steps
from mhptools.train import HEADINGS


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    root = tmp_path_factory.mktemp("command")
    source = write_folder(root / "LV-MHP-v1", images=16, size=(48, 64))
    mhpdata.pack(source, root / "rec", size=0)
    return root / "rec"


@pytest.fixture
def hooks(monkeypatch, tmp_path):
    """Return hooks of the NumPy engine for every run of the test, which has its own working folder."""
    hooks = {}
    trained = mhpmodels.training.train.train
    opener = {"open_engine": lambda config: NumpyEngine(config, **hooks)}
    monkeypatch.setattr(mhpmodels.training.train, "train", lambda *a, **k: trained(*a, **k, **opener))
    monkeypatch.chdir(tmp_path)
    return hooks


def invoke(text):
    return CliRunner().invoke(mhptools.train.main, shlex.split(text))


def small(rec):
    return f"--data {rec} --base-size 48 --crop-size 32 --batch-size 2 --epochs 1 --workers 1 --engine mxnet"


def parsed(monkeypatch, text):
    """Return the config and other arguments that a command line passes to the library."""
    seen = []

    def record(config, out, **more):
        seen.append((config, out, more))
        return mhpmodels.training.train.Outcome(Path(out), None, None)

    monkeypatch.setattr(mhpmodels.training.train, "train", record)
    monkeypatch.setattr(mhpmodels.training.launch, "launch_ranks", lambda *_: None)
    result = invoke(text)
    assert result.exit_code == 0, result.output
    return seen[0]


def test_flags_of_gluoncv_become_the_config(monkeypatch, rec):
    text = (
        f"--data {rec} --dataset mhp --model psp --backbone resnet101 --syncbn --ngpus 8 --optimizer adam --lr 0.00001 "
        "--epochs 120 --base-size 768 --crop-size 480 --workers 48 --batch-size 16 --log-interval 1 --aux --no-wd "
        "--no-val --warmup-epochs 2 --clip-grad 10 --schedule constant --mode hybrid --kvstore dist_sync --engine mxnet"
    )
    config, out, more = parsed(monkeypatch, text)
    assert config == TrainConfig.of(
        data=str(rec), model="psp", backbone="resnet101", syncbn=True, ngpus=8, optimizer="adam", lr=1e-5, epochs=120,
        base_size=768, crop_size=480, workers=48, batch_size=16, log_interval=1, aux=True, no_wd=True, validate=False,
        warmup_epochs=2.0, clip_grad=10.0, schedule="constant", kvstore="dist_sync", engine="mxnet", classes=19,
    )  # fmt: skip
    assert str(out) == "runs/mhp/psp/resnet101"
    assert (more["resume"], more["weights"], more["start_epoch"]) == (None, None, 0)


def test_a_network_of_ones_own_trains_in_a_folder_without_a_colon(monkeypatch, rec):
    config, out, _ = parsed(monkeypatch, f"--data {rec} --engine torch --model mynet:tiny --checkname a")
    assert config.network.model == "mynet:tiny" and str(out) == "runs/mhp/mynet.tiny/resnet50/a"


def test_without_flags_the_config_has_its_defaults(monkeypatch, rec):
    config, _, _ = parsed(monkeypatch, f"--data {rec} --engine mxnet")
    assert config == TrainConfig.of(data=str(rec))
    assert parsed(monkeypatch, f"--data {rec} --ngpus 8 --no-cuda")[0].machine.ngpus == 0


def test_the_engine_is_the_first_that_is_installed(monkeypatch, rec):
    monkeypatch.setattr(mhptools.train, "installed", lambda: ("torch", "mxnet"))
    assert parsed(monkeypatch, f"--data {rec}")[0].machine.engine == "torch"
    monkeypatch.setattr(mhptools.train, "installed", lambda: ("mxnet",))
    assert parsed(monkeypatch, f"--data {rec}")[0].machine.engine == "mxnet"
    monkeypatch.setattr(mhptools.train, "installed", tuple)
    assert parsed(monkeypatch, f"--data {rec}")[0].machine.engine == "torch"


def test_a_run_from_beginning_to_end(hooks, rec):
    result = invoke(small(rec))
    assert result.exit_code == 0, result.output
    assert "Epoch 0 iteration 0004/0004: training loss" in result.output
    assert re.search(
        r"^runs/mhp/icnet/resnet50: last .*, best .*epoch_0000_mIoU_0\.\d{4}\.params$", result.output, re.M
    )
    (origin,) = checkpoint.read("runs/mhp/icnet/resnet50").provenance
    assert origin.command == f"mhp train {small(rec)}" and origin.data[0].folder == str(rec)
    again = invoke(small(rec))
    assert again.exit_code == 3 and "--resume" in again.output


def test_weights_of_a_run_bring_its_network_unless_another_is_given(hooks, rec, monkeypatch):
    assert invoke(f"{small(rec)} --model psp --backbone resnet18 --aux --save-dir run").exit_code == 0
    weights = checkpoint.best(Path("run")).weights

    def network(text):
        config, out, more = parsed(monkeypatch, f"--data {rec} --engine mxnet --crop-size 480 {text}")
        assert more["weights"] in ("run", str(weights), None)
        return config.network.model, config.network.backbone, config.network.aux, str(out)

    for given in ("run", weights):
        assert network(f"--weights {given}") == ("psp", "resnet18", True, "runs/mhp/psp/resnet18")
    assert network("--weights run --no-aux --backbone resnet34") == ("psp", "resnet34", False, "runs/mhp/psp/resnet34")
    assert network("--weights run --model icnet") == ("icnet", "resnet50", False, "runs/mhp/icnet/resnet50")
    assert network("") == ("icnet", "resnet50", False, "runs/mhp/icnet/resnet50")
    weights.with_suffix(".json").write_text("damaged")
    assert network(f"--weights {weights}")[:2] == ("icnet", "resnet50"), "bare weights do not describe themselves"


def test_without_validation_there_is_no_best(hooks, rec):
    result = invoke(f"{small(rec)} --no-val --save-dir run")
    assert re.search(
        r"^run: last run/epoch_0000\.params, no best checkpoint without a validation$", result.output, re.M
    )


def test_a_flag_with_too_few_numbers_says_how_many(rec):
    for flag, count, example in (("--person-weights", 2, "20.0 0.5"), ("--branch-weights", 3, "0.4 0.4 1.0")):
        result = invoke(f"--data {rec} {flag} {'1 ' * (count - 1)} --epochs 1")
        said = f"'{flag}': '--epochs' is not a number; expected {count} numbers, such as {example}."
        assert result.exit_code == 2 and said in " ".join(result.output.split())


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_its_status_and_resume_needs_no_other_flag(hooks, rec, number, status):
    hooks["before_step"] = lambda count, _: os.kill(os.getpid(), number) if count == 1 else None
    stopped = invoke(small(rec))
    assert stopped.exit_code == status, stopped.output
    command = re.search(r"Resume with: mhp train (.*)", stopped.output)[1]
    hooks.clear()
    result = invoke(command)
    assert result.exit_code == 0, result.output
    assert "in epoch 0 after iteration 0002/0004" in result.output


def test_a_resumed_run_takes_what_is_typed_and_refuses_another_recipe(hooks, rec, monkeypatch):
    assert invoke(f"{small(rec)} --seed 7").exit_code == 0
    refused = invoke("--resume runs/mhp/icnet/resnet50 --lr 0.5")
    assert refused.exit_code == 2 and "--lr: 0.5; expected 0.001, the value of the resumed run" in refused.output
    config, out, _ = parsed(monkeypatch, "--resume runs/mhp/icnet/resnet50 --ngpus 2 --log-interval 9")
    assert (config.run.seed, config.machine.ngpus, config.machine.contexts, config.run.log_interval) == (7, 2, 2, 9)
    assert str(out) == "runs/mhp/icnet/resnet50"


def test_auto_resume_starts_a_run_resumes_it_and_survives_an_end_before_the_first_checkpoint(hooks, rec):
    command = f"{small(rec)} --save-dir run --auto-resume"
    hooks["before_step"] = lambda count, _: 1 / 0 if count == 2 else None
    assert invoke(command).exit_code == 3  # in the first epoch
    hooks.clear()
    done = invoke(command)
    assert done.exit_code == 0 and "Resumed" not in done.output, done.output
    again = invoke(command)
    assert again.exit_code == 0 and "Resumed from run/epoch_0000" in again.output, again.output
    other = invoke(f"{command} --lr 0.5")
    assert other.exit_code == 2 and "--lr: 0.5; expected 0.001" in other.output
    both = invoke("--auto-resume --resume run")
    assert both.exit_code == 2 and "--auto-resume: conflicts with --resume" in both.output


@NEEDS_OBSTORE
def test_copies_in_object_storage_resume_on_another_machine(hooks, rec, tmp_path, monkeypatch):
    (tmp_path / "served/box").mkdir(parents=True)
    command = f"{small(rec)} --epochs 2 --copy-to s3://box/run --auto-resume --save-dir"
    with bucket(tmp_path / "served", monkeypatch) as server:
        hooks["before_step"] = lambda count, _: 1 / 0 if count == 6 else None
        assert invoke(f"{command} first").exit_code == 3
        hooks.clear()
        done = invoke(f"{command} second")
        assert done.exit_code == 0 and "Resumed from second/epoch_0000" in done.output, done.output
        assert "run/run.json" in server.names("box")
        secret, text = (
            os.environ["AWS_SECRET_ACCESS_KEY"].encode(),
            b"".join(
                path.read_bytes() for folder in ("first", "second", "served") for path in Path(folder).rglob("*.*")
            ),
        )
        assert b"Resumed from" in text and secret not in text and server.url.encode() not in text
    assert len(read_steps(Path("second"))) == 8
    refused = invoke(f"{small(rec)} --copy-to s3://user:secret@box/run")
    assert refused.exit_code == 2 and "--copy-to" in refused.output and "secret" not in refused.output


def test_too_many_skips_end_it_and_a_bundle_is_replayed(hooks, rec, monkeypatch):
    hooks["before_step"] = lambda count, _: float("nan")
    result = invoke(f"{small(rec)} --max-skips 2 --save-dir run")
    assert result.exit_code == 1, result.output
    assert "NonFiniteError: Epoch 0 iteration 0002: 2 steps in a row" in result.output
    bundle = re.search(r"--replay (\S+) to inspect", result.output)[1]
    replayed = mhpmodels.training.bundle.replay
    monkeypatch.setattr(mhpmodels.training.bundle, "replay", lambda path, on_cpu: replayed(path, NumpyEngine, on_cpu))
    shown = invoke(f"--replay {bundle}")
    assert shown.exit_code == 0, shown.output
    assert re.search(
        r"Epoch 0 iteration 0002, in the run: loss nan, gradient .*, skipped\nReplayed: loss \d.*, applied\n",
        shown.output,
    )


def test_a_wrong_value_is_a_usage_error_that_names_the_flag(rec):
    for text, named in (("--crop-size 100", "--crop-size"), ("--lr -1", "--lr"), ("--engine jax", "--engine")):
        result = invoke(f"--data {rec} {text}")
        assert result.exit_code == 2 and named in result.output
    assert invoke("--data none").exit_code == 2


def test_every_command_of_the_recipes_is_understood(monkeypatch, rec):
    trained = [arguments for name, arguments in recipes() if name == "train" and arguments.startswith("--data ")]
    commands = [arguments for arguments in trained if "--pretrained " not in arguments]  # which needs its file
    assert len(commands) > 15
    folders = set()
    for command in commands:
        config, out, _ = parsed(monkeypatch, re.sub(r"--data rec\S*/", f"--data {rec}", command))
        assert config.network.model in command
        folders.add(str(out))
    assert len(folders) == len(commands), "each has a folder of its own"


def test_the_other_commands_of_the_recipes_are_understood():
    used = {name for name, _ in recipes()}
    assert used == {"synth", "fetch", "pack", "verify", "train", "eval", "predict", "score", "show"}
    for name, arguments in recipes():
        command = importlib.import_module(f"mhptools.{name}").main
        assert command.make_context(f"mhp {name}", shlex.split(arguments)).params


FLAGS_OF_0_1 = """
--data --mix --remap --leaks --sample --class-weights --dataset --train-split --val-split --val-protocol --leak-free
--model --backbone --aux --aux-weight --branch-weights --dropout --pretrained-base --syncbn --base-size --crop-size
--flip-prob --blur-prob --gray-prob --swap-sides --no-swap-sides --batch-size --test-batch-size --epochs --optimizer
--lr --head-rate --momentum --weight-decay --no-wd --schedule --power --warmup-epochs --clip-grad --max-skips --dtype
--accumulate --ema --compile --seed --old-recipe --engine --ngpus --no-cuda --contexts --kvstore --workers --check
--log-interval --val --no-val --save-every --resume --weights --start-epoch --start_epoch --replay --save-dir
--checkname --logging-file --tensorboard --mode
"""


def test_every_flag_of_0_1_is_still_there():
    known = {name for one in mhptools.train.main.params for name in (*one.opts, *one.secondary_opts)}
    assert set(FLAGS_OF_0_1.split()) <= known


def test_the_help_has_every_option_of_a_run_in_its_group_with_its_default():
    text = invoke("--help").output
    sections = dict(re.findall(r"^(\w[\w ]*):\n((?:  .*\n|\n(?=  -))+)", text, re.M))
    assert list(sections)[:10] == list(HEADINGS.values())
    assert list(sections)[10:] == ["Checkpoints and output", "General options"]
    for flag, (group, _, about, default) in OPTIONS.items():
        said = " ".join(sections[HEADINGS[group]].split())
        name = {"validate": "--val"}.get(flag, f"--{flag.replace('_', '-')}")
        assert (f"{name} " in said) == (about.typed and flag != "unseen"), flag
        if f"{name} " in said:
            assert about.help.partition("  [")[0] in said, flag
            assert f"[default: {default}]" in said or not isinstance(default, int | str) or flag in NOT_SHOWN, flag
    for said in ("--scales MIN MAX", "[default: 0.5 2.0]", "--branch-weights W4 W8 W16", "[default: 0.4 0.4 1.0]"):
        assert said in " ".join(text.split())
    for said in ("flipped crops. [default: swap-sides]", "each epoch. [default: val]", "from 0. [default: 0]"):
        assert said in " ".join(text.split())


NOT_SHOWN = {name for name, (*_, default) in OPTIONS.items() if isinstance(default, bool)} | {
    *("engine", "contexts", "workers", "data", "backbone"),
}
"""Exceptions are switches, and options whose help describes the default in words."""


def test_padding_as_background_can_be_asked_for(monkeypatch, rec):
    config, _, _ = parsed(monkeypatch, f"--data {rec} --engine mxnet --pad-label 0 --scales 0.75 1.25")
    assert (config.view.pad_label, config.view.scales) == (0, (0.75, 1.25))
    assert invoke(f"--data {rec} --pad-label 7").exit_code == 2
