"""Make a command's flags from the fields of option classes, which hold default, rule and help text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.types import FloatParamType

from mhpdata.settings.caching import Cache
from mhpdata.settings.rules import (
    Choice,
    Each,
    Integer,
    Number,
    Option,
    OrNone,
    Probability,
    Rule,
    Switch,
    Text,
    options_of,
)
from mhptools.paths import PACKED, PATH

_TYPES: dict[type, Any] = {Integer: int, Number: float, Probability: float}


class _Numbers(FloatParamType):
    """One of the numbers of a flag that takes several; its error says how many, as the next flag may be read as one."""

    def __init__(self, count: int, example: str) -> None:
        self._expected = f"{count} numbers, such as {example}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; raise click's BadParameter for anything else."""
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number; expected {self._expected}.", param, ctx)


def flag(about: Option, default: Any, /, **more: Any) -> Callable[[Any], Any]:
    """Return the decorator that gives a command the flag of a field.

    Args:
        about: The field's flag, rule and help text.
        default: The field's default value.
        more: Arguments of ``click.option`` that replace those derived from the field; ``names`` replaces the flags.
    """
    dashed = about.flag.replace("_", "-")
    names = more.pop("names", (f"--{dashed}/--no-{dashed}" if default is True else f"--{dashed}",))
    shown = "[default" not in about.help and (not isinstance(about.rule, Switch) or default is True)
    typed = {"is_flag": True} if isinstance(about.rule, Switch) else _type_of(about.rule)
    arguments = {"default": default, "show_default": shown, "help": about.help, **typed, **more}
    if arguments.get("nargs", 1) > 1:  # as typed, with spaces
        text = " ".join(map(str, default))
        arguments |= {"show_default": False, "help": f"{about.help}  [default: {text}]"}
        arguments["type"] = _Numbers(arguments["nargs"], text)
    return click.option(*names, about.flag, **arguments)


def _type_of(rule: Rule) -> dict[str, Any]:
    """Return the arguments of ``click.option`` for a field's rule; the type is None for text."""
    if isinstance(rule, OrNone):
        return _type_of(rule.rule)
    if isinstance(rule, Choice):
        return {"type": click.Choice([str(one) for one in rule.choices])}
    if isinstance(rule, Each) and rule.count:
        return {"nargs": rule.count}
    if isinstance(rule, Text) and rule.path:
        return {"type": PACKED}
    return {"type": _TYPES.get(type(rule))}


def packed_folder(folder: str | None, data: str | None) -> str | None:
    """Return the packed folder given as an argument or by --data; raise UsageError if both are given."""
    if folder is not None and data is not None:
        raise click.UsageError(f"The packed folder is given twice: {folder} and --data {data}. Give one of them.")
    return data if folder is None else folder


def options_of_a_cache(command: Any) -> Any:
    """Give a command the options of the cache for packed folders that have an address."""
    fields = options_of(Cache)
    return flag(fields["folder"][0], None, type=PATH)(flag(*fields["gb"])(command))


def take_cache(options: dict[str, Any]) -> Cache | None:
    """Remove the options of a cache from a command's arguments; return the cache, None without --cache."""
    folder, gb = options.pop("cache"), options.pop("cache_gb")
    return None if folder is None else Cache(folder, gb)
