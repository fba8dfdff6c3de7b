"""mhp-show: a picture of what is in a packed folder, or of how a training run goes."""

from __future__ import annotations

import sys

import click

from mhpdata.wording import printable
from mhptools.paths import FILE, FOLDER, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp-show rec/ --out sheet.png
  mhp-show --run runs/mhp/icnet/resnet50 --out curves.png
  mhp-show rec/ --page page/ --run runs/mhp/icnet/resnet50 --pred pred/

Of a packed folder: one row a sample, with photo, labels, persons, and the pixels that several persons claim. Such a
picture falls under the dataset's licence: one made from MHP is for non-commercial research only.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("folder", required=False, metavar="[REC]", type=FOLDER)
@click.option(
    "--run", "run_folder", type=FOLDER, help="Show the loss, mIoU and learning rate of this run of mhp-train instead."
)
@click.option("--out", type=PATH, help="The picture to write, .png; new, or see --overwrite.")
@click.option("--page", type=PATH, help="Write a page instead: DIR/index.html, with samples, curves and predictions.")
@click.option("--pred", type=FOLDER, help="Label maps of mhp-predict for --page.")
@click.option("--commands", type=FILE, help="Text file with the commands that were run, for --page.")
@click.option("--split", help="Which split.  [default: the first of val, train, test that has samples]")
@click.option("--count", type=int, help="How many samples, spread evenly over the split.  [default: 6]")
@click.option("--index", "indices", type=int, multiple=True, help="Show this sample; may be repeated.")
@click.option("--name", "names", multiple=True, help="Show the sample with this name, as 0123; may be repeated.")
@click.option("--seed", type=int, help="Draw the --count samples with this seed, instead of spreading them evenly.")
@click.option("--overwrite", is_flag=True, help="Replace --out.")
def main(
    folder: str | None,
    run_folder: str | None,
    out: str | None,
    page: str | None,
    pred: str | None,
    commands: str | None,
    split: str | None,
    count: int | None,
    indices: tuple[int, ...],
    names: tuple[str, ...],
    seed: int | None,
    overwrite: bool,
) -> None:
    """Show samples of the packed folder REC in one picture, or a run of mhp-train."""
    if (page is None) == (out is None):
        raise click.UsageError("Give either --out with a picture or --page with a folder, such as --out sheet.png.")
    if out is None or page is not None:
        if folder is None or split or count or indices or names or seed is not None:
            raise click.UsageError(
                "--page shows a packed folder by samples of its own choice: mhp-show rec/ --page page/."
            )
        from mhpmodels.showing.web_page import Shown, save_page

        print(printable(save_page(str(page), Shown(folder, run_folder, pred, commands), overwrite)))
        return
    if pred is not None or commands is not None:
        raise click.UsageError("--pred and --commands go with --page: mhp-show rec/ --page page/ --pred pred/.")
    if (folder is None) == (run_folder is None):
        example = "mhp-show rec/ --out sheet.png, or mhp-show --run runs/mhp/icnet/resnet50 --out curves.png"
        raise click.UsageError(f"Give either a packed folder or --run with the folder of a run: {example}.")
    if run_folder is not None:
        from mhpmodels.showing.curves import save_curves

        epochs, steps = save_curves(run_folder, out, overwrite)
        print(printable(f"{out}: {epochs} epochs, {steps} steps"))
        return
    from mhpmodels.showing.selection import Selection
    from mhpmodels.showing.sheet import save_sheet

    sheet = save_sheet(
        str(folder), out, split=split, selection=Selection(count, indices, names, seed), overwrite=overwrite
    )
    height, width = sheet.size
    chosen = ", ".join(map(str, sheet.indices))
    print(printable(f"{sheet.path}: samples {chosen} of {sheet.split}, {width} x {height} pixels"))


if __name__ == "__main__":
    sys.exit(main())
