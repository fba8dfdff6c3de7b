"""Options that every command has, and the handler that shows the messages of the library's loggers.

::

    mhpdata, mhpmodels             stderr, from the chosen level up; above the progress bar, if there is one
    mhpmodels.training.runlog      stdout: the lines of a run's log, which are the command's output
"""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from mhpdata.wording import printable

LIBRARY = ("mhpdata", "mhpmodels")
"""Root loggers of the library's packages."""
OUTPUT = "mhpmodels.training.runlog"
"""Logger whose messages go to stdout."""
LEVELS = ("debug", "info", "warning", "error")


class _Screen(logging.Handler):
    """Prints each message as one line without a prefix."""

    def emit(self, record: logging.LogRecord) -> None:
        text = printable(record.getMessage())
        if record.name == OUTPUT:
            _write(text, sys.stdout)  # an error of stdout ends the command
        else:
            with suppress(OSError, ValueError):  # stderr is closed or full
                _write(text, sys.stderr)


def _write(text: str, stream: Any) -> None:
    """Print a line; tqdm, if it is in use, moves its bars out of the way."""
    bars = sys.modules.get("tqdm")
    if bars is None:
        print(text, file=stream, flush=True)
    else:
        bars.tqdm.write(text, file=stream)
        stream.flush()


@contextmanager
def shown() -> Iterator[None]:
    """Show the library's messages from INFO up while a command runs; restore its loggers afterwards."""
    handler, loggers = _Screen(), [logging.getLogger(name) for name in LIBRARY]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def progress() -> bool:
    """Return whether the command may show a progress bar: at level info or below, without --quiet."""
    return logging.getLogger(LIBRARY[0]).isEnabledFor(logging.INFO)


def note(text: str) -> None:
    """Print a progress note on stderr, unless the command is quiet."""
    logging.getLogger("mhpdata.command").info("%s", text)


def detail(text: str) -> None:
    """Print lines of text on stderr if debug messages are shown."""
    for line in text.split("\n"):
        logging.getLogger("mhpdata.command").debug("%s", line)


def debugging() -> bool:
    """Return whether debug messages are shown."""
    return logging.getLogger(LIBRARY[0]).isEnabledFor(logging.DEBUG)


def _set_level(level: str) -> None:
    for name in LIBRARY:
        logging.getLogger(name).setLevel(level.upper())
    if debugging():
        text = f"mhp {_version()}, Python {platform.python_version()}, {platform.platform()}"
        logging.getLogger("mhpdata.command").debug("%s", text)


def _version() -> str:
    import mhpdata

    return mhpdata.__version__


def _on_level(context: click.Context, option: click.Parameter, level: str | None) -> None:
    if level is not None:
        _set_level(level)


def _on_switch(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given:
        _set_level("warning" if option.name == "quiet" else "debug")


def _on_version(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given and not context.resilient_parsing:
        click.echo(f"mhp {_version()}")
        context.exit()


def version_option() -> click.Option:
    """Make the option that prints the version and exits."""
    return click.Option(
        ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_on_version,
        help="Show the version and exit.",
    )  # fmt: skip


def general_options() -> list[click.Option]:
    """Make the options of every command; of several levels given, the last one applies."""
    switch = {"is_flag": True, "expose_value": False, "callback": _on_switch}
    return [
        click.Option(
            ["-q", "--quiet"],
            help="Show warnings and errors only, and no progress bar; results are still printed.",
            **switch,
        ),
        click.Option(["-v", "--verbose"], help="Show debug messages, and the traceback of an error.", **switch),
        click.Option(
            ["--log-level"],
            type=click.Choice(LEVELS),
            expose_value=False,
            callback=_on_level,
            help="Lowest level of messages to show.  [default: info]",
        ),
        version_option(),
    ]
