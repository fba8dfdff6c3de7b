"""Every path on a command line: ``~`` is the home folder as in the shell, and an empty path is an error.

The shell expands ``--out ~/rec`` itself, but neither ``--out=~/rec`` nor a quoted path; without this they would make a
folder called ``~``. An empty path, as of a variable that is not set, would mean the current folder. ``./~`` stays.
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


class PathText(click.ParamType):
    """A path as a string.

    Args:
        there: it is read, so there must be something.
        is_kind: tells from its mode (``os.stat``) whether what is there may be it, as a folder; None for anything.
    """

    name = "path"

    def __init__(self, there: bool = False, is_kind: Callable[[int], bool] | None = None) -> None:
        self.there, self.is_kind = there, is_kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path to use; click's error of a wrong argument where it is empty or leads nowhere."""
        text = os.fspath(value)
        if not text:
            self.fail("an empty path. Pass . for the current folder.", param, ctx)
        return self._home(text, param, ctx) if text[0] == "~" else text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete files, or folders where only these are accepted."""
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
"""What a command writes, or reads where it is there."""
INPUT = PathText(there=True)
"""What a command reads."""
FOLDER = PathText(there=True, is_kind=stat.S_ISDIR)
"""A folder that it reads."""
FILE = PathText(there=True, is_kind=stat.S_ISREG)
"""A file that it reads."""


def leads_nowhere(context: click.Context) -> bool:
    """Whether a path that the command was given to read is not there, or a file in place of a folder or the reverse.

    Then the path is wrong, and no data are damaged.
    """
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and isinstance(option.type, PathText) and option.type.there:
            value = context.params.get(name)
            for path in value if isinstance(value, tuple) else [value] * (value is not None):
                try:
                    mode = Path(path).stat().st_mode
                    if option.type.is_kind is not None and not option.type.is_kind(mode):
                        return True
                except (FileNotFoundError, NotADirectoryError):
                    return True
                except OSError:  # it may be there
                    continue
    return False
