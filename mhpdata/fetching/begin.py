"""Begin a fetch: check its name, its output folder, and that the licence of what is fetched is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from mhpdata.errors import OptionError
from mhpdata.options import check_choice, check_path


class Titled(Protocol):
    """Something that can be fetched, under a licence of its own."""

    @property
    def title(self) -> str:
        """Name for messages."""


One = TypeVar("One", bound=Titled)


def begin(option: str, name: str, known: Mapping[str, One], out: str | Path, accept_licence: bool) -> tuple[Path, One]:
    """Check the arguments that every fetch has.

    Args:
        option: Name of the argument that ``name`` is, for errors.
        name: Name of what is fetched.
        known: All that can be fetched, by name.
        out: Folder for the files.
        accept_licence: Whether its licence is accepted.

    Returns:
        The folder, and what is fetched.

    Raises:
        OptionError: The name is unknown, the folder is no path, or the licence is not accepted.
    """
    check_choice(option, name, tuple(known))
    out, about = check_path("out", out), known[name]
    if not accept_licence:
        remedy = "Pass --accept-licence (in Python: accept_licence=True) if you accept it."
        raise OptionError("accept_licence", f"the licence of {about.title} is not accepted", "", remedy)
    return out, about
