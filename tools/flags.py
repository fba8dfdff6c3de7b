"""Make a command's flags from the fields of option classes, which hold default, rule and help text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mhpdata.settings.rules import Choice, Each, Integer, Number, Option, OrNone, Probability, Rule, Switch, Text
from mhptools.paths import FOLDER

_TYPES: dict[type, Any] = {Integer: int, Number: float, Probability: float}


def flag(about: Option, default: Any, /, **more: Any) -> Callable[[Any], Any]:
    """Return the decorator that gives a command the flag of a field.

    Args:
        about: what the field says of itself.
        default: of the field.
        more: for ``click.option``, instead of what the field says; ``names`` are the flag's own.
    """
    dashed = about.flag.replace("_", "-")
    names = more.pop("names", (f"--{dashed}/--no-{dashed}" if default is True else f"--{dashed}",))
    shown = "[default" not in about.help and not isinstance(about.rule, Switch)
    kind = {"is_flag": True} if isinstance(about.rule, Switch) else _kind(about.rule)
    said = {"default": default, "show_default": shown, "help": about.help, **kind, **more}
    return click.option(*names, about.flag, **said)


def _kind(rule: Rule) -> dict[str, Any]:
    """The type of a flag, by the field's rule; None for text."""
    if isinstance(rule, OrNone):
        return _kind(rule.rule)
    if isinstance(rule, Choice):
        return {"type": click.Choice([str(one) for one in rule.choices])}
    if isinstance(rule, Each) and rule.count:
        return {**_kind(rule.rule), "nargs": rule.count}
    if isinstance(rule, Text) and rule.path:
        return {"type": FOLDER}
    return {"type": _TYPES.get(type(rule))}


def packed_folder(folder: str | None, data: str | None) -> str | None:
    """Return the packed folder that is given as an argument or by --data; raise UsageError where both are."""
    if folder is not None and data is not None:
        raise click.UsageError(f"The packed folder is given twice: {folder} and --data {data}. Give one of them.")
    return data if folder is None else folder
