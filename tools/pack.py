"""mhp-pack: a downloaded dataset to packed shards."""

from __future__ import annotations

import sys

import click

from mhpdata.options import DAMAGE, FORMATS, IMAGES, ON_ERROR, OVERLAPS, SIZES_OF
from mhpdata.source.scan import AUTO, LAYOUTS
from mhptools.paths import FOLDER, PATH
from mhptools.running import Command

EXAMPLE = """\b
Example:
  mhp-pack --src LV-MHP-v1 --out rec/

An interrupted pack goes on where it stopped when the same command is run again. Whatever the number of workers, the
bytes are the same. The release has one photo that does not decode (3492.jpg): pass --on-error skip to leave such
entries out and have each recorded in rec/manifest.json. mhp-verify --src LV-MHP-v1 lists them beforehand.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.option("--src", required=True, type=FOLDER, help="The dataset as unpacked, such as LV-MHP-v1. It is only read.")
@click.option("--out", required=True, type=PATH, help="The packed folder: new, empty, or an unfinished pack.")
@click.option("--layout", type=click.Choice([AUTO, *LAYOUTS]), default=AUTO, show_default=True, help="What --src is.")
@click.option("--format", type=click.Choice(FORMATS), default="recordio", show_default=True, help="Kind of shard.")
@click.option("--split", "splits", multiple=True, help="Pack only this split; may be repeated.  [default: all]")
@click.option(
    "--size", default=768, show_default=True, help="Pixels of the side that --size-of names; 0 keeps the size."
)
@click.option("--size-of", type=click.Choice(SIZES_OF), default="short", show_default=True, help="Which side.")
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default="first",
    show_default=True,
    help="Who owns a pixel that several persons label. Every person's own mask is kept, too.",
)
@click.option("--image", type=click.Choice(IMAGES), default="jpeg", show_default=True, help="How images are stored.")
@click.option("--quality", default=95, show_default=True, help="JPEG quality of images that are encoded anew.")
@click.option("--shard-mb", default=256, show_default=True, help="MB of records per shard at most.")
@click.option("--workers", type=int, help="Threads.  [default: one for each core]")
@click.option(
    "--on-error",
    type=click.Choice(ON_ERROR),
    default="fail",
    show_default=True,
    help="Stop at the first broken entry, or leave broken and unreadable entries out and record them.",
)
@click.option(
    "--damaged",
    type=click.Choice(DAMAGE),
    default="fail",
    show_default=True,
    help="A JPEG with damaged pixels: an error, or kept as far as it decodes, encoded again and recorded.",
)
@click.option("--follow-links", is_flag=True, help="Read what links out of --src lead to; refused by default.")
@click.option("--allow-empty", is_flag=True, help="Pack a split that has no image; an error by default.")
@click.option("--overwrite", is_flag=True, help="Replace another packed dataset in --out.")
def main(src: str, out: str, splits: tuple[str, ...], **options: object) -> None:
    """Pack a multi-human parsing dataset into shards.

    Merges the masks of all persons into one label map and a map of who owns each pixel, makes gray photos RGB,
    resizes, and packs the result into RecordIO or HDF5 shards with a manifest.
    """
    import mhpdata
    from mhpdata.packing.summary import report

    manifest = mhpdata.pack(src, out, splits=splits or None, progress=True, **options)  # type: ignore[arg-type]
    print(report(manifest, out, src))


if __name__ == "__main__":
    sys.exit(main())
