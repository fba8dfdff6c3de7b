"""mhp browse: write a page that shows the samples of a packed folder, and opens from disk."""

from __future__ import annotations

import sys

import click

from mhpdata.options import OVERLAPS
from mhpdata.wording import printable
from mhpmodels.browsing.site_options import FULL, SiteOptions, parse_full
from mhptools.flags import packed_folder
from mhptools.messages import progress
from mhptools.paths import FOLDER, PACKED, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp browse rec/ --out site/
  mhp browse rec/ --out site/ --full all --split val --pred pred/a --pred pred/b
  mhp browse rec/ --out site/ --overlap nearest
  mhp browse rec/ --out site/ --against other/

Open site/index.html in a browser: no server, no network. The same command resumes an interrupted one. The site falls
under the dataset's licence; a site of LV-MHP is for non-commercial research only.
"""

GROUPS = (("Comparisons", ("predictions", "overlap", "against")),)


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS, resumes=True)
@click.argument("folder", required=False, metavar="[REC]", type=PACKED)
@click.option("--data", type=PACKED, help="Packed folder, or its address; the same as REC.")
@click.option("-o", "--out", type=PATH, required=True, help="Folder for the site: new, empty, or an earlier site.")
@click.option("--split", "splits", multiple=True, help="Split to show; may be repeated.  [default: all]")
@click.option(
    "--full",
    default=str(FULL),
    show_default=True,
    help="Number of samples with layers at full size, or all: evenly spread, or with --pred the worst predicted.",
)
@click.option(
    "--pred",
    "predictions",
    multiple=True,
    type=FOLDER,
    help="Folder of label maps from mhp predict, with scores per image; may be given twice. Their labels are the "
    "data's classes; for others, pass --to to mhp predict.",
)
@click.option("--overlap", type=click.Choice(OVERLAPS), help="Second overlap rule, shown beside that of the pack.")
@click.option("--against", type=PACKED, help="Second packed folder of the same images, shown beside the first.")
@click.option("-j", "--workers", type=int, help="Number of threads.  [default: one per core]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier site of other data or options in --out.")
def main(
    folder: str | None,
    data: str | None,
    out: str,
    splits: tuple[str, ...],
    full: str,
    predictions: tuple[str, ...],
    overlap: str | None,
    against: str | None,
    workers: int | None,
    overwrite: bool,
) -> None:
    """Write a page that shows the samples of a packed folder, and opens from disk.

    Filter and sort thumbnails of all samples; open some at full size, with layers of labels, persons, overlaps,
    predictions and errors; save a selection as a list of names.
    """
    folder = packed_folder(folder, data)
    if folder is None:
        raise click.UsageError("Give a packed folder: mhp browse rec/ --out site/.")
    options = SiteOptions(splits, parse_full(full), predictions, overlap, against)
    from mhpmodels.browsing.site import save_site, summary

    site = save_site(folder, out, options, overwrite=overwrite, workers=workers, progress=progress())
    print(printable(summary(site)))


if __name__ == "__main__":
    sys.exit(main())
