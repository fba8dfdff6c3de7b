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
            remedy = "Use fewer --workers or smaller batches, or free memory; what can go on goes on."
            print(f"MemoryError: the process got no more memory. {remedy}", file=sys.stderr)
            sys.exit(1)

    return run


def _lacks_memory(error: BaseException) -> bool:
    """Python's and NumPy's error, or OpenCV's (cv2.Error.StsNoMem)."""
    return isinstance(error, MemoryError) or (type(error).__module__ == "cv2" and getattr(error, "code", 0) == -4)


def _in_flags(error: OptionError) -> str:
    """The message with the argument's name as it is typed: --shard-mb, not shard_mb."""
    flag = f"--{error.place.replace('_', '-')}" if error.place.isidentifier() else error.place
    return str(type(error)(flag, error.found, error.expected, error.remedy))
