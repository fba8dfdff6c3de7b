"""mhp export: write a packed folder in the form that other programs read."""

from __future__ import annotations

import json
import sys

import click

from mhpdata.options import EXPORT_AT, EXPORT_FORMS
from mhptools.flags import packed_folder
from mhptools.messages import progress
from mhptools.paths import PACKED, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp export rec/ --to coco --out coco/                      persons and parts as COCO JSON: detectron2, mmdetection
  mhp export rec/ --to mmseg --out mmseg/ --split train --split val
  mhp export rec/ --to coco --out coco/ --at source --no-images      annotations at source size, without images

Run the same command again to resume an interrupted export; the result is byte-identical to that of an uninterrupted
run, for any number of workers. docs/export.md describes each form, who reads it, and what is lost. An export falls
under the licence of the dataset, which its README.txt states.
"""


@click.command(cls=Command, epilog=EXAMPLE, resumes=True)
@click.argument("folder", required=False, metavar="[REC]", type=PACKED)
@click.option("--data", type=PACKED, help="Packed folder, or its address; the same as REC.")
@click.option("--to", required=True, type=click.Choice(EXPORT_FORMS), help="Form of the export.")
@click.option("-o", "--out", required=True, type=PATH, help="Folder to write: new, empty, or an unfinished export.")
@click.option("--split", "splits", multiple=True, help="Split to export; may be repeated.  [default: all]")
@click.option(
    "--at",
    type=click.Choice(EXPORT_AT),
    default=EXPORT_AT[0],
    show_default=True,
    help="Size of images and labels: as packed, or as annotated. Images are never resized: with images, source needs "
    "a folder packed with --size 0.",
)
@click.option("--no-images", is_flag=True, help="Export annotations only.")
@click.option("-j", "--workers", type=int, help="Number of threads.  [default: one per core]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def main(
    folder: str | None,
    data: str | None,
    to: str,
    out: str,
    splits: tuple[str, ...],
    at: str,
    no_images: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Export a packed folder in the form that other programs read: COCO, CIHP, MMSegmentation and others.

    Images that are stored as JPEGs are written as stored. Give the packed folder REC, or --data.
    """
    folder = packed_folder(folder, data)
    if folder is None:
        raise click.UsageError("Give the packed folder: mhp export rec/ --to coco --out coco/.")
    import mhpdata

    done = mhpdata.export(
        folder,
        out,
        to,  # type: ignore[arg-type]  # a choice of the option
        splits=splits or None,
        at=at,  # type: ignore[arg-type]
        images=not no_images,
        workers=workers,
        progress=progress(),
    )
    print(json.dumps(done.as_dict(), indent=1) if as_json else done.text())


if __name__ == "__main__":
    sys.exit(main())
