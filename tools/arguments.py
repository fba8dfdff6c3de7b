"""Options that many commands share; as light as click, so that no command's help takes longer for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

WORKERS = click.option("-j", "--workers", type=int, help="Number of threads.  [default: one per core]")
FOLLOW_LINKS = click.option(
    "--follow-links", is_flag=True, help="Follow links that point outside --src; refused by default."
)
ALLOW_EMPTY = click.option("--allow-empty", is_flag=True, help="Accept splits without images; an error by default.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


def choice(name: str, choices: Sequence[str], about: str) -> Callable[[Any], Any]:
    """Return the decorator that gives a command an option with these choices, of which the first is the default."""
    return click.option(name, type=click.Choice(choices), default=choices[0], show_default=True, help=about)
