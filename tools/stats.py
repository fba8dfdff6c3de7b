"""mhp stats: count the classes, persons, sizes, overlaps and duplicates of a packed folder."""

from __future__ import annotations

import json
import sys

import click

from mhptools.flags import packed_folder
from mhptools.messages import note, progress
from mhptools.paths import PACKED, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp stats rec/
  mhp stats rec/ --split train --json
  mhp stats rec/ --out stats.png

Reads every record once, without decoding images. Classes are counted in the labels as packed, persons in their own
masks as annotated. The charts need Matplotlib.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("folder", required=False, metavar="[REC]", type=PACKED)
@click.option("--data", type=PACKED, help="Packed folder, or its address; the same as REC.")
@click.option("--split", "splits", multiple=True, help="Split to count; may be repeated.  [default: all]")
@click.option("-o", "--out", type=PATH, help="PNG file to write, with the same counts as charts.")
@click.option("-j", "--workers", type=int, help="Number of threads.  [default: one per core]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--overwrite", is_flag=True, help="Replace an existing --out.")
def main(
    folder: str | None,
    data: str | None,
    splits: tuple[str, ...],
    out: str | None,
    workers: int | None,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Count the classes, persons, sizes, overlaps and duplicates of a packed folder.

    Prints a table with one column per split, or with --json all counts.
    """
    folder = packed_folder(folder, data)
    if folder is None:
        raise click.UsageError("Give a packed folder: mhp stats rec/.")
    from mhpmodels.browsing.stats import measure

    if out is not None:
        from mhpmodels.browsing.stats_chart import check_stats_out

        check_stats_out(out, overwrite)
    found = measure(folder, splits, workers=workers, progress=progress())
    if out is not None:
        from mhpmodels.browsing.stats_chart import save_stats

        note(f"Written: {save_stats(found, out, overwrite)}")
    print(json.dumps(found.as_dict(), indent=1) if as_json else found.text())


if __name__ == "__main__":
    sys.exit(main())
