"""How every command ends: the exit status is a verdict, and nothing else ends with it.

::

    0          done; of mhp-verify: nothing is wrong
    1          wrong data, and nothing else: a damaged download, packed folder, checkpoint or prediction
    2          a wrong argument
    3          could not be done for a reason outside the data: a file that cannot be read, a disk that is full, output
               that is in the way, a library that is missing, too little memory, an error in mhp
    128 + n    ended by signal n: 130 Ctrl-C, 143 SIGTERM, 141 the reader of the output went away
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, BinaryIO, TextIO

import click

from mhpdata.errors import MhpError, OptionError, is_outside
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.wording import printable, why
from mhpmodels.engines.leaving import leave
from mhptools.paths import leads_nowhere

TYPED = {"names": "name", "protocol": "val_protocol", "size": "crop_size", "threads": "workers", "weights": "mix"}
"""Arguments of functions whose flags have other names, where a command has these."""
DATA, USAGE, OUTSIDE, SIGNALLED = 1, 2, 3, 128
_SIGINT, _SIGPIPE = 2, 13
_MEMORY = "Close other programs, or run it again with a smaller --workers or --batch-size if it has these."


class Command(click.Command):
    """A command that says in one line what ended it, and ends with the status of that."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command, and exit."""
        run = partial(super().main, *args, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        _open_streams()
        with _told():
            status = _status(run)
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)
        return leave(status)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command's function."""
        try:
            return super().invoke(ctx)
        except OptionError as error:
            usage = click.UsageError(_in_flags(error, ctx), ctx)
            usage.exit_code = OUTSIDE if is_outside(error) else USAGE
            raise usage from error
        except MhpError as error:
            raise _PassedError(USAGE if leads_nowhere(ctx) else None) from error
        except (KeyboardInterrupt, EOFError, OSError) as error:
            raise _PassedError from error


class _Line(logging.Handler):
    """Prints what the library tells, such as that kernels are compiled, on stderr; above a progress bar, if there is
    one."""

    def emit(self, record: logging.LogRecord) -> None:
        text, bars = printable(record.getMessage()), sys.modules.get("tqdm")
        with suppress(OSError, ValueError):  # nobody hears it
            if bars is not None:
                bars.tqdm.write(text, file=sys.stderr)
            else:
                print(text, file=sys.stderr, flush=True)


@contextmanager
def _told() -> Iterator[None]:
    """Print what the logger of mhpdata says, from INFO on, while a command runs."""
    logger, handler = logging.getLogger("mhpdata"), _Line()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _PassedError(Exception):
    """Its cause is an error that passes by click, which has answers of its own to some; and its status, if known."""

    def __init__(self, status: int | None = None) -> None:
        self.status = status


def _status(run: Callable[[], Any]) -> int:
    """Run a command; its exit status, once all that it printed has been written."""
    try:
        try:
            status = run()
        except SystemExit as ended:
            if isinstance(ended.__context__, OSError):  # click's answer to a broken pipe
                raise ended.__context__ from None
            status = ended.code
        sys.stdout.flush()
    except BaseException as error:
        passed = error if isinstance(error, _PassedError) else _PassedError()
        cause = passed.__cause__ or error
        status, text = _verdict(cause)
        with suppress(OSError, ValueError):  # nobody hears it, and the status says it all the same
            _tell(cause, text)
        return passed.status or status
    return status if isinstance(status, int) else 0


def _tell(error: BaseException, text: str) -> None:
    """Say on stderr what ended the command."""
    if isinstance(error, click.ClickException):
        error.message = "\n".join(map(printable, error.message.split("\n")))
        error.show()
    elif text:
        print(text, file=sys.stderr, flush=True)


def _verdict(error: BaseException) -> tuple[int, str]:
    """The exit status of an error, and the words for it."""
    if isinstance(error, click.ClickException):
        return error.exit_code, error.message
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return SIGNALLED + _SIGINT, "Interrupted. Run the same command again: what can go on goes on."
    if isinstance(error, MhpError):
        return OUTSIDE if is_outside(error) else DATA, printable(f"{type(error).__name__}: {error}")
    if _lacks_memory(error):
        return OUTSIDE, f"MemoryError: the command is out of memory. {_MEMORY}"
    if isinstance(error, _StdoutError):
        if error.errno == errno.EPIPE:
            return SIGNALLED + _SIGPIPE, ""  # as other programs, without a word
        found = f"OutputError: standard output: cannot be written ({why(error)})."
        return OUTSIDE, f"{found} Send it to a file on a disk with room, then run the same command again."
    if isinstance(error, OSError):
        place = f" {error.filename}:" if error.filename is not None else ""
        return OUTSIDE, printable(
            f"{type(error).__name__}:{place} {why(error)}. Mend that, then run the command again."
        )
    if isinstance(error, ImportError):
        remedy = "Run, in the folder of mhp's source: pip install --force-reinstall ."
        return OUTSIDE, printable(f"MissingError: {error}. {remedy}")
    lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    return OUTSIDE, "\n".join([*map(printable, lines), "This is an error in mhp: please report it with these lines."])


def _lacks_memory(error: BaseException) -> bool:
    """Python's and NumPy's error, or OpenCV's (cv2.Error.StsNoMem)."""
    return isinstance(error, MemoryError) or (type(error).__module__ == "cv2" and getattr(error, "code", 0) == -4)


def _in_flags(error: OptionError, context: click.Context) -> str:
    """The message with the argument's name as it is typed: --shard-mb, not shard_mb."""
    known = {flag for option in context.command.params for flag in option.opts}
    typed = (f"--{name.replace('_', '-')}" for name in (TYPED.get(error.place, ""), error.place))
    place = next((flag for flag in typed if flag in known), error.place)
    return str(error.at(place))


def _open_streams() -> None:
    """Give stdin, stdout and stderr to /dev/null where they are closed: what is opened next would take their place."""
    hold_standard()
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if sys.stdout is None or sys.stdout is sys.__stdout__:  # not in a test, which reads it
        plain = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
        plain.flush()
        sys.stdout = _Stdout(open(1, "wb", closefd=False), plain.encoding, line_buffering=plain.line_buffering)  # noqa: SIM115


class _StdoutError(OSError):
    """Standard output takes no more."""


class _Stdout(io.TextIOWrapper):
    """Standard output that tells its errors from those of other files, and writes escapes for what is not printable."""

    def __init__(self, buffer: BinaryIO, encoding: str, line_buffering: bool) -> None:
        super().__init__(buffer, encoding, errors="backslashreplace", line_buffering=line_buffering)

    def write(self, text: str) -> int:
        with self._watched():
            return super().write("\n".join(map(printable, text.split("\n"))))

    def flush(self) -> None:
        with self._watched():
            super().flush()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _StdoutError(error.errno, error.strerror) from error


def _settle(stream: TextIO) -> None:
    """Drop what a stream could not write: Python would try again at its end, and exit with 120."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
