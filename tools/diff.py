"""mhp diff: compare two packed folders."""

from __future__ import annotations

import json
import sys

import click

from mhptools.arguments import AS_JSON, WORKERS
from mhptools.messages import progress
from mhptools.paths import PACKED
from mhptools.running import DATA, Command

SHOWN = 30

EXAMPLE = """\b
Examples:
  mhp diff rec/ rec2/           lists samples that were added, removed or changed, and what has changed
  mhp diff rec/ rec2/ --json    the same for programs

Samples are compared by split and name. Formats and sizes of shards do not matter. Exit status: 0 if the folders hold
the same samples, 1 if they differ.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("a", type=PACKED)
@click.argument("b", type=PACKED)
@WORKERS
@click.option("--all", "show_all", is_flag=True, help=f"List every sample, not just the first {SHOWN} of each kind.")
@AS_JSON
def main(a: str, b: str, workers: int | None, show_all: bool, as_json: bool) -> None:
    """Compare two packed folders, sample by sample.

    Lists the samples of each split that only one folder has, and those that differ: in the image, the labels, the masks
    of persons, or sizes.
    """
    from mhpdata.editing.diff import diff

    found = diff((a, b), workers=workers, progress=progress())
    print(json.dumps(found.as_dict(), indent=1) if as_json else found.text(None if show_all else SHOWN))
    if not found.equal:
        sys.exit(DATA)


if __name__ == "__main__":
    sys.exit(main())
