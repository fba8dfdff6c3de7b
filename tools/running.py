"""Base classes of all commands: general options, help in groups, and exit statuses.

::

    0          done; mhp verify: nothing is wrong
    1          wrong data only: a damaged download, packed folder, checkpoint or prediction
    2          invalid usage
    3          failed for a reason outside the data: an unreadable file, a full disk, existing output, a missing
               library, too little memory, an error in mhp
    128 + n    ended by signal n: 130 Ctrl-C, 143 SIGTERM, 141 the reader of the output closed it
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import click

from mhpdata.errors import MhpError, OptionError, is_outside
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.wording import either, printable, why
from mhpmodels.engines.leaving import OUTSIDE, leave
from mhptools.messages import debugging, general_options, shown
from mhptools.paths import leads_nowhere

TYPED = {
    "archive": "zip",
    "names": "name",
    "protocol": "val_protocol",
    "size": "crop_size",
    "threads": "workers",
    "weights": "mix",
}
"""Flags of function arguments with another name, used if the command has that flag."""
DATA, USAGE, SIGNALLED = 1, 2, 128
_SIGINT, _SIGPIPE = 2, 13
_AGAIN = "Run the same command again"
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Context settings of every command."""
GENERAL = ("quiet", "verbose", "log_level", "version")
"""Options of every command."""
DESTRUCTIVE = ("--overwrite",)
"""Options that delete or replace files."""
ARGUMENTS = "mhptools.arguments"
"""Key in ``Context.meta`` of the command's arguments as typed."""
Groups = Sequence[tuple[str, Sequence[str]]]
MEMORY = ("--workers", "--batch-size", "--test-batch-size")
"""Options with which a command takes less memory."""


class Ended(click.Command):
    """A command or group that reports the error that ended it in one line, and exits with the matching status."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command and exit."""
        extra.setdefault("prog_name", _typed_name())
        run = partial(super().main, *args, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        _open_streams()
        with shown():
            status = _status(run)
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)
        return leave(status)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; never suggest a destructive option for an unknown one."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            error.possibilities = [name for name in error.possibilities or () if name not in DESTRUCTIVE]
            raise


