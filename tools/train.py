"""mhp train: train a network on packed shards."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mhpdata.errors import CheckpointError, OptionError
from mhpdata.wording import printable
from mhpmodels.config import OPTIONS, TrainConfig
from mhpmodels.engines.engine import ENGINES, installed
from mhpmodels.recipe import Network
from mhptools.flags import flag
from mhptools.messages import progress
from mhptools.network import PRETRAINED
from mhptools.paths import INPUT, PATH
from mhptools.running import ARGUMENTS, Command

EXAMPLE = """\b
Examples:
  mhp train --data rec/ --model icnet --syncbn --ngpus 8 --optimizer adam --lr 0.00001 --epochs 120 --batch-size 16
  mhp train --data rec_v1/ --data rec_v2/ --data rec_cihp/ --remap common --leaks skip --mix 1,2,2 --class-weights
  mhp train --resume runs/mhp/icnet/resnet50                   continues the run from its last checkpoint
  mhp train --replay runs/mhp/icnet/resnet50/bundles/epoch_0010_iteration_0113

Options shared with GluonCV's training script have its names; docs/recipes.md lists its experiments as commands. Ctrl-C
saves a checkpoint and prints how to resume. After Ctrl-C the run resumes exactly where it stopped; after a kill, from
the last saved epoch.
"""

HEADINGS = {
    "data": "Data",
    "choose": "Selection of images",
    "mix": "Several folders",
    "view": "Crops and augmentation",
    "network": "Network",
    "loss": "Loss",
    "optim": "Optimisation",
    "schedule": "Schedule",
    "machine": "Machine",
    "run": "Run",
}
"""Headings of the groups of TrainConfig in the help."""
TYPED = {flag: given for flag, given in OPTIONS.items() if given[2].typed and flag != "unseen"}
"""Options of a run that are flags; --unseen affects evaluation only."""
OTHERWISE: dict[str, dict[str, Any]] = {
    "data": {"multiple": True, "default": (OPTIONS["data"][3],)},
    "mix": {"default": None},
    "remap": {"type": PATH},
    "workers": {"names": ("-j", "--workers")},
    "pretrained_base": {"type": PATH},
    "cache": {"type": PATH},
    "class_weights": {"is_flag": True, "default": False, "show_default": False},
    "scales": {"nargs": 2, "metavar": "MIN MAX"},
    "branch_weights": {"metavar": "W4 W8 W16"},
    "person_weights": {"metavar": "CENTRE OFFSET"},
    "engine": {"type": click.Choice(tuple(ENGINES)), "default": None},
    "validate": {"names": ("--val/--no-val",)},
    "aux": {"names": ("--aux/--no-aux",)},
    "persons": {"names": ("--persons/--no-persons",)},
}
"""Flags whose form differs from that of the field."""
OF_WEIGHTS = ("model", "backbone", "aux", "persons")
"""Options that a run with --weights of another run takes from that run, unless they are given."""
GROUPED = [
    *((heading, [flag for flag in TYPED if TYPED[flag][0] == group]) for group, heading in HEADINGS.items()),
    ("Several machines (engine torch)", ("nodes", "rendezvous", "restarts")),
    (
        "Checkpoints and output",
        (
            "resume",
            "auto_resume",
            "weights",
            "pretrained",
            "replay",
            "save_dir",
            "copy_to",
            "checkname",
            "logging_file",
            "tensorboard",
        ),
    ),
]
GROUPED[list(HEADINGS).index("machine")][1].append("no_cuda")
GROUPED[list(HEADINGS).index("schedule")][1].append("start_epoch")


def options_of_a_run(command: Any) -> Any:
    """Give a command the flags of all options of a run."""
    for name, (_, _, about, default) in reversed(TYPED.items()):
        command = flag(about, default, **OTHERWISE.get(name, {}))(command)
    return command


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPED)
@options_of_a_run
@click.option(
    "--nodes",
    metavar="N",
    help="Number of machines that train together, or MIN:MAX. Run the same command on each of them.",
)
@click.option(
    "--rendezvous",
    metavar="HOST[:PORT]",
    help="Name or address of the machine at which all meet, and its port, by default 29400.",
)
@click.option(
    "--restarts",
    default=0,
    show_default=True,
    help="Number of times that processes are started again after one is lost; pass --auto-resume, too.",
)
@click.option("--no-cuda", is_flag=True, help="Use the CPU; the same as --ngpus 0.")
@click.option(
    "--resume",
    type=INPUT,
    help="Checkpoint or run folder to continue. The options of that run apply; those that change the result, such as "
    "--lr, cannot be changed.",
)
@click.option(
    "--auto-resume",
    is_flag=True,
    help="Resume the run in the run folder if it has a checkpoint; otherwise start it. For a command that is started "
    "again after a failure, as by torchrun or Slurm.",
)
@click.option(
    "--weights",
    type=INPUT,
    help="File with initial weights of a new run, such as GluonCV's, or a run folder for its best checkpoint. --model, "
    "--backbone, --aux and --persons are those of that run unless given; a file without its .json needs them.",
)
@PRETRAINED
@click.option(
    "--start-epoch",
    "--start_epoch",
    default=0,
    show_default=True,
    help="Epoch of the schedule at which a new run begins, from 0.",
)
@click.option(
    "--replay",
    type=INPUT,
    metavar="BUNDLE",
    help="Repeat a skipped step from its folder in bundles/ of the run folder, print its loss and gradient and each "
    "sample's pixels, labels and loss, and exit.",
)
@click.option(
    "--save-dir", type=PATH, help="Run folder to write.  [default: runs/DATASET/MODEL/BACKBONE, or that of --resume]"
)
@click.option(
    "--copy-to",
    metavar="ADDRESS",
    help="Also copy checkpoints, tables and the log to object storage, such as s3://bucket/run. With --auto-resume, "
    "fetch them from there first.",
)
@click.option("--checkname", metavar="NAME", help="Name of a subfolder of the default run folder.")
@click.option(
    "--logging-file",
    type=PATH,
    metavar="NAME",
    default="train.log",
    show_default=True,
    help="Name of the log file in the run folder.",
)
@click.option("--tensorboard", is_flag=True, help="Also write an event file for TensorBoard.")
@click.option("--mode", hidden=True, expose_value=False, help="Accepted and ignored, as in GluonCV.")
@click.pass_context
def main(
    context: click.Context,
    nodes: str | None,
    rendezvous: str | None,
    restarts: int,
    no_cuda: bool,
    resume: str | None,
    auto_resume: bool,
    weights: str | None,
    pretrained: str | None,
    start_epoch: int,
    replay: str | None,
    save_dir: str | None,
    copy_to: str | None,
    checkname: str | None,
    logging_file: str,
    tensorboard: bool,
    **given: Any,
) -> None:
    """Train a network on packed shards.

    Trains with PyTorch, or with MXNet and GluonCV (--engine).
    """
    from mhpmodels.files.copies import run_address
    from mhpmodels.files.provenance import command_line
    from mhpmodels.training.bundle import replay as run_again
    from mhpmodels.training.launch import Machines, launch_ranks
    from mhpmodels.training.train import Restart, train

    if replay is not None:
        print(run_again(replay, on_cpu=no_cuda).text())
        return
    if no_cuda:
        given["ngpus"] = 0
    typed = {name for name in given if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if resume is None and "data" not in typed and not Path(OPTIONS["data"][3]).exists():
        example = "mhp train --data rec/, or mhp train --resume runs/mhp/icnet/resnet50"
        raise click.UsageError(f"Give a packed folder, or a run to continue: {example}.")
    if pretrained is not None:
        weights = _pretrained(pretrained, weights or resume, given, typed)
    elif weights is not None and resume is None:
        given |= _as_trained(Path(weights), given, typed)
    address = None if copy_to is None else run_address(copy_to)
    if auto_resume:
        if resume is not None:
            remedy = "Omit --resume to look for a checkpoint in --save-dir, or omit --auto-resume."
            raise OptionError("auto_resume", "conflicts with --resume", "", remedy)
        saved = _saved(save_dir or _folder(given, checkname), copy_to, logging_file)
        if saved is not None:
            resume, weights, start_epoch = saved, None, 0
    config = _new(given) if resume is None else _continued(resume, given, typed | ({"ngpus"} if no_cuda else set()))
    machines = Machines.of(nodes, rendezvous, restarts)
    launch_ranks(config, "mhptools.train", context.meta[ARGUMENTS], machines)
    outcome = train(
        config,
        save_dir or (_folder(given, checkname) if resume is None else _folder_of(resume)),
        resume=resume,
        weights=weights,
        start_epoch=start_epoch,
        log_name=logging_file,
        tensorboard=tensorboard,
        progress=progress(),
        restart=Restart(auto_resume, address, command_line("mhp train", context.meta[ARGUMENTS])),
    )
    if outcome.signal is not None:
        sys.exit(128 + outcome.signal)
    if outcome.last is not None:  # only the first rank saves
        best = "no best checkpoint without a validation" if outcome.best is None else f"best {outcome.best}"
        print(printable(f"{outcome.folder}: last {outcome.last}, {best}"))


def _pretrained(name: str, other: str | None, given: dict[str, Any], typed: set[str]) -> str:
    """Return the path of published weights, and make the network that of the weights."""
    from mhpmodels.prediction.pretrained import find_pretrained

    if other is not None:
        raise click.UsageError("--pretrained starts a new run from published weights. Omit --weights and --resume.")
    found = find_pretrained(name, {flag: given[flag] for flag in ("model", "backbone") if flag in typed})
    given |= {flag: found.fields[flag] for flag in ("model", "backbone")}
    return str(found.path)


def _as_trained(weights: Path, given: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the options of the network of a run's weights that were not typed; {} if another model was."""
    from mhpmodels.files.checkpoint import listing, read

    if weights.is_dir():
        there = listing(weights)
        config = there[-1].config if there else None  # train reports a folder without checkpoints
    else:
        try:
            config = read(weights).config
        except CheckpointError:  # bare weights, or a checkpoint with a damaged .json, which a new run does not need
            config = None
    if config is None or ("model" in typed and given["model"] != config.network.model):
        return {}
    found = {name: config.value(name) for name in OF_WEIGHTS if name not in typed}
    return {**found, "described": config.network.described} if "backbone" in found else found


