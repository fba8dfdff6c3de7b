"""mhp-train: train a network on packed shards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mhpdata.errors import OptionError
from mhpdata.options import CHECKS, PROTOCOLS
from mhpdata.wording import printable
from mhpmodels.config import BACKBONES, DATASETS, DTYPES, LEAKS, MODELS, OPTIMIZERS, SAMPLES, SCHEDULES, TrainConfig
from mhpmodels.engines.engine import ENGINES, installed
from mhptools.paths import FOLDER, INPUT, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp-train --data rec/ --model icnet --syncbn --ngpus 8 --optimizer adam --lr 0.00001 --epochs 120 --batch-size 16
  mhp-train --data rec_v1/ --data rec_v2/ --data rec_cihp/ --remap common --leaks skip --mix 1,2,2 --class-weights
  mhp-train --resume runs/mhp/icnet/resnet50                   go on exactly where it stopped
  mhp-train --replay runs/mhp/icnet/resnet50/bundles/epoch_0010_iteration_0113

The flags are those of GluonCV's training script, and --data; docs/recipes.md has the experiments of old as commands.
Ctrl-C saves and says how to go on; a run that was killed goes on from the last epoch that it saved.
"""

DEFAULTS = {field.name: field.default for field in fields(TrainConfig)}


def option(name: str, help: str, **more: Any) -> Callable[[Any], Any]:
    """An option for a field of TrainConfig, with that one's default."""
    flag = {"is_flag": True} if DEFAULTS[name] is False else {}
    declared = [f"--{name.replace('_', '-')}", name]
    return click.option(
        *declared,
        help=help,
        **{"default": DEFAULTS[name], "show_default": not flag and "[default" not in help, **flag, **more},
    )


