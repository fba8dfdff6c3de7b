"""Select samples of a split when a packed folder is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mhpdata.errors import OptionError
from mhpdata.options import PROTOCOLS, ValProtocol, in_words, is_collection
from mhpdata.settings.rules import Checked, Choice, Integer, OrNone, Rule, Switch, option

Leaks = Literal["fail", "skip"]
LEAKS: tuple[Leaks, ...] = get_args(Leaks)
Names = Iterable[str] | Sequence[Iterable[str] | None] | None


class _Names(Rule):
    """None, a collection of names of images, or for several sets one such collection, or None, per set."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return tuples; raise OptionError for a string, whose letters would otherwise be taken for names."""
        if value is None:
            return None
        names = _texts(name, value)
        return tuple(one if one is None or isinstance(one, str) else _texts(name, one, deep=False) for one in names)


def _texts(name: str, value: Any, deep: bool = True) -> tuple[Any, ...]:
    """Return a collection of names as a tuple; ``deep`` also allows a collection of such collections and None."""
    if not is_collection(value):
        remedy = f"Pass them in a list: [{value!r}]." if isinstance(value, str) else "Pass a list of names."
        raise OptionError(name, in_words(value), "a collection of names", remedy)
    kept = tuple(value)
    for one in kept:
        if not isinstance(one, str) and not (deep and (one is None or is_collection(one))):
            raise OptionError(name, f"a collection with {in_words(one)}", "names of images", "Pass a list of names.")
    return kept


class _Predicate(Rule):
    """None, or a function of an image's name."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the value; raise OptionError if it is not callable."""
        if value is not None and not callable(value):
            remedy = "Pass a function such as lambda name: name.endswith('7')."
            raise OptionError(name, in_words(value), "a function of an image's name", remedy)
        return value


@dataclass(frozen=True)
class Choose(Checked):
    """Select the samples of a split that meet all conditions, in the split's order.

    An empty selection is an error, unless ``limit`` is 0. Images that ``names``, ``where`` or ``limit`` exclude from
    training are not leaks.
    """

    names: Names = option(
        None, _Names(), "Names of the images to keep; for several sets one collection, or None, per set.", typed=False
    )
    where: Callable[[str], bool] | None = option(
        None, _Predicate(), "Function of an image's name that returns whether to keep the image.", typed=False
    )
    limit: int | None = option(
        None, OrNone(Integer(0, 1 << 62)), "Maximum number of images.  [default: all]", typed=False
    )
    protocol: ValProtocol = option(
        PROTOCOLS[0],
        Choice(PROTOCOLS),
        "Images of val to use: official takes all, gluoncv only the 999 that GluonCV uses.",
        flag="val_protocol",
    )
    leak_free: bool = option(
        False,
        Switch(),
        "Within one dataset, leave out images of train that also appear in val or test, and images of val that also "
        "appear in test.",
    )
    unseen: bool = option(
        False,
        Switch(),
        "Leave out images of val that also appear in train, and images of test that also appear in train or val: "
        "networks may have been trained on them.",
    )
    leaks: Leaks = option(
        LEAKS[0],
        Choice(LEAKS),
        "What to do if a training image also appears in val or test of another packed folder: fail stops before "
        "training, skip leaves the image out.",
    )