def _new(given: dict[str, Any]) -> TrainConfig:
    """Return the config of a new run: the options given, and the classes of the packed folders."""
    engine = given["engine"] or next(iter(installed() or ENGINES))
    fields = {**given, "engine": engine, **_data(given)}
    sets = [(folder, fields["train_split"]) for folder in (fields["data"], *fields["also"])]
    return TrainConfig.of(**{**fields, **_classes(sets, fields)})


def _data(given: dict[str, Any]) -> dict[str, Any]:
    """Return the config fields whose command-line form differs, for the options given."""
    from mhpdata.remap import COMMON_NAME, read_remap

    found: dict[str, Any] = {}
    if "data" in given:
        found["data"], found["also"] = given["data"][0], tuple(given["data"][1:])
    if given.get("mix") is not None:
        try:
            found["mix"] = tuple(float(share) for share in given["mix"].split(","))
        except ValueError as error:
            remedy = "Pass one number per --data, in the same order, separated by commas."
            raise OptionError("mix", repr(given["mix"]), "numbers such as 1,1,2", remedy) from error
    if given.get("remap") not in (None, COMMON_NAME):
        found["remap"] = read_remap(given["remap"]).to_json()  # the run must not depend on later changes of the file
    return found


def _classes(sets: list[tuple[str, str]], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the config fields of the classes: number, weights, and names if they differ from LV-MHP v1."""
    from mhpdata.labels import MHP_V1
    from mhpdata.loading.mixture import Mixture
    from mhpdata.loading.weights import class_weights
    from mhpdata.settings.mixing import Mix

    mix = Mix(weights=fields.get("mix"), remap=fields["remap"])
    mixture = Mixture(sets, remap=mix.remap)
    mixture.close()
    labels, weights = mixture.labels, None
    if fields["class_weights"]:
        weights = tuple(class_weights(sets, mix=mix).tolist())
    named = {} if labels is MHP_V1 else {"class_names": labels.names, "flip_pairs": labels.flip_pairs}
    return {"classes": len(labels), "class_weights": weights, **named}


def _continued(resume: str, given: dict[str, Any], typed: set[str]) -> TrainConfig:
    """Return the checkpoint's config, changed by the options that were typed."""
    from mhpmodels.files.checkpoint import read

    checkpoint = read(resume)
    begun = checkpoint.config
    changes = {name: given[name] for name in typed if name in given}
    changes |= _data(changes)
    if changes.pop("class_weights", False) and begun.loss.class_weights is None:
        found = "not used by the run to resume"
        remedy = f"Omit the option, or start a new run: --weights {checkpoint.weights} instead of --resume."
        raise OptionError("class_weights", found, "", remedy)
    if "ngpus" in changes:
        changes.setdefault("contexts", 0)
    return begun.changed(**changes)


def _saved(folder: str | Path, copy_to: str | None, log_name: str) -> str | None:
    """Return what to resume: the last checkpoint in object storage, or the run in a folder; None without either."""
    from mhpmodels.files.checkpoint import listing
    from mhpmodels.files.copies import fetch, run_address
    from mhpmodels.training.train import copied

    if copy_to is not None:
        first = os.environ.get("RANK", "0") == "0"
        last = fetch(run_address(copy_to), folder, copied(log_name), last_only=not first)
        return None if last is None else str(last)
    return str(folder) if Path(folder).is_dir() and listing(Path(folder)) else None


def _folder(given: dict[str, Any], checkname: str | None) -> Path:
    """Return the default folder of a new run."""
    network = Network(model=given["model"], backbone=given["backbone"])
    model = network.model.replace(":", ".")  # of package.module:function; scp and rsync take a colon for a host
    return Path("runs", given["dataset"], model, Path(network.backbone).name, checkname or "")


def _folder_of(resume: str) -> Path:
    """Return the folder of a run to resume."""
    return Path(resume) if Path(resume).is_dir() else Path(resume).parent


if __name__ == "__main__":
    sys.exit(main())
