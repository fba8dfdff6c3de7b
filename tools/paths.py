"""Types of path arguments: ``~`` is the home folder, as in the shell, and an empty path is an error.

The shell expands ``--out ~/rec`` but neither ``--out=~/rec`` nor a quoted path, which would create a folder called
``~``. An empty path, for example from an unset variable, would mean the current folder. ``./~`` is not expanded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from mhpdata.address import Address, parse_address
from mhpdata.errors import MhpError, NoBucketError, NoObjectError, OptionError
from mhpdata.options import LOCAL_ONLY


class PathText(click.ParamType):
    """A path as a string.

    Args:
        there: Whether the command reads the path, which then must exist.
        is_kind: Predicate on the mode (``os.stat``), such as ``stat.S_ISDIR``; None accepts any type of file.
        remote: Whether the path may be an address (mhpdata.address).
    """

    name = "path"

    def __init__(self, there: bool = False, is_kind: Callable[[int], bool] | None = None, remote: bool = False) -> None:
        self.there, self.is_kind, self.remote = there, is_kind, remote

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path to use; raise click's BadParameter if it is empty, its home folder does not exist, or it is
        an address where only a path is supported."""
        text = os.fspath(value)
        if not text:
            self.fail("an empty path. Pass . for the current folder.", param, ctx)
        try:
            if parse_address("path", text) is not None and not self.remote:
                self.fail(f"an address; expected a path on this machine. {LOCAL_ONLY}", param, ctx)
        except OptionError as error:
            self.fail(f"{error.found}; expected {error.expected}. {error.remedy}".rstrip(), param, ctx)
        return self._home(text, param, ctx) if text[0] == "~" else text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete files, or only folders where only folders are accepted."""
        return [CompletionItem(incomplete, type="dir" if self.is_kind is stat.S_ISDIR else "file")]

    def _home(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(Path(text).expanduser())
        except RuntimeError:
            if os.path.lexists(text):
                return text
            home = text.partition("/")[0]
            self.fail(f"{text!r}: {home} is no user's home folder. Write ./{text} for a file of this name.", param, ctx)


PATH = PathText()
"""A path that the command writes, or reads if it exists."""
PLACE = PathText(remote=True)
"""A path that the command writes, or an address in object storage."""
INPUT = PathText(there=True)
"""A file or folder that the command reads."""
FOLDER = PathText(there=True, is_kind=stat.S_ISDIR)
"""A folder that the command reads."""
PACKED = PathText(there=True, is_kind=stat.S_ISDIR, remote=True)
"""A packed folder that the command reads, or its address."""
DOWNLOAD = PathText(there=True, is_kind=stat.S_ISDIR, remote=True)
"""The folder of a download, or its address."""
FILE = PathText(there=True, is_kind=stat.S_ISREG)
"""A file that the command reads."""


def leads_nowhere(context: click.Context, error: MhpError) -> bool:
    """Return whether an input path of the command is missing, or a file instead of a folder, or the reverse.

    In that case the argument is wrong; no data are damaged. For an address, the error of the command tells.
    """
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and isinstance(option.type, PathText) and option.type.there:
            value = context.params.get(name)
            for path in value if isinstance(value, tuple) else [value] * (value is not None):
                address = parse_address(name, path)
                if address is not None:
                    if _is_nothing_at(address, error):
                        return True
                    continue
                try:
                    mode = Path(path).stat().st_mode
                    if option.type.is_kind is not None and not option.type.is_kind(mode):
                        return True
                except (FileNotFoundError, NotADirectoryError):
                    return True
                except OSError:  # it may exist
                    continue
    return False


def _is_nothing_at(address: Address, error: MhpError) -> bool:
    """Return whether an error says that nothing has an address: no manifest, no file of a download, or no bucket."""
    from mhpdata.storage.manifest import NAME

    if isinstance(error, NoBucketError):
        return error.place == f"{address.scheme}://{address.store}"
    if isinstance(error.__cause__, NoObjectError):
        return error.place == str(address / NAME)
    return error.place == str(address) and getattr(error, "fault", None) == ("missing",)
