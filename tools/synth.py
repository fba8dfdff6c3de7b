"""mhp synth: generate a synthetic dataset in the layout of a release; no download is needed."""

from __future__ import annotations

import json
import sys

import click

from mhpdata.wording import printable
from mhptools.arguments import AS_JSON
from mhptools.messages import progress
from mhptools.paths import PATH
from mhptools.running import Command

LAYOUTS = ("mhp-v1", "mhp-v2", "cihp", "lip", "ccihp", "folder", "folder-maps", "folder-coco")


EXAMPLE = """\b
Examples:
  mhp synth --out demo/MHP_v1 --images 240 --seed 0
  mhp synth --out demo/CIHP --layout cihp --images 240 --seed 1
  mhp synth --out demo/mine --layout folder-coco --images 50    with a label file, demo/mine/mine.json
"""


@click.command(cls=Command, epilog=EXAMPLE, context_settings={"show_default": True})
@click.option("-o", "--out", required=True, type=PATH, help="Folder to write; must be new or empty.")
@click.option(
    "--layout", type=click.Choice(LAYOUTS), default=LAYOUTS[0], help="Layout to write; folder: your own dataset."
)
@click.option("--images", default=240, help="Number of images, split in the proportions of the release.")
@click.option("--seed", default=0, help="Random seed; the same seed gives the same bytes for any number of workers.")
@click.option("-j", "--workers", type=int, default=None, help="Number of processes.  [default: one per core]")
@click.option(
    "--defects", is_flag=True, help="Also add one damaged image or list entry of each kind (--layout mhp-v1)."
)
@click.option(
    "--scale", default=1.0, help="Factor for the height and width of the images; 0.25 gives small files quickly."
)
@AS_JSON
def main(
    out: str,
    layout: str,
    images: int,
    seed: int,
    workers: int | None,
    defects: bool,
    scale: float,
    as_json: bool,
) -> None:
    """Generate a synthetic dataset in the layout of LV-MHP v1 or another dataset.

    Draws images of several persons, and their masks, from random numbers; no download is needed.
    """
    from mhpdata.synth.writing.folder import synthesize
    from mhpdata.terms import SYNTHETIC, licence_line

    done = synthesize(out, images, seed, workers, defects, progress=progress(), scale=scale, layout=layout)
    if as_json:
        splits = {name: {"images": count, "persons": done.persons[name]} for name, count in done.images.items()}
        print(json.dumps({"out": str(done.folder), "splits": splits, "seconds": done.seconds}, indent=1))
        return
    print(printable(f"{done.folder}"))
    for name, count in done.images.items():
        print(f"  {name + '.txt' * name.endswith('list'):<15} {count:5d} images  {done.persons[name]:6d} persons")
    if defects:
        print("  DEFECTS.txt     lists the damaged entries added to train_list.txt")
    print(f"{images / done.seconds:.1f} images/s in {done.seconds:.1f} s")
    print(licence_line(SYNTHETIC))


if __name__ == "__main__":
    sys.exit(main())
