"""How every command ends: 0 done, 1 an error of the data or the disk (one message on stderr), 2 a wrong argument."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable
from typing import ParamSpec

import click

from mhpdata.errors import MhpError, OptionError

P = ParamSpec("P")
TYPED = {"names": "name", "protocol": "val_protocol", "threads": "workers", "weights": "mix"}
"""Arguments of functions whose flags have other names, where a command has these."""


def reporting_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an MhpError into its message and an exit status."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name may be in no encoding
        try:
            command(*args, **kwargs)
        except OptionError as error:
            raise click.UsageError(_in_flags(error)) from error
        except MhpError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print("Interrupted. Run the same command again: what can go on goes on.", file=sys.stderr)
            sys.exit(130)
        except Exception as error:
            if not _lacks_memory(error):
                raise
            remedy = "Close other programs, or run it again with a smaller --workers or --batch-size if it has these."
            print(f"MemoryError: the command got no more memory. {remedy}", file=sys.stderr)
            sys.exit(1)

    return run


def _lacks_memory(error: BaseException) -> bool:
    """Python's and NumPy's error, or OpenCV's (cv2.Error.StsNoMem)."""
    return isinstance(error, MemoryError) or (type(error).__module__ == "cv2" and getattr(error, "code", 0) == -4)


def _in_flags(error: OptionError) -> str:
    """The message with the argument's name as it is typed: --shard-mb, not shard_mb."""
    context = click.get_current_context(silent=True)
    known = {flag for option in context.command.params for flag in option.opts} if context else set()
    typed = (f"--{name.replace('_', '-')}" for name in (TYPED.get(error.place, ""), error.place))
    place = next((flag for flag in typed if flag in known), error.place)
    return str(type(error)(place, error.found, error.expected, error.remedy))
