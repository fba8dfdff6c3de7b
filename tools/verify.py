"""mhp-verify: is a packed folder, or a download, what it should be?"""

from __future__ import annotations

import sys

import click

from mhpdata.source.scan import AUTO, LAYOUTS
from mhptools.paths import FOLDER
from mhptools.running import DATA, OUTSIDE, Command

SHOWN = 50

EXAMPLE = """\b
Examples:
  mhp-verify rec/                    every file, hash, record and count
  mhp-verify rec/ --deep             also every image and mask, merged again
  mhp-verify --src LV-MHP-v1         a download, before packing
  mhp-verify --src LV-MHP-v1 --agreement    photos annotated twice: how well the annotations agree

Prints a table of counts and all problems, each with what to do. Exit status: 0 nothing is wrong, 1 data are wrong, 2
wrong usage, 3 something could not be checked for a reason outside the data (permission, disk, memory, a library).
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("folder", required=False, metavar="[REC]", type=FOLDER)
@click.option("--src", type=FOLDER, help="Check this download instead of a packed folder.")
@click.option("--deep", is_flag=True, help="Packed folder: decode everything, merge the masks again and compare.")
@click.option("--agreement", is_flag=True, help="Download: score annotations of the same photo against each other.")
@click.option("--layout", type=click.Choice([AUTO, *LAYOUTS]), help="Download: what --src is.  [default: auto]")
@click.option("--follow-links", is_flag=True, help="Download: read what links out of --src lead to.")
@click.option("--allow-empty", is_flag=True, help="A split without images is nothing wrong.")
@click.option("--workers", type=int, help="Threads.  [default: one for each core]")
@click.option("--all", "show_all", is_flag=True, help=f"Show all problems and remarks, not the first {SHOWN} of each.")
def main(
    folder: str | None,
    src: str | None,
    deep: bool,
    agreement: bool,
    layout: str | None,
    follow_links: bool,
    allow_empty: bool,
    workers: int | None,
    show_all: bool,
) -> None:
    """Check a packed folder, or a download before packing it, and list all that is wrong."""
    if (folder is None) == (src is None):
        example = "mhp-verify rec/, or mhp-verify --src LV-MHP-v1"
        raise click.UsageError(f"Give either a packed folder or --src with a download: {example}.")
    if src is None and layout is not None:
        raise click.UsageError("--layout goes with --src: a packed folder knows its layout. Leave --layout out.")
    if src is not None and deep:
        raise click.UsageError("--deep goes with a packed folder: a download is always decoded. Leave --deep out.")
    if src is None and agreement:
        raise click.UsageError("--agreement goes with --src: it compares masks of a download, as in --src LV-MHP-v1.")
    if src is None and follow_links:
        raise click.UsageError(
            "--follow-links goes with --src: it is about links in a download, as in --src LV-MHP-v1."
        )
    import mhpdata

    if src is not None and agreement:
        from mhpmodels.scoring.agreement import measure_agreement

        found = measure_agreement(src, layout=layout or AUTO, follow_links=follow_links, workers=workers, progress=True)
        print(found.text(None if show_all else SHOWN))
        return
    if src is None:
        report = mhpdata.verify_packed(str(folder), deep=deep, allow_empty=allow_empty, workers=workers, progress=True)
    else:
        report = mhpdata.verify_source(
            src,
            layout=layout or AUTO,
            follow_links=follow_links,
            allow_empty=allow_empty,
            workers=workers,
            progress=True,
        )
    print(report.text(None if show_all else SHOWN))
    if not report.clean:
        sys.exit(DATA if report.damaged else OUTSIDE)


if __name__ == "__main__":
    sys.exit(main())