@click.command(cls=Command, epilog=EXAMPLE)
@option(
    "data",
    "The packed folder. Given several times: all are trained on, the first is validated on.",
    multiple=True,
    default=(DEFAULTS["data"],),
    type=FOLDER,
)
@option("mix", "Shares of the folders in an epoch, such as 1,1,2.  [default: each image once]")
@option("remap", "What labels become: 'common', or a JSON file; needed for folders of different classes.", type=PATH)
@option("leaks", "Images of one folder's val or test in another's training split.", type=click.Choice(LEAKS))
@option("sample", "rare: images with rare classes come more often.", type=click.Choice(SAMPLES))
@click.option("--class-weights", is_flag=True, help="Rare classes weigh more in the loss.")
@option("dataset", "What is in it.", type=click.Choice(DATASETS))
@option("train_split", "Train on this split.")
@option("val_split", "Validate on this split.")
@option("val_protocol", "Which images of val count: all, or GluonCV's 999.", type=click.Choice(PROTOCOLS))
@option("leak_free", "Train without copies of val and test images, validate without copies of test images.")
@option("model", f"Network: {', '.join(MODELS)}, or one's own, package.module:function (engine torch).")
@option("backbone", "Its backbone.", type=click.Choice(BACKBONES))
@option("aux", "PSPNet: an auxiliary head.")
@option("aux_weight", "PSPNet: weight of its loss.")
@option("branch_weights", "ICNet: weights of the losses at 1/4, 1/8 and 1/16.", nargs=3, type=float)
@option("dropout", "Share of the heads' activations that is dropped.")
@option("pretrained_base", "First weights of the backbone: 'store' or a file.  [default: random]", type=PATH)
@option("syncbn", "Batch statistics over all devices.")
@option("base_size", "Training scales the long side to 0.5 .. 2 times this.")
@option("crop_size", "Side of the crops.")
@option("flip_prob", "Share of mirrored crops.")
@option("blur_prob", "Share of blurred crops.")
@option("gray_prob", "Share of gray crops.")
@click.option("--swap-sides/--no-swap-sides", default=True, help="Mirrored crops swap left and right labels.")
@option("batch_size", "Images a step, of all devices together.")
@option("test_batch_size", "The same in validation.")
@option("epochs", "How many.")
@option("optimizer", "SGD with momentum, or Adam.", type=click.Choice(OPTIMIZERS))
@option("lr", "Learning rate, of the mean loss over the whole batch.")
@option("head_rate", "New layers take the rate so many times.")
@option("momentum", "Of SGD.")
@option("weight_decay", "Times the weight, added to the gradient.")
@option("no_wd", "No weight decay of biases and batch norms.")
@option("schedule", "How the rate goes on after the warm-up.", type=click.Choice(SCHEDULES))
@option("power", "Of the polynomial schedule.")
@option("warmup_epochs", "The rate rises from 0 for so long.", type=float)
@option("clip_grad", "Largest L2 norm of the whole gradient.  [default: none]", type=float)
@option("max_skips", "So many steps in a row that are not finite end the run.")
@option("dtype", "Of the forward and backward pass, where the engine has it.", type=click.Choice(DTYPES))
@option("accumulate", "Parts that a process's images are done in, to take less memory (engine torch).")
@option("ema", "Share of the old weights in a running average of them, 0.999 or so (engine torch).  [default: none]")
@option("compile", "Compile the network (engine torch).")
@option("seed", "Of weights, order, augmentation and dropout.")
@option("old_recipe", "GluonCV's training as it acted; docs/recipes.md says what that is.")
@option("engine", "Framework.  [default: the first that is installed]", type=click.Choice(tuple(ENGINES)), default=None)
@option("ngpus", "GPUs; 0 is the CPU. With engine torch a process is started for each.")
@click.option("--no-cuda", is_flag=True, help="The CPU: --ngpus 0.")
@option("contexts", "Copies of the network, on the CPU; with engine torch processes.  [default: 1]")
@option("kvstore", "MXNet's, such as dist_sync.")
@option("workers", "Threads that make batches, of all processes on this machine.  [default: one a core]")
@option(
    "check",
    "Compare a record's CRC-32 at its first reading, and again when its file has changed; or at every reading.",
    type=click.Choice(CHECKS),
)
@option("log_interval", "Steps between lines of the log.")
@click.option("--val/--no-val", "validate", default=True, help="Validate after each epoch.")
@option("save_every", "Keep the checkpoint after so many epochs, too; 0 keeps the last and the best.")
@click.option(
    "--resume", type=INPUT, help="Go on from this checkpoint, or the last one of this folder, with its own flags."
)
@click.option("--weights", type=INPUT, help="Begin a new run with these weights, such as GluonCV's.")
@click.option("--start-epoch", "--start_epoch", default=0, help="A new run begins at this epoch of its schedule.")
@click.option(
    "--replay", type=INPUT, metavar="BUNDLE", help="Run a step that was skipped again, say what is in it, and end."
)
@click.option(
    "--save-dir", type=PATH, help="Folder of the run.  [default: runs/DATASET/MODEL/BACKBONE, or that of --resume]"
)
@click.option("--checkname", help="A folder of this name below the default one.")
@click.option(
    "--logging-file", type=PATH, default="train.log", show_default=True, help="Name of the log in the folder."
)
@click.option("--tensorboard", is_flag=True, help="Write an event file for TensorBoard, too.")
@click.option("--mode", hidden=True, expose_value=False, help="Taken and not used, as by GluonCV's script.")
@click.pass_context
def main(
    context: click.Context,
    no_cuda: bool,
    resume: str | None,
    weights: str | None,
    start_epoch: int,
    replay: str | None,
    save_dir: str | None,
    checkname: str | None,
    logging_file: str,
    tensorboard: bool,
    **given: Any,
) -> None:
    """Train PSPNet or ICNet on packed shards, on MXNet with GluonCV or on PyTorch."""
    from mhpmodels.training.bundle import replay as run_again
    from mhpmodels.training.launch import launch_ranks
    from mhpmodels.training.train import train

    if replay is not None:
        print(run_again(replay, on_cpu=no_cuda).text())
        return
    if no_cuda:
        given["ngpus"] = 0
    typed = {name for name in given if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if resume is None and "data" not in typed and not Path(DEFAULTS["data"]).exists():
        example = "mhp-train --data rec/, or mhp-train --resume runs/mhp/icnet/resnet50"
        raise click.UsageError(f"Give a packed folder, or a run to continue: {example}.")
    config = _new(given) if resume is None else _continued(resume, given, typed | ({"ngpus"} if no_cuda else set()))
    launch_ranks(config, "mhptools.train", sys.argv[1:])
    outcome = train(
        config,
        save_dir or _folder(config, resume, checkname),
        resume=resume,
        weights=weights,
        start_epoch=start_epoch,
        log_name=logging_file,
        tensorboard=tensorboard,
        progress=True,
    )
    if outcome.signal is not None:
        sys.exit(128 + outcome.signal)
    if outcome.last is not None:  # ranks but the first save nothing
        print(printable(f"{outcome.folder}: last {outcome.last}, best {outcome.best}"))


def _new(given: dict[str, Any]) -> TrainConfig:
    """The config that the command line says, for the classes of the packed folders."""
    engine = given["engine"] or next(iter(installed()), "mxnet")
    fields = {**given, "engine": engine, **_data(given)}
    sets = [(folder, fields["train_split"]) for folder in (fields["data"], *fields["also"])]
    return TrainConfig(**{**fields, **_classes(sets, fields)})


def _data(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of the config that are typed in another form, of those that are given."""
    from mhpdata.remap import BUILT_IN, read_remap

    found: dict[str, Any] = {}
    if "data" in given:
        found["data"], found["also"] = given["data"][0], tuple(given["data"][1:])
    if given.get("mix") is not None:
        try:
            found["mix"] = tuple(float(share) for share in given["mix"].split(","))
        except ValueError as error:
            remedy = "Pass a number for each --data, in their order, with commas between."
            raise OptionError("mix", repr(given["mix"]), "numbers such as 1,1,2", remedy) from error
    if given.get("remap") not in (None, BUILT_IN):
        found["remap"] = read_remap(given["remap"]).to_json()  # a run must not change with the file
    return found


def _classes(sets: list[tuple[str, str]], fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that say what the classes are, and what they weigh."""
    from mhpdata.labels import MHP_V1
    from mhpdata.loading.mixture import Mixture
    from mhpdata.loading.weights import class_weights

    mixture = Mixture(sets, remap=fields["remap"])
    mixture.close()
    labels, weights = mixture.labels, None
    if fields["class_weights"]:
        weights = tuple(class_weights(sets, remap=fields["remap"], weights=fields.get("mix")).tolist())
    named = {} if labels is MHP_V1 else {"class_names": labels.names, "flip_pairs": labels.flip_pairs}
    return {"classes": len(labels), "class_weights": weights, **named}


def _continued(resume: str, given: dict[str, Any], typed: set[str]) -> TrainConfig:
    """The checkpoint's config, but for what was typed."""
    from mhpmodels.files.checkpoint import read

    checkpoint = read(resume)
    begun = checkpoint.config
    changes = {name: given[name] for name in typed if name in given}
    changes |= _data(changes)
    if changes.pop("class_weights", False) and begun.class_weights is None:
        found = "given to go on with a run that began without"
        remedy = f"Leave the flag out, or begin a new run: --weights {checkpoint.weights} instead of --resume."
        raise OptionError("class_weights", found, "a run that began with it", remedy)
    if "ngpus" in changes:
        changes.setdefault("contexts", 0)
    return replace(begun, **changes)


def _folder(config: TrainConfig, resume: str | None, checkname: str | None) -> Path:
    if resume is not None:
        return Path(resume) if Path(resume).is_dir() else Path(resume).parent
    return Path("runs", config.dataset, config.model, config.backbone, checkname or "")


if __name__ == "__main__":
    sys.exit(main())
