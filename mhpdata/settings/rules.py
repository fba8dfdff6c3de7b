"""Declare options as fields, each with its default, rule and help text.

::

    @dataclass(frozen=True)
    class CentreCrop(Checked):
        size: int = option(768, Integer(1, 32767), "Side of the crops, in pixels.", flag="crop_size")

Constructing such a class checks every field by its rule, and raises OptionError with the field's name. The loader, the
training configuration and the commands' flags all use these fields, so no rule is repeated.
"""

from __future__ import annotations

import inspect
import math
import sys
from dataclasses import Field, dataclass, field, fields
from typing import Any, NamedTuple, Protocol

from mhpdata.address import parse_address
from mhpdata.errors import OptionError
from mhpdata.options import check_choice, check_range, check_share, in_words, is_collection, is_number
from mhpdata.wording import counted


class Rule(Protocol):
    """A check of a field's value."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the value to keep; raise OptionError if it is invalid. ``usual`` is the default."""


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    choices: tuple[object, ...]

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the value; raise OptionError if it is not one of the choices."""
        check_choice(name, value, self.choices)
        return value


@dataclass(frozen=True)
class Integer:
    """A whole number in low..high."""

    low: int
    high: int

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the number; raise OptionError outside the range."""
        check_range(name, value, self.low, self.high)
        return value


@dataclass(frozen=True)
class Number:
    """A finite number in low..high, of a type that JSON can hold (not NumPy's)."""

    low: float = 0.0
    high: float = math.inf

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the number; raise OptionError outside the range, for NaN and for infinities."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high or not abs(value) <= sys.float_info.max:
            above = "above 0" if self.low else "of 0 or more"
            finite = "finite " if isinstance(value, float) and not math.isfinite(value) else ""
            bounds = above if math.isinf(self.high) else f"from {self.low:g} to {self.high:g}"
            expected = f"a {finite}number {bounds}"
            remedy = f"The default is {usual:g}." if isinstance(usual, float) and usual else ""
            remedy = "Pass the number without quotes." if isinstance(value, str) else remedy
            raise OptionError(name, in_words(value), expected, remedy)
        return value


POSITIVE = Number(1e-12)


@dataclass(frozen=True)
class Probability:
    """A number in 0..1, Python's or NumPy's."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the number as an int or float of Python; raise OptionError outside 0..1."""
        check_share(name, value)
        return value if isinstance(value, int | float) else float(value)


@dataclass(frozen=True)
class Switch:
    """True or False."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the value; raise OptionError for anything but a bool."""
        if not isinstance(value, bool):
            remedy = "Remove the quotes." if value in ("True", "False") else ""
            raise OptionError(name, in_words(value), "True or False", remedy)
        return value


@dataclass(frozen=True)
class Text:
    """A text; ``path`` marks the path of a folder, or an address (mhpdata.address)."""

    path: bool = False

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the text; raise OptionError for anything but a str."""
        if not isinstance(value, str):
            raise OptionError(name, in_words(value), "text", "Convert it with str().")
        if self.path:
            parse_address(name, value)  # raises for an address with credentials, which must not get into a file
        return value


@dataclass(frozen=True)
class Each:
    """Several values that follow one rule, kept as a tuple; exactly ``count`` of them unless it is 0."""

    rule: Rule
    count: int = 0
    example: str = "(1, 1, 2)"

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the values as a tuple; raise OptionError if one of them, or their number, is invalid."""
        if not is_collection(value):
            raise OptionError(name, in_words(value), f"several values, such as {self.example}", "Pass a tuple of them.")
        values = tuple(one.item() if is_number(one) and hasattr(one, "item") else one for one in value)
        if self.count and len(values) != self.count:
            expected = counted(self.count, "number")
            found = counted(len(values), "number")
            raise OptionError(name, found, expected, f"Pass, for example, {self.example}.")
        return tuple(self.rule.take(name, one, None) for one in values)


@dataclass(frozen=True)
class OrNone:
    """None, or a value that another rule accepts."""

    rule: Rule

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return None, or the value as the other rule keeps it."""
        return None if value is None else self.rule.take(name, value, usual)


class Option(NamedTuple):
    """The declaration of a field.

    Attributes:
        rule: Check of the value.
        help: One or two sentences for ``--help`` and the docstring.
        flag: Name among all options of a run: the command's flag, and the key in files that mhp 0.1 wrote.
        typed: Whether commands have the flag.
        free: Whether a resumed run may change it: it affects where and how a run computes, not the result.
    """

    rule: Rule
    help: str
    flag: str
    typed: bool
    free: bool


def option(default: Any, rule: Rule, help: str, *, flag: str = "", typed: bool = True, free: bool = False) -> Any:
    """Declare a field of a :class:`Checked` dataclass; ``flag`` defaults to the field's name."""
    return field(default=default, metadata={"option": Option(rule, help, flag, typed, free)})


class Checked:
    """Base of dataclasses whose fields are declared by :func:`option`; constructing an instance checks all fields.

    The help texts of the fields become part of the class's docstring.
    """

    def __init_subclass__(cls) -> None:
        declared = {name: value.metadata["option"] for name, value in vars(cls).items() if isinstance(value, Field)}
        if declared:
            lines = [f"    {name}: {about.help}" for name, about in declared.items()]
            text = inspect.cleandoc(cls.__doc__ or "")  # Python 3.13 has removed the indentation already
            cls.__doc__ = "\n".join([f"{text}\n", "Args:", *lines])

    def __post_init__(self) -> None:
        """Check every field, and keep the value that its rule returns."""
        for one in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            kept = one.metadata["option"].rule.take(one.name, getattr(self, one.name), one.default)
            object.__setattr__(self, one.name, kept)


def options_of(kind: type[Checked]) -> dict[str, tuple[Option, Any]]:
    """Return {field name: (declaration, default)} of a class, with ``flag`` filled in."""
    options = {}
    for one in fields(kind):  # type: ignore[arg-type]  # subclasses are dataclasses
        about = one.metadata["option"]
        options[one.name] = (about._replace(flag=about.flag or one.name), one.default)
    return options


def check_kind(name: str, value: object, *kinds: type[Checked]) -> None:
    """Raise OptionError unless a value is an instance of one of these classes of options."""
    if not isinstance(value, kinds):
        expected = " or ".join(f"{kind.__name__}(...)" for kind in kinds)
        raise OptionError(
            name, in_words(value), expected, f"Pass, for example, {name}={_home(kinds[0])}.{kinds[0].__name__}(...)."
        )


def _home(kind: type[Checked]) -> str:
    """Return the name of the module from which users import a class of options."""
    return "mhpdata" if kind.__module__.startswith("mhpdata.settings") else kind.__module__
