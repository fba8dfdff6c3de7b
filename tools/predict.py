"""mhp-predict: what a trained network says of photos, as label PNGs."""

from __future__ import annotations

import sys
from typing import Any

import click

from mhpdata.images.exif import EXIF
from mhpdata.options import ON_ERROR
from mhpdata.wording import printable
from mhptools.network import network_fields, options_of_a_network
from mhptools.paths import FILE, FOLDER, INPUT, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp-predict --checkpoint runs/mhp/icnet/resnet50 --out pred/ holiday.jpg
  mhp-predict --checkpoint runs/mhp/icnet/resnet50 --out pred/ --data rec/ --split test --overlay --legend

pred/holiday.png holds a label for each pixel of holiday.jpg, with a palette; pictures for people lie in pred/pictures.
Image files are turned upright as their EXIF orientation says, so that labels and overlays fit what viewers show; such a
label PNG says so, and mhp-score refuses it. A dataset's labels follow the pixels as stored: predict its image files
with --exif raw, or the packed folder with --data, which is never turned. Pictures made with MHP are for non-commercial
research only, as the dataset is.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("photos", nargs=-1, metavar="IMAGE...", type=FILE)
@click.option("--checkpoint", "--resume", required=True, type=INPUT, help="Weights, or the folder of a run.")
@click.option("--out", required=True, type=PATH, help="Folder to write to; made if it is not there.")
@click.option("--data", type=FOLDER, help="Instead of photos: a packed folder.")
@click.option("--split", help="Which split of it.  [default: test]")
@click.option("--name", "names", multiple=True, help="Only this image of the split; may be repeated.")
@options_of_a_network
@click.option(
    "--exif",
    type=click.Choice(EXIF),
    help="Turn image files upright as EXIF says, or take them as stored.  [default: upright; with --data: raw]",
)
@click.option("--overlay", is_flag=True, help="Write pictures with the labels over the photo.")
@click.option("--legend", is_flag=True, help="Write a picture of the classes and their colours; needs Matplotlib.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier mhp-predict wrote.")
@click.option(
    "--keep", is_flag=True, help="Keep files that are there, and make the missing ones, as after an interruption."
)
@click.option(
    "--on-error",
    type=click.Choice(ON_ERROR),
    default="fail",
    show_default=True,
    help="Stop at the first photo that cannot be used, or leave such out and name each.",
)
def main(
    photos: tuple[str, ...],
    checkpoint: str,
    out: str,
    data: str | None,
    split: str | None,
    names: tuple[str, ...],
    multi_scale: bool,
    window: int | None,
    workers: int | None,
    exif: str | None,
    overlay: bool,
    legend: bool,
    overwrite: bool,
    keep: bool,
    on_error: str,
    **given: Any,
) -> None:
    """Write the labels of photos, or of a packed split, each at its own size and under its own name."""
    from pathlib import Path

    from mhpdata.storage.manifest import read_manifest
    from mhpmodels.inference.pieces import WINDOW
    from mhpmodels.prediction.options import Options
    from mhpmodels.prediction.predict import predict_photos, predict_split
    from mhpmodels.prediction.trained import inference_of, labels_of, open_trained

    if (data is None) == (not photos) or (data is None and (split or names)):
        example = "End the command with holiday.jpg, or with --data rec/ --split test."
        wanted = "Name photos, or a packed folder with --data (and --split, --name); not both"
        raise click.UsageError(f"{wanted}. {example}")
    if data is not None and exif == "upright":
        remedy = "Leave it out with --data, or predict the image files themselves."
        raise click.UsageError(f"--exif upright: a packed folder holds images as stored, as its masks are. {remedy}")
    classes = 19 if data is None else len(read_manifest(Path(data)).classes)
    engine = open_trained(checkpoint, network_fields(given), classes)
    labels = labels_of(engine.config)
    size, exif = engine.config.view.base_size, exif or EXIF[0]
    options = Options(size, overlay, legend, overwrite, keep, on_error, workers, progress=True, exif=exif)
    try:
        inference = inference_of(engine, labels.flip_pairs, multi_scale, window or WINDOW)
        if data is None:
            done = predict_photos(inference, photos, out, labels, options)
        else:
            done = predict_split(inference, data, split or "test", out, names or None, options, labels)
    finally:
        engine.close()
    for error in done.skipped:
        print(printable(f"Left out: {type(error).__name__}: {error}"), file=sys.stderr)
    for remark in done.remarks:
        print(printable(f"Remark: {remark}"), file=sys.stderr)
    maps = f"{len(done.labels)} label maps" + (f" ({done.kept} more were there)" if done.kept else "")
    print(printable(f"{out}: {maps}, {done.milliseconds:.2f} ms a photo (median, from pixels to labels)"))
    if data is None:
        how = f"{len(done.turned)} turned upright as EXIF says" if exif == "upright" else "all as stored, not turned"
        print(f"Orientation: {how} (--exif {exif})")


if __name__ == "__main__":
    sys.exit(main())
