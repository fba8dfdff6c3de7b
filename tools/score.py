"""mhp-score: score anybody's predictions against a packed split."""

from __future__ import annotations

import sys

import click

from mhpmodels.scoring.table import SIZES, UNKNOWN
from mhptools.network import options_of_the_images
from mhptools.paths import FOLDER, PATH
from mhptools.running import Command

EXAMPLE = """\b
Example:
  mhp-score --data rec/ --split val --pred pred/

\b
What PRED may hold:
  0001.png, ...                               labels: pixAcc, mIoU, the IoU of each class
  results.txt, global_seg/, global_tag/       the form of the MHP challenge: these, and AP^p and PCP of persons
  results.txt, masks/0001_1.png, ...          a label map a person: AP^p and PCP
results.txt has a line an image: its id, then the number and the score of each person, as 0001 1 0.98 2 0.75
PNGs hold a label at each pixel (8-bit gray, palette; docs/datasets.md), at the photo's own size (--at packed: the
packed size).
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.option("--data", required=True, type=FOLDER, help="The packed folder.")
@click.option("--pred", required=True, type=FOLDER, help="The folder of predictions.")
@click.option("--split", default="val", show_default=True, help="Which split.")
@click.option("--at", type=click.Choice(SIZES), default=SIZES[0], show_default=True, help="At which size to compare.")
@click.option(
    "--unknown-labels",
    type=click.Choice(UNKNOWN),
    default=UNKNOWN[0],
    show_default=True,
    help="Predicted labels that do not exist: refuse them, or count as the official code does, as something else.",
)
@options_of_the_images
@click.option("--workers", type=int, help="Threads.  [default: one for each core]")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option("--csv", "csv_path", type=PATH, help="Write a row an image to this file.")
@click.option("--worst", type=PATH, help="Write a picture of the worst images to this .png; needs Matplotlib.")
@click.option("--count", default=6, show_default=True, type=click.IntRange(1, 64), help="Images in that picture.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier mhp-score wrote.")
def main(
    data: str,
    pred: str,
    split: str,
    at: str,
    unknown_labels: str,
    val_protocol: str,
    leak_free: bool,
    unseen: bool,
    workers: int | None,
    as_json: bool,
    csv_path: str | None,
    worst: str | None,
    count: int,
    overwrite: bool,
) -> None:
    """Score predictions, whoever made them: no network and no framework is needed."""
    import json
    from pathlib import Path

    from mhpmodels.figures.page import Page
    from mhpmodels.files.output import check_out, write_file
    from mhpmodels.scoring.score import score
    from mhpmodels.scoring.table import table

    if csv_path is not None:
        check_out(Path(csv_path), overwrite, option="csv")
    if worst is not None:
        check_out(Path(worst), overwrite, ".png", "worst")
        Page()  # or Matplotlib is missing
    found = score(
        data,
        pred,
        split,
        at=at,
        unknown=unknown_labels,
        protocol=val_protocol,
        leak_free=leak_free,
        unseen=unseen,
        threads=workers,
        progress=True,
    )
    print(json.dumps(found.as_dict(), indent=1) if as_json else table(found))
    if csv_path is not None:
        write_file(Path(csv_path), found.to_csv().encode(), overwrite)
    if worst is not None:
        from mhpmodels.showing.worst import picture_of_the_worst

        write_file(Path(worst), picture_of_the_worst(data, pred, found, count), overwrite)


if __name__ == "__main__":
    sys.exit(main())
