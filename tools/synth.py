"""mhp-synth: write a synthetic dataset in the form of a release, to try everything without the download."""

from __future__ import annotations

import sys

import click

from mhpdata.wording import printable
from mhptools.paths import PATH
from mhptools.running import Command

LAYOUTS = ("mhp-v1", "mhp-v2", "cihp")


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--out", required=True, type=PATH, metavar="FOLDER", help="Folder to make; must be new or empty.")
@click.option("--layout", type=click.Choice(LAYOUTS), default=LAYOUTS[0], help="The form: that of which release.")
@click.option("--images", default=240, help="How many; split in the proportion of the release.")
@click.option("--seed", default=0, help="The same seed gives the same bytes, on any number of workers.")
@click.option("--workers", type=int, default=None, show_default="all cores", help="Processes.")
@click.option("--defects", is_flag=True, help="Add one entry for each kind of broken file (mhp-v1).")
@click.option("--scale", default=1.0, help="Factor on height and width; 0.25 makes small files quickly.")
def main(out: str, layout: str, images: int, seed: int, workers: int | None, defects: bool, scale: float) -> None:
    """Write drawn photos and masks of several persons in the form of LV-MHP v1, LV-MHP v2 or CIHP.

    \b
    Example:
      mhp-synth --out demo/MHP_v1 --images 240 --seed 0
      mhp-synth --out demo/CIHP --layout cihp --images 240 --seed 1
    """
    from mhpdata.synth.writing.folder import synthesize
    from mhpdata.terms import SYNTHETIC, licence_line

    done = synthesize(out, images, seed, workers, defects, progress=True, scale=scale, layout=layout)
    print(printable(f"{done.folder}"))
    for name, count in done.images.items():
        print(f"  {name + '.txt' * name.endswith('list'):<15} {count:5d} images  {done.persons[name]:6d} persons")
    if defects:
        print("  DEFECTS.txt     names the broken entries added to train_list.txt")
    print(f"{images / done.seconds:.1f} images/s in {done.seconds:.1f} s")
    print(licence_line(SYNTHETIC))


if __name__ == "__main__":
    sys.exit(main())
