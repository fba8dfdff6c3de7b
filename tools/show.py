"""mhp-show: a picture of what is in a packed folder."""

from __future__ import annotations

import sys

import click

from mhptools.running import reporting_errors

EXAMPLE = """\b
Example:
  mhp-show rec/ --out sheet.png

One row a sample: photo, labels, persons, and the pixels that several persons claim. A picture made from a dataset
falls under the dataset's licence: one made from MHP is for non-commercial research only.
"""


@click.command(epilog=EXAMPLE)
@click.argument("folder")
@click.option("--out", required=True, help="The picture to write, .png; new, or see --overwrite.")
@click.option("--split", help="Which split.  [default: the first of val, train, test that has samples]")
@click.option("--count", type=int, help="How many samples, spread evenly over the split.  [default: 6]")
@click.option("--index", "indices", type=int, multiple=True, help="Show this sample; may be repeated.")
@click.option("--name", "names", multiple=True, help="Show the sample with this name, as 0123; may be repeated.")
@click.option("--seed", type=int, help="Draw the --count samples with this seed, instead of spreading them evenly.")
@click.option("--overwrite", is_flag=True, help="Replace --out.")
@reporting_errors
def main(
    folder: str,
    out: str,
    split: str | None,
    count: int | None,
    indices: tuple[int, ...],
    names: tuple[str, ...],
    seed: int | None,
    overwrite: bool,
) -> None:
    """Show samples of a packed FOLDER in one picture."""
    from mhpmodels.show import save_sheet

    sheet = save_sheet(
        folder, out, split=split, count=count, indices=indices, names=names, seed=seed, overwrite=overwrite
    )
    height, width = sheet.size
    chosen = ", ".join(map(str, sheet.indices))
    print(f"{sheet.path}: samples {chosen} of {sheet.split}, {width} x {height} pixels")


if __name__ == "__main__":
    sys.exit(main())
