"""mhp predict: predict label maps for images, written as PNGs."""

from __future__ import annotations

import sys
from typing import Any

import click

from mhpdata.images.exif import EXIF
from mhpdata.options import ON_ERROR
from mhpdata.wording import counted, printable
from mhptools.arguments import choice
from mhptools.flags import options_of_a_cache, take_cache
from mhptools.messages import detail, progress
from mhptools.network import (
    CHECKPOINT,
    OF_WEIGHTS,
    ON_MACHINE,
    OTHER_WEIGHTS,
    PRETRAINED,
    options_of_a_network,
    take_hints,
    take_weights,
)
from mhptools.paths import FILE, PACKED, PATH, PLACE
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp predict --checkpoint runs/mhp/icnet/resnet50 --out pred/ holiday.jpg
  mhp predict --checkpoint runs/mhp/icnet/resnet50 --out pred/ --data rec/ --split test --overlay --legend
  mhp predict --checkpoint runs/mhp/icnet/resnet50 --out pred/ --data rec/ --split val --persons
  mhp predict --checkpoint exp-schp-201908261155-lip.pth --out pred/ holiday.jpg --to mhp-v1

pred/holiday.png is a palette PNG with the label of each pixel of holiday.jpg; overlays and legends are written to
pred/pictures. Image files are rotated by their EXIF orientation, so that labels and overlays match what viewers show.
The label map of a rotated image is marked as rotated; mhp score rejects it. The labels of a dataset follow the pixels
as stored: for its image files pass --exif raw, or predict the packed folder with --data, whose images are never
rotated. A run folder stands for its best checkpoint. Overlays of LV-MHP images are for non-commercial research only, as
the dataset is.
"""


GROUPS = (
    ("Input", ("checkpoint", "pretrained", "data", "split", "names", "cache", "cache_gb", "exif", "on_error")),
    ("Output", ("out", "to", "persons", "overlay", "legend", "overwrite", "keep")),
    ("Prediction", ("base_size", "multi_scale", "window")),
    (OTHER_WEIGHTS, OF_WEIGHTS),
    ("Machine", ON_MACHINE),
)


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS, resumes="--keep")
@click.argument("photos", nargs=-1, metavar="[IMAGE]...", type=FILE)
@CHECKPOINT
@PRETRAINED
@click.option(
    "-o",
    "--out",
    required=True,
    type=PLACE,
    help="Folder for the label maps, created if missing; or its address, s3://bucket/pred.",
)
@click.option(
    "--data", type=PACKED, help="Packed folder, or its address, with the images to predict, instead of image files."
)
@click.option(
    "--split",
    help="Split of the packed folder; pass the same --split to mhp score, whose default is val.  [default: test]",
)
@click.option(
    "--name", "names", multiple=True, help="Name of an image of the split to predict; may be repeated.  [default: all]"
)
@options_of_a_cache
@options_of_a_network
@click.option(
    "--exif",
    type=click.Choice(EXIF),
    help="Rotate image files by their EXIF orientation, or read them as stored. Not for --data, whose images are never "
    "rotated.  [default: upright]",
)
@click.option(
    "--persons",
    is_flag=True,
    help="Also write the person of each pixel, in the official form that mhp score reads: global_seg, global_tag and "
    "results.txt with a score per person; needs a network of mhp train --persons. Overlays outline the persons.",
)
@click.option(
    "--to",
    metavar="SET",
    type=PATH,
    help="Label set to write, by its table from the network's own (mhp labels SET --to SET).  [default: the "
    "network's own]",
)
@click.option("--overlay", is_flag=True, help="Also write each image with its labels drawn over it.")
@click.option("--legend", is_flag=True, help="Also write a legend of the classes and their colours; needs Matplotlib.")
@click.option("--overwrite", is_flag=True, help="Replace the files of an earlier mhp predict in --out.")
@click.option("--keep", is_flag=True, help="Keep existing files and write the missing ones, as after an interruption.")
@choice(
    "--on-error",
    ON_ERROR,
    "Stop at the first image that is damaged or unreadable, or skip such images and report them.",
)
def main(
    photos: tuple[str, ...],
    checkpoint: str | None,
    pretrained: str | None,
    out: str,
    data: str | None,
    split: str | None,
    names: tuple[str, ...],
    multi_scale: bool,
    window: int | None,
    workers: int | None,
    exif: str | None,
    to: str | None,
    persons: bool,
    overlay: bool,
    legend: bool,
    overwrite: bool,
    keep: bool,
    on_error: str,
    **given: Any,
) -> None:
    """Predict label maps for images or a packed split.

    IMAGE is an image file. Give image files, or a packed folder with --data. Each label map has the name and the size
    of its image; with --data, of the source image.
    """
    from dataclasses import replace

    from mhpdata.label_sets.built_in import find_table
    from mhpdata.label_sets.naming import conversion_between, conversion_lines
    from mhpdata.storage.manifest import read_manifest
    from mhpmodels.files.provenance import in_words
    from mhpmodels.inference.pieces import WINDOW
    from mhpmodels.networks.known import facts_line
    from mhpmodels.prediction.options import Options
    from mhpmodels.prediction.origin import provenance_of
    from mhpmodels.prediction.outputs import PICTURES
    from mhpmodels.prediction.predict import predict_photos, predict_split
    from mhpmodels.prediction.trained import inference_of, label_table_of, labels_of, open_trained, short_side

    if (data is None) == (not photos) or (data is None and (split or names)):
        example = "End the command with holiday.jpg, or with --data rec/ --split test."
        wanted = "Give either image files, or a packed folder with --data (and --split, --name)"
        raise click.UsageError(f"{wanted}. {example}")
    if data is not None and exif == "upright":
        remedy = "Omit --exif, or predict the image files themselves."
        raise click.UsageError(f"--exif upright: not supported with --data, whose images are as stored. {remedy}")
    cache = take_cache(given)
    manifest = None if data is None else read_manifest(data)
    hints, exif = take_hints(given, manifest), exif or EXIF[0]
    weights, fields = take_weights(checkpoint, pretrained, given)
    engine = open_trained(weights, fields, len(manifest.classes) if manifest else 19, persons, hints)
    try:
        labels, size = labels_of(engine.config), short_side(engine, fields.get("base_size"))
        options = Options(size, overlay, legend, overwrite, keep, on_error, workers, progress=progress(), exif=exif)
        conversion = None if to is None else conversion_between(label_table_of(engine), find_table(to))
        options = replace(options, persons=persons, to=conversion)
        detail(in_words(provenance_of(weights, engine)))
        inference = inference_of(engine, labels.flip_pairs, multi_scale, window or WINDOW, persons)
        if data is None:
            done = predict_photos(inference, photos, out, labels, options)
        else:
            done = predict_split(inference, data, split or "test", out, names or None, options, labels, cache)
        about = engine.describe()
    finally:
        engine.close()
    for error in done.skipped:
        print(printable(f"Skipped: {type(error).__name__}: {error}"), file=sys.stderr)
    for remark in done.remarks:
        print(printable(f"Remark: {remark}"), file=sys.stderr)
    maps = counted(len(done.labels), "label map") + (f" ({done.kept} more existed)" if done.kept else "")
    maps += f", {counted(done.persons, 'person')} found" if done.persons is not None else ""
    if "weights" in about:
        print(printable(facts_line(about["weights"])))
    for line in conversion_lines(conversion) if conversion is not None else ():
        print(printable(line))
    print(printable(f"{out}: {maps}, {done.milliseconds:.2f} ms per image (median, from pixels to labels)"))
    if drawn := " and ".join(["overlays"] * overlay + ["the legend"] * legend):
        print(printable(f"{out.rstrip('/')}/{PICTURES}: {drawn}"))
    if done.turned:
        turned = counted(len(done.turned), "image was", "images were")
        print(f"{turned} rotated by EXIF orientation; pass --exif raw to predict images as stored.")


if __name__ == "__main__":
    sys.exit(main())