class Command(Ended):
    """A command with the general options and its own options in groups.

    Args:
        groups: Pairs (heading, names of parameters); the other options follow under "Options".
        resumes: Whether an interrupted command resumes when it is run again; or the flag with which it does.
    """

    def __init__(self, *args: Any, groups: Groups = (), resumes: bool | str = False, **more: Any) -> None:
        more["context_settings"] = {**HELP, **(more.get("context_settings") or {})}
        super().__init__(*args, **more)
        self.groups, self.resumes = groups, resumes
        self.params.extend(general_options())

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments, and keep them as typed for processes that run the same command."""
        typed = list(args)
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[ARGUMENTS] = typed
        return context

    def grouped(self, ctx: click.Context) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return the options in groups, the general options last: heading, and names and help text of each."""
        shown_last = {*GENERAL, getattr(self.get_help_option(ctx), "name", None)}
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        records = {one.name: record for one in options if (record := one.get_help_record(ctx)) is not None}
        general = [records.pop(name) for name in list(records) if name in shown_last]
        grouped = [
            (heading, [records.pop(name) for name in names if name in records]) for heading, names in self.groups
        ]
        every = [*grouped, ("Options", list(records.values())), ("General options", general)]
        return [(heading, rows) for heading, rows in every if rows]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help, group by group."""
        for heading, rows in self.grouped(ctx):
            with formatter.section(heading):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command's function; turn its errors into usage errors or errors that bypass click."""
        try:
            return self._invoke(ctx)
        except OptionError as error:
            named = _in_flags(error, ctx)
            usage = click.UsageError(str(named), None if os.path.isfile(named.place) else ctx)  # noqa: PTH113
            usage.exit_code = OUTSIDE if is_outside(error) else USAGE
            raise usage from error
        except MhpError as error:
            raise _PassedError(USAGE if leads_nowhere(ctx, error) else None, self._again(ctx)) from error
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, EOFError | OSError) or _is_interrupt(error):
                raise _PassedError(advice=self._again(ctx)) from error
            raise

    def _again(self, ctx: click.Context) -> str:
        """Return what to do after an interruption."""
        if isinstance(self.resumes, bool):
            return f"{_AGAIN} to resume." if self.resumes else f"{_AGAIN}."
        if ctx.params.get("persons") and not ctx.params.get("overwrite"):
            return f"{_AGAIN} with --overwrite."  # the list of persons is written at the end
        if ctx.params[self.resumes.strip("-")]:
            return f"{_AGAIN} to resume."
        return f"{_AGAIN}." if ctx.params.get("overwrite") else f"{_AGAIN} with {self.resumes} to resume."

    def _invoke(self, ctx: click.Context) -> Any:
        """Call the command's function; name its options that take less memory in an error about memory."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not _lacks_memory(error):
                raise
            flags = {flag for option in self.params for flag in option.opts}
            ours = [flag for flag in MEMORY if flag in flags]
            less = f", or run the command again with a smaller {either(ours)}" if ours else ""
            raise _OutOfMemoryError(f"Close other programs{less}.") from error


class _OutOfMemoryError(MemoryError):
    """The command is out of memory; its text is the remedy."""


class _PassedError(Exception):
    """Carries an error, as its cause, past click's own handlers; ``status`` overrides the exit status if not None.

    ``advice`` says what to do after an interruption.
    """

    def __init__(self, status: int | None = None, advice: str = f"{_AGAIN}.") -> None:
        self.status, self.advice = status, advice


def _status(run: Callable[[], Any]) -> int:
    """Run a command and flush its output; return the exit status."""
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
        status, text = _verdict(cause, passed.advice)
        with suppress(OSError, ValueError):  # stderr is closed or full; the exit status still reports the error
            _tell(cause, text)
        return passed.status or status
    return status if isinstance(status, int) else 0


def _tell(error: BaseException, text: str) -> None:
    """Print the error that ended the command on stderr."""
    if isinstance(error, click.ClickException):
        error.message = "\n".join(map(printable, error.message.split("\n")))
        error.show()
        return
    if debugging() and not text.startswith("Traceback"):
        trace = "".join(traceback.format_exception(error)).rstrip("\n")
        print("\n".join(map(printable, trace.split("\n"))), file=sys.stderr)
    if text:
        print(text, file=sys.stderr, flush=True)


def _verdict(error: BaseException, advice: str) -> tuple[int, str]:
    """Return the exit status and the message for an error; ``advice`` is for an interruption."""
    if isinstance(error, click.ClickException):
        return error.exit_code, error.message
    if isinstance(error, click.Abort) or _is_interrupt(error):
        return SIGNALLED + _SIGINT, f"Interrupted. {advice}"
    if isinstance(error, MhpError):
        return OUTSIDE if is_outside(error) else DATA, printable(f"{type(error).__name__}: {error}")
    if _lacks_memory(error):
        remedy = str(error) if isinstance(error, _OutOfMemoryError) else "Close other programs."
        return OUTSIDE, f"MemoryError: out of memory. {remedy}"
    if isinstance(error, _StdoutError):
        if error.errno == errno.EPIPE:
            return SIGNALLED + _SIGPIPE, ""  # silent, as other programs are
        text = f"OutputError: standard output: cannot be written ({why(error)})."
        return OUTSIDE, f"{text} Send it to a file on a disk with room, then run the same command again."
    if isinstance(error, OSError):
        place = f" {error.filename}:" if error.filename is not None else ""
        return OUTSIDE, printable(
            f"{type(error).__name__}:{place} {why(error)}. Correct this, then run the command again."
        )
    if isinstance(error, ImportError):
        remedy = "Run, in the folder of mhp's source: pip install --force-reinstall ."
        return OUTSIDE, printable(f"MissingError: {error}. {remedy}")
    lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    return OUTSIDE, "\n".join([*map(printable, lines), "This is an error in mhp: please report it with these lines."])


def _is_interrupt(error: BaseException) -> bool:
    """Return whether an error is a KeyboardInterrupt, or was raised from one, as by an import that Ctrl-C ends."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, KeyboardInterrupt):
            return True
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            waiting += [one.__cause__, one.__context__]
    return False


def _lacks_memory(error: BaseException) -> bool:
    """Return whether an error of Python, NumPy or OpenCV (cv2.Error.StsNoMem) means out of memory."""
    return isinstance(error, MemoryError) or (type(error).__module__ == "cv2" and getattr(error, "code", 0) == -4)


def _in_flags(error: OptionError, context: click.Context) -> OptionError:
    """Return the error with the argument's name as typed: --shard-mb, not shard_mb."""
    known = {flag for option in context.command.params for flag in option.opts}
    typed = (f"--{name.replace('_', '-')}" for name in (TYPED.get(error.place, ""), error.place))
    place = next((flag for flag in typed if flag in known), error.place)
    return error.at(place)


def _typed_name() -> str | None:
    """Return the command's name for usage lines if Python runs its module (python -m), else None for click's own."""
    script = Path(sys.argv[0])
    if script.suffix != ".py" or script.parent != Path(__file__).parent:
        return None
    return "mhp" if script.stem in ("mhp", "__main__") else f"mhp {script.stem}"


def _open_streams() -> None:
    """Open /dev/null for closed stdin, stdout or stderr; otherwise the next file opened would take the descriptor."""
    hold_standard()
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if sys.stdout is None or sys.stdout is sys.__stdout__:  # not if a test captures it
        before = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
        before.flush()
        sys.stdout = _Stdout(open(1, "wb", closefd=False), before.encoding, line_buffering=before.line_buffering)  # noqa: SIM115


class _StdoutError(OSError):
    """Writing to standard output failed."""


class _Stdout(io.TextIOWrapper):
    """Standard output that raises _StdoutError and escapes unprintable characters."""

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
    """Discard unwritten output of a stream: Python would retry at exit and end with status 120."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
