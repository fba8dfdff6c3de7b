"""Checks of a run's options that concern several groups: model, backbone and engine; the GluonCV recipe.

Each function raises OptionError, which names the flag.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mhpdata.errors import OptionError
from mhpdata.wording import either
from mhpmodels.models import EFFICIENTNET, GLUONCV, HUGGING_FACE, MODELS, is_folder
from mhpmodels.recipe import Loss, Network, Optimization, Run, Schedule

TORCH_ONLY: dict[str, Any] = {
    "accumulate": 1,
    "ema": 0.0,
    "compile": False,
    "persons": False,
    "layer_decay": 1.0,
    "dice_weight": 0.0,
    "lovasz_weight": 0.0,
}
"""Options of the torch engine, with the only value that other engines accept."""
OF_GLUONCV = ("aux", "aux_weight", "branch_weights")
"""Options of GluonCV's networks and users' own ones, which those of transformers do not use."""
OF_HEADS = ("dropout", "persons_after", "person_weights")
"""Options of heads, which networks that find persons by queries do not use."""
OF_PERSONS = ("persons_after", "person_weights")
"""Those of the heads of persons, which networks without them do not use, either."""


def check_engine(engine: str, network: Network, optim: Optimization, given: dict[str, Any]) -> None:
    """Raise OptionError if another engine than torch is to run what only torch has.

    Args:
        engine: name of the engine.
        network, optim: groups of the run.
        given: values of the options TORCH_ONLY by flag.
    """
    if engine == "torch":
        return
    wanted = {flag: value for flag, value in given.items() if value != TORCH_ONLY[flag]}
    instead = dict.fromkeys(wanted, "omit this option")
    if network.queries:
        wanted.pop("persons", None)  # not an option of these networks
    if network.model not in GLUONCV:
        wanted["model"], instead["model"] = network.model, f"choose the model {' or '.join(GLUONCV)}"
    elif network.backbone == EFFICIENTNET:
        wanted["backbone"], instead["backbone"] = EFFICIENTNET, "choose another backbone"
    if optim.optimizer == "adamw":
        wanted["optimizer"], instead["optimizer"] = "adamw", "choose another optimizer"
    for flag, value in wanted.items():
        remedy = f'Pass --engine torch (Python: engine="torch"), or {instead[flag]}.'
        raise OptionError(flag, f"{value} with engine {engine}", "engine torch", remedy)


def check_backbone(network: Network) -> None:
    """Raise OptionError unless the backbone is one of the model's; those of user-defined networks are not checked."""
    model = MODELS.get(network.model)
    if model is None or network.backbone in model.backbones or (model.folders and is_folder(network.backbone)):
        return
    names = either(model.backbones) + (", or the path of a folder" if model.folders else "")
    fitting = [name for name, other in MODELS.items() if network.backbone in other.backbones]
    instead = f", or --model {' or '.join(fitting)} for this backbone" if fitting else ""
    remedy = f"Pass one of these, such as --backbone {model.usual}{instead}."
    raise OptionError("backbone", f"{network.backbone} with model {network.model}", names, remedy)


def check_old_recipe(run: Run, network: Network, loss: Loss, optim: Optimization, schedule: Schedule) -> None:
    """Raise OptionError if the GluonCV recipe is combined with what GluonCV's script does not have."""
    old_recipe = run.old_recipe
    if old_recipe and network.model not in GLUONCV and ":" not in network.model:
        remedy = "Omit --old-recipe, which trains GluonCV's networks as its script does."
        raise OptionError("old_recipe", f"given with model {network.model}", f"model {either(GLUONCV)}", remedy)
    given = {"persons": network.persons, "dice_weight": loss.dice_weight, "lovasz_weight": loss.lovasz_weight}
    for flag, value in given.items():
        if old_recipe and value:
            dashed = flag.replace("_", "-")
            remedy = f"Omit --{dashed}, which GluonCV does not have, or --old-recipe."
            raise OptionError(flag, "given with old_recipe", "one of the two", remedy)
    chosen = {
        "backbone": (network.backbone, network.backbone == EFFICIENTNET),
        "optimizer": (optim.optimizer, optim.optimizer == "adamw"),
        "layer_decay": (f"{optim.layer_decay:g}", optim.layer_decay != TORCH_ONLY["layer_decay"]),
        "schedule": (schedule.decay, schedule.decay == "cosine"),
    }
    for flag, (choice, is_newer) in chosen.items():
        if old_recipe and is_newer:
            remedy = f"Choose another --{flag.replace('_', '-')}, as GluonCV's script does not have it; or omit "
            raise OptionError(flag, f"{choice} with old_recipe", "one of the two", f"{remedy}--old-recipe.")


def check_own_loss(network: Network, loss: Loss) -> None:
    """Raise OptionError if a loss is given for a network that has a loss of its own."""
    for flag in ("dice_weight", "lovasz_weight"):
        if network.queries and getattr(loss, flag):
            remedy = f"Omit --{flag.replace('_', '-')}: the loss of {network.model} includes a Dice loss of its masks."
            raise OptionError(flag, f"given with model {network.model}", "0", remedy)


def check_used(network: Network, changed: Collection[str]) -> None:
    """Raise OptionError if an option has no effect on the network, but another value than its default.

    Args:
        network: the network.
        changed: flags, of OF_GLUONCV and OF_HEADS, of the options that differ from their defaults.
    """
    unused = OF_GLUONCV if network.model in HUGGING_FACE else ()
    for flag in (*unused, *(OF_HEADS if network.queries else ())):
        if flag in changed:
            remedy = f"Omit --{flag.replace('_', '-')}, which has no effect on {network.model}."
            raise OptionError(flag, f"given with model {network.model}", "its default", remedy)
    for flag in OF_PERSONS:
        if flag in changed and not network.persons:
            remedy = f"Add --persons, or omit --{flag.replace('_', '-')}, which has no effect without it."
            raise OptionError(flag, "given without persons", "with --persons", remedy)
