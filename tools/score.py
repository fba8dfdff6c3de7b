"""mhp score: score predictions of any program against a packed split."""

from __future__ import annotations

import sys
from typing import Any

import click

from mhpmodels.scoring.table import SIZES, UNKNOWN
from mhptools.arguments import AS_JSON, WORKERS
from mhptools.flags import options_of_a_cache, take_cache
from mhptools.messages import note, progress
from mhptools.network import options_of_the_images
from mhptools.paths import FOLDER, PACKED, PATH
from mhptools.running import Command

EXAMPLE = """\b
Example:
  mhp score --data rec/ --split test --pred pred/
  mhp score --data rec/ --split test --pred pred/ --against baseline/

\b
Contents of the --pred folder, and the metrics for each:
  0001.png, ...                            label maps: pixAcc, mIoU, the IoU of each class
  results.txt, global_seg/, global_tag/    the MHP challenge's format: the same, and AP^p, PCP, AP^r, AP^h
  results.txt, masks/0001_1.png, ...       a label map per person: AP^p, PCP, AP^r, AP^h
  persons.json, parts.json                 COCO's formats (docs/scores.md): AP^h, AP^r; with links of parts to persons,
                                           also AP^p, PCP; panoptic parts also pixAcc, mIoU

results.txt has one line per image, such as 0001 1 0.98 2 0.75: the image name, then a person number and a score for
each person.
PNGs hold a label per pixel (8-bit gray or palette; docs/datasets.md), at the size of the source image (with --at
packed: the packed size).
"""


GROUPS = (
    ("Input", ("data", "pred", "split", "cache", "cache_gb", "val_protocol", "leak_free", "unseen")),
    ("Scoring", ("at", "labels", "unknown_labels", "boundary", "against", "bootstrap", "seed", "workers")),
    ("Output", ("as_json", "as_markdown", "csv_path", "worst", "count", "overwrite")),
)


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS)
@click.option("--data", required=True, type=PACKED, help="Packed folder, or its address.")
@click.option("--pred", required=True, type=FOLDER, help="Folder of predictions; see below.")
@click.option(
    "--split",
    default="val",
    show_default=True,
    help="Split to score; pass the same --split to mhp predict, whose default is test.",
)
@click.option(
    "--at", type=click.Choice(SIZES), default=SIZES[0], show_default=True, help="Size at which labels are compared."
)
@click.option(
    "--labels",
    metavar="SET",
    type=PATH,
    help="Label set of the predicted label maps (mhp labels), to convert them to the data's by its table.  [default: "
    "the data's]",
)
@click.option(
    "--unknown-labels",
    type=click.Choice(UNKNOWN),
    default=UNKNOWN[0],
    show_default=True,
    help="Reject labels outside the dataset's classes, or count them as the official code of each metric does.",
)
@options_of_a_cache
@click.option("--boundary", is_flag=True, help="Also compute the boundary F-score of label maps.")
@click.option("--against", type=FOLDER, help="Other predictions of the same images, to print the differences.")
@click.option(
    "--bootstrap",
    type=int,
    help="Number of bootstrap samples of the images for 95 % intervals, from 100; 0 for no intervals.  [default: 1000 "
    "with --against, otherwise 0]",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap samples.")
@options_of_the_images
@WORKERS
@AS_JSON
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown tables.")
@click.option("--csv", "csv_path", type=PATH, help="CSV file to write, with one row per image of --pred.")
@click.option(
    "--worst",
    type=PATH,
    help="PNG file to write: the images of --pred with the lowest mIoU of labels or persons; needs Matplotlib.",
)
@click.option("--count", default=6, show_default=True, help="Number of images in --worst, 1 to 64.")
@click.option("--overwrite", is_flag=True, help="Replace an existing --csv or --worst file.")
def main(
    data: str,
    pred: str,
    split: str,
    at: str,
    labels: str | None,
    unknown_labels: str,
    boundary: bool,
    against: str | None,
    bootstrap: int | None,
    seed: int,
    val_protocol: str,
    leak_free: bool,
    unseen: bool,
    workers: int | None,
    as_json: bool,
    as_markdown: bool,
    csv_path: str | None,
    worst: str | None,
    count: int,
    overwrite: bool,
    **given: Any,
) -> None:
    """Score predictions against a packed split.

    The predictions may come from any program; no framework is needed.
    """
    from functools import partial
    from pathlib import Path

    from mhpdata.label_sets.naming import conversion_between, table_of_labels, table_of_outputs
    from mhpdata.options import check_range
    from mhpdata.storage.manifest import read_manifest
    from mhpmodels.figures.page import Page
    from mhpmodels.files.output import check_out, write_file
    from mhpmodels.scoring.comparison import SAMPLES, check_samples, compare_scores
    from mhpmodels.scoring.report import json_text, markdown, text
    from mhpmodels.scoring.score import score, score_boundaries
    from mhpmodels.showing.selection import MAX_ROWS

    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown are two forms of the output. Pass one of them.")
    samples = (SAMPLES if against is not None else 0) if bootstrap is None else bootstrap
    check_samples(samples, seed)
    check_range("count", count, 1, MAX_ROWS)
    if csv_path is not None:
        check_out(Path(csv_path), overwrite, option="csv")
    if worst is not None:
        check_out(Path(worst), overwrite, ".png", "worst")
        Page()  # fails now if Matplotlib is missing
    cache = take_cache(given)
    to = None
    if labels is not None:
        to = conversion_between(table_of_outputs(labels), table_of_labels(read_manifest(data).labels))
    score_of = partial(
        score,
        data,
        split=split,
        at=at,
        unknown=unknown_labels,
        protocol=val_protocol,
        leak_free=leak_free,
        unseen=unseen,
        threads=workers,
        progress=progress(),
        cache=cache,
        to=to,
    )
    found = score_of(pred)
    other = score_of(against) if against is not None else None
    if boundary:
        found = score_boundaries(data, pred, found, threads=workers, progress=progress(), cache=cache)
    if boundary and other is not None and against is not None:
        other = score_boundaries(data, against, other, threads=workers, progress=progress(), cache=cache)
    compared = None
    if as_markdown or samples or other is not None:
        names = (pred, against or "")
        compared = compare_scores(found, other, names=names, samples=samples, seed=seed, threads=workers)
    if as_json:
        print(json_text(found, compared))
    elif as_markdown and compared is not None:
        print(markdown(found, compared, data))
    else:
        print(text(found, compared, data))
    if csv_path is not None:
        write_file(Path(csv_path), found.to_csv().encode(), overwrite)
        note(f"Written: {csv_path}")
    if worst is not None:
        from mhpmodels.showing.worst import picture_of_the_worst

        write_file(Path(worst), picture_of_the_worst(data, pred, found, count), overwrite)
        note(f"Written: {worst}")


if __name__ == "__main__":
    sys.exit(main())
