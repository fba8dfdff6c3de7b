"""mhp show: draw samples of a packed folder, or the curves of a training run."""

from __future__ import annotations

import sys

import click

from mhpdata.wording import counted, printable
from mhptools.flags import packed_folder
from mhptools.paths import FILE, FOLDER, PACKED, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp show rec/ --out sheet.png
  mhp show --run runs/mhp/icnet/resnet50 --out curves.png
  mhp show rec/ --page page/ --run runs/mhp/icnet/resnet50 --pred pred/

A packed folder becomes one row per sample: image, labels, persons, and the pixels labelled by several persons. With
--page, --split, --count, --index, --name and --seed are not accepted. The sheet falls under the dataset's licence; a
sheet of LV-MHP is for non-commercial research only.
"""


GROUPS = (("Samples", ("data", "split", "count", "indices", "names", "seed")),)


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS)
@click.argument("folder", required=False, metavar="[REC]", type=PACKED)
@click.option("--data", type=PACKED, help="Packed folder, or its address; the same as REC.")
@click.option(
    "--run",
    "run_folder",
    type=FOLDER,
    help="Run folder of mhp train: draw its loss, mIoU and learning rate (with --page, besides the samples).",
)
@click.option("-o", "--out", type=PATH, help="PNG file to write. Give either --out or --page.")
@click.option("--page", type=PATH, help="Folder for an HTML report, index.html, with samples, curves and predictions.")
@click.option(
    "--pred",
    type=FOLDER,
    help="Folder of label maps from mhp predict, for --page; their labels are the data's classes.",
)
@click.option("--commands", type=FILE, help="Text file with commands to show on the page, for --page.")
@click.option("--split", help="Split to show.  [default: the first of val, train, test that has samples]")
@click.option("--count", type=int, help="Number of samples, 1 to 64, evenly spread over the split.  [default: 6]")
@click.option(
    "--index", "indices", type=int, multiple=True, help="Position of a sample in the split, from 0; may be repeated."
)
@click.option("--name", "names", multiple=True, help="Name of a sample, such as 0123; may be repeated.")
@click.option("--seed", type=int, help="Seed for choosing --count samples at random instead of evenly.")
@click.option("--overwrite", is_flag=True, help="Replace an existing --out or --page.")
def main(
    folder: str | None,
    data: str | None,
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
    """Draw samples of a packed folder, or the curves of a training run.

    Give the packed folder REC, or a run folder with --run; --page accepts both. Needs Matplotlib.
    """
    folder = packed_folder(folder, data)
    if (page is None) == (out is None):
        raise click.UsageError("Give either --out with a PNG file or --page with a folder, such as --out sheet.png.")
    if out is None or page is not None:
        if folder is None or split or count or indices or names or seed is not None:
            raise click.UsageError("--page chooses the samples itself: mhp show rec/ --page page/.")
        from mhpmodels.showing.web_page import Shown, save_page

        print(printable(save_page(str(page), Shown(folder, run_folder, pred, commands), overwrite)))
        return
    if pred is not None or commands is not None:
        raise click.UsageError("--pred and --commands need --page: mhp show rec/ --page page/ --pred pred/.")
    if (folder is None) == (run_folder is None):
        example = "mhp show rec/ --out sheet.png, or mhp show --run runs/mhp/icnet/resnet50 --out curves.png"
        raise click.UsageError(f"Give either a packed folder or --run with a run folder: {example}.")
    if run_folder is not None:
        from mhpmodels.showing.curves import save_curves

        epochs, steps = save_curves(run_folder, out, overwrite)
        print(printable(f"{out}: {counted(epochs, 'epoch')}, {counted(steps, 'step')}"))
        return
    from mhpmodels.showing.selection import Selection
    from mhpmodels.showing.sheet import save_sheet

    sheet = save_sheet(
        str(folder), out, split=split, selection=Selection(count, indices, names, seed), overwrite=overwrite
    )
    height, width = sheet.size
    chosen = f"sample{'s' * (len(sheet.indices) > 1)} {', '.join(map(str, sheet.indices))}"
    print(printable(f"{sheet.path}: {chosen} of {sheet.split}, {height} x {width} pixels (height x width)"))


if __name__ == "__main__":
    sys.exit(main())
