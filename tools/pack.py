"""mhp pack: convert a downloaded dataset into packed shards."""

from __future__ import annotations

import json
import sys

import click

from mhpdata.options import DAMAGE, FORMATS, IMAGES, LAYOUT_NAMES, ON_ERROR, OVERLAPS, SIZES_OF
from mhptools.messages import progress
from mhptools.paths import FOLDER, PATH
from mhptools.running import DATA, Command

EXAMPLE = """\b
Examples:
  mhp pack --src LV-MHP-v1 --out rec/
  mhp pack --src LV-MHP-v1 --out rec/ --dry-run      lists what would be packed; writes nothing

Run the same command again to resume an interrupted pack; the result is byte-identical, for any number of workers. One
image of LV-MHP v1 does not decode (3492.jpg): pass --on-error skip to leave such entries out and record each of them in
rec/manifest.json. mhp verify --src LV-MHP-v1 lists them beforehand.
"""

GROUPS = (
    ("Input and output", ("src", "out", "layout", "splits", "follow_links", "overwrite")),
    ("Images and masks", ("size", "size_of", "overlap", "image", "quality")),
    ("Shards", ("format", "shard_mb")),
    ("Run", ("workers", "dry_run", "as_json")),
    ("Errors", ("on_error", "damaged", "allow_empty")),
)


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS)
@click.option("--src", required=True, type=FOLDER, help="Extracted dataset, such as LV-MHP-v1. It is only read.")
@click.option("-o", "--out", required=True, type=PATH, help="Packed folder: new, empty, or an unfinished pack.")
@click.option(
    "--layout", type=click.Choice(LAYOUT_NAMES), default=LAYOUT_NAMES[0], show_default=True, help="Layout of --src."
)
@click.option("--format", type=click.Choice(FORMATS), default="recordio", show_default=True, help="Format of shards.")
@click.option("--split", "splits", multiple=True, help="Split to pack; may be repeated.  [default: all]")
@click.option(
    "--size",
    default=768,
    show_default=True,
    help="Length in pixels of the side named by --size-of; 0 keeps the source size.",
)
@click.option(
    "--size-of", type=click.Choice(SIZES_OF), default="short", show_default=True, help="Side that --size sets."
)
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default="first",
    show_default=True,
    help="Rule that gives a pixel labelled by several persons to one of them. Each person's own mask is kept as well.",
)
@click.option("--image", type=click.Choice(IMAGES), default="jpeg", show_default=True, help="Encoding of images.")
@click.option("--quality", default=95, show_default=True, help="JPEG quality of re-encoded images, 1 to 100.")
@click.option("--shard-mb", default=256, show_default=True, help="Maximum size of the records in a shard, in MB.")
@click.option("-j", "--workers", type=int, help="Number of threads.  [default: one per core]")
@click.option(
    "--on-error",
    type=click.Choice(ON_ERROR),
    default="fail",
    show_default=True,
    help="Stop at the first entry that is broken or unreadable, or skip and record such entries.",
)
@click.option(
    "--damaged",
    type=click.Choice(DAMAGE),
    default="fail",
    show_default=True,
    help="Treat a JPEG with damaged pixels as an error, or keep what decodes, re-encoded and recorded.",
)
@click.option("--follow-links", is_flag=True, help="Follow links that lead out of --src; they are refused by default.")
@click.option("--allow-empty", is_flag=True, help="Pack splits without images; they are an error by default.")
@click.option("--overwrite", is_flag=True, help="Replace another packed dataset in --out.")
@click.option(
    "--dry-run", is_flag=True, help="List what would be packed and skipped, estimate its size; write nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def main(src: str, out: str, splits: tuple[str, ...], dry_run: bool, as_json: bool, **options: object) -> None:
    """Convert a downloaded dataset into packed shards.

    Merges the masks of all persons into a label map and a map of the person that each pixel belongs to, converts gray
    images to RGB, resizes, and writes RecordIO or HDF5 shards and a manifest.
    """
    import mhpdata
    from mhpdata.packing.preview import preview
    from mhpdata.packing.summary import as_dict, report

    given = {**options, "splits": splits or None, "progress": progress()}
    if dry_run:
        found = preview(src, **{name: value for name, value in given.items() if name != "overwrite"})  # type: ignore[arg-type]
        print(json.dumps(found.as_dict(), indent=1) if as_json else found.text())
        if found.stops:
            sys.exit(DATA)
        return
    manifest = mhpdata.pack(src, out, **given)  # type: ignore[arg-type]
    print(json.dumps(as_dict(manifest, out), indent=1) if as_json else report(manifest, out, src))


if __name__ == "__main__":
    sys.exit(main())
