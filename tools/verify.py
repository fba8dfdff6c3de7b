"""mhp verify: check a packed folder, or a download before packing."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from mhpdata.options import LAYOUT_NAMES
from mhptools.arguments import ALLOW_EMPTY, AS_JSON, FOLLOW_LINKS, WORKERS
from mhptools.flags import packed_folder
from mhptools.messages import progress
from mhptools.paths import FILE, FOLDER, PACKED
from mhptools.running import DATA, OUTSIDE, Command

SHOWN = 50

EXAMPLE = """\b
Examples:
  mhp verify rec/                           checks every file, hash, record and count
  mhp verify rec/ --deep                    also decodes every image and merges every mask again
  mhp verify --src LV-MHP-v1                checks a download, before packing
  mhp verify --src LV-MHP-v1 --agreement    compares the annotations of images that were annotated twice

Prints a table of counts and the problems, each with a remedy. Exit status: 0 if nothing is wrong, 1 if the data
are wrong, 2 for invalid usage, 3 if something could not be checked for a reason outside the data (permission, disk,
memory, a library).
"""


GROUPS = (
    ("Packed folder", ("data", "deep")),
    ("Download", ("src", "layout", "labels", "follow_links", "agreement")),
)


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS)
@click.argument("folder", required=False, metavar="[REC]", type=PACKED)
@click.option("--data", type=PACKED, help="Packed folder, or its address; the same as REC.")
@click.option("--src", type=FOLDER, help="Extracted download to check instead of a packed folder.")
@click.option(
    "--deep",
    is_flag=True,
    help="Also decode all images, merge the persons' masks again, and compare the result with the packed labels.",
)
@click.option(
    "--agreement", is_flag=True, help="Score annotations of the same image against each other, instead of checking."
)
@click.option("--layout", type=click.Choice(LAYOUT_NAMES), help="Layout of --src.  [default: auto]")
@click.option("--labels", type=FILE, help="Label file of your own dataset, for --layout folder.")
@FOLLOW_LINKS
@ALLOW_EMPTY
@WORKERS
@click.option(
    "--all", "show_all", is_flag=True, help=f"List every problem and remark, not just the first {SHOWN} of each."
)
@AS_JSON
def main(
    folder: str | None,
    data: str | None,
    src: str | None,
    deep: bool,
    agreement: bool,
    layout: str | None,
    labels: str | None,
    follow_links: bool,
    allow_empty: bool,
    workers: int | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Check a packed folder, or a download before packing.

    Checks the packed folder REC, or with --src a download; give one of the two. Lists the first 50 problems and the
    first 50 remarks (observations that are not errors, such as identical images); --all lists every one.
    """
    folder = packed_folder(folder, data)
    if (folder is None) == (src is None):
        example = "mhp verify rec/, or mhp verify --src LV-MHP-v1"
        raise click.UsageError(f"Give either a packed folder or --src with a download: {example}.")
    for flag, given in (
        ("--layout", layout),
        ("--labels", labels),
        ("--agreement", agreement),
        ("--follow-links", follow_links),
    ):
        if src is None and given:
            raise click.UsageError(f"{flag} requires --src with a download.")
    if src is not None and deep:
        raise click.UsageError("--deep applies to a packed folder only: a download is always decoded.")
    import mhpdata

    if src is not None and agreement:
        from mhpmodels.scoring.agreement import measure_agreement

        found = measure_agreement(
            src,
            layout=layout or LAYOUT_NAMES[0],
            labels=labels,
            follow_links=follow_links,
            workers=workers,
            progress=progress(),
        )
        _print(found, show_all, as_json)
        return
    if src is None:
        report = mhpdata.verify_packed(
            str(folder), deep=deep, allow_empty=allow_empty, workers=workers, progress=progress()
        )
    else:
        report = mhpdata.verify_source(
            src,
            layout=layout or LAYOUT_NAMES[0],
            labels=labels,
            follow_links=follow_links,
            allow_empty=allow_empty,
            workers=workers,
            progress=progress(),
        )
    _print(report, show_all, as_json)
    if not report.clean:
        sys.exit(DATA if report.damaged else OUTSIDE)


def _print(found: Any, show_all: bool, as_json: bool) -> None:
    """Print a report as text, or all of it as JSON."""
    print(json.dumps(found.as_dict(), indent=1) if as_json else found.text(None if show_all else SHOWN))


if __name__ == "__main__":
    sys.exit(main())
