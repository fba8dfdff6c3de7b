"""mhp eval: evaluate a trained network on a packed split."""

from __future__ import annotations

import sys
from typing import Any

import click

from mhpmodels.evaluation.results import MODES
from mhpmodels.recipe import DATASETS
from mhptools.arguments import AS_JSON
from mhptools.flags import options_of_a_cache, take_cache
from mhptools.messages import progress
from mhptools.network import (
    CHECKPOINT,
    OF_WEIGHTS,
    ON_MACHINE,
    OTHER_WEIGHTS,
    PRETRAINED,
    options_of_a_network,
    options_of_the_images,
    take_hints,
    take_weights,
)
from mhptools.paths import PACKED
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp eval --data rec/ --checkpoint runs/mhp/icnet/resnet50/epoch_0105_mIoU_0.3974.params
  mhp eval --data rec/ --checkpoint runs/mhp/icnet/resnet50 --mode source --split test --json
  mhp eval --data rec/ --pretrained icnet_resnet50_mhpv1 --val-protocol gluoncv          GluonCV's own network

\b
--mode crop           centre crop, as in validation during training
       whole          whole image with a short side of --base-size pixels, as in GluonCV's published figures (768)
       source         as whole, but compared with the labels as annotated, at the size of the source image, as in papers
       val, testval   GluonCV's names for crop and whole

Results of different modes, protocols and splits are not comparable. A run folder stands for its best checkpoint.
A checkpoint of mhp train describes its network; for other weights pass --model, --backbone, --classes and --aux.
Weights of other programs (docs/weights.md) are compared with data of another label set by its table.
"""

GROUPS = (
    (
        "Input",
        ("data", "checkpoint", "pretrained", "split", "cache", "cache_gb", "val_protocol", "leak_free", "unseen"),
    ),
    ("Evaluation", ("mode", "base_size", "crop_size", "multi_scale", "window", "test_batch_size", "persons")),
    (OTHER_WEIGHTS, OF_WEIGHTS),
    ("Machine", ON_MACHINE),
)
ALIASES = {"val": "crop", "testval": "whole"}
"""GluonCV's names of the modes."""


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS)
@click.option("--data", required=True, type=PACKED, help="Packed folder, or its address.")
@CHECKPOINT
@PRETRAINED
@click.option("--split", default="val", show_default=True, help="Split to evaluate on.")
@click.option(
    "--mode",
    type=click.Choice([*MODES, *ALIASES]),
    default="whole",
    show_default=True,
    help="What is compared, and at which size; see below.",
)
@options_of_a_cache
@options_of_the_images
@options_of_a_network
@click.option(
    "--crop-size", type=int, help="Side of the crops of --mode crop, in pixels.  [default: as trained, or 768]"
)
@click.option(
    "--test-batch-size",
    "--batch-size",
    default=16,
    show_default=True,
    help="Images per batch of --mode crop without --multi-scale; otherwise 1.",
)
@click.option(
    "--persons/--no-persons",
    default=None,
    help="Whether to score the persons of a network that tells them apart; networks that find them by queries "
    "cannot do that with --multi-scale or in windows.  [default: wherever possible without windows]",
)
@AS_JSON
@click.option("--dataset", type=click.Choice(DATASETS), hidden=True, expose_value=False)
@click.option("--eval", is_flag=True, hidden=True, expose_value=False, help="Accepted and ignored, as in GluonCV.")
@click.option("--syncbn", is_flag=True, hidden=True, expose_value=False, help="Accepted and ignored.")
def main(
    data: str,
    checkpoint: str | None,
    pretrained: str | None,
    split: str,
    mode: str,
    val_protocol: str,
    leak_free: bool,
    unseen: bool,
    crop_size: int | None,
    test_batch_size: int,
    multi_scale: bool,
    window: int | None,
    persons: bool | None,
    workers: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Evaluate a trained network on a packed split.

    Prints pixel accuracy, mIoU, the IoU of each class and the time per image; for a network of mhp train --persons also
    AP^p, PCP, and AP and PQ of the persons' masks.
    """
    import json

    from mhpdata.label_sets.naming import conversion_between
    from mhpdata.settings.choosing import Choose
    from mhpdata.storage.manifest import read_manifest
    from mhpdata.wording import printable
    from mhpmodels.evaluation.evaluate import evaluate
    from mhpmodels.evaluation.results import table
    from mhpmodels.files.provenance import to_fields
    from mhpmodels.inference.pieces import WINDOW
    from mhpmodels.networks.known import facts_line
    from mhpmodels.prediction.foreign import labels_of_network
    from mhpmodels.prediction.origin import provenance_of
    from mhpmodels.prediction.trained import check_classes, inference_of, labels_of, open_trained, short_side

    cache = take_cache(given)
    manifest, mode = read_manifest(data), ALIASES.get(mode, mode)
    hints = take_hints(given, manifest)
    weights, fields = take_weights(checkpoint, pretrained, given)
    fields |= {} if crop_size is None else {"crop_size": crop_size}
    engine = open_trained(weights, fields, len(manifest.classes), hints=hints)
    try:
        foreign, to = labels_of_network(engine), None
        if foreign is None:
            check_classes(engine.config, manifest)
        else:
            assert hints.data is not None
            to = conversion_between(foreign, hints.data)
        network = engine.config.network
        apart = network.persons if persons is None else persons
        unscored = ""
        if persons is None and network.queries and multi_scale:
            apart, unscored = False, f"{network.model} finds persons by queries, which takes one scale"
        found = evaluate(
            inference_of(
                engine,
                labels_of(engine.config).flip_pairs,
                multi_scale,
                window or WINDOW,
                persons=apart,
            ),
            data,
            split,
            mode=mode,
            size=engine.config.view.size if mode == "crop" else short_side(engine, fields.get("base_size")),
            choose=Choose(protocol=val_protocol, leak_free=leak_free, unseen=unseen),
            remap=engine.config.mix.remap,
            batch_size=test_batch_size,
            to=to,
            threads=workers,
            progress=progress(),
            cache=cache,
        )
        origins = provenance_of(weights, engine)
        about = {"checkpoint": weights, "data": data, "content": manifest.content_id, "engine": engine.describe()}
        about["provenance"] = to_fields(origins)
        about |= {"persons_not_scored": unscored} if unscored else {}
    finally:
        engine.close()
    print(json.dumps({**found.as_dict(), **about}, indent=1) if as_json else table(found))
    if not as_json and unscored:
        print(f"Persons are not scored: {unscored}. Omit --multi-scale to score them.")
    if not as_json and "weights" in about["engine"]:
        print(printable(facts_line(about["engine"]["weights"])))
    if not as_json and manifest.content_id:
        print(f"content of {data}: {manifest.content_id}")
    if not as_json:
        for used in dict.fromkeys(used for origin in origins for used in origin.data):
            print(f"weights trained on {used.in_words}")


if __name__ == "__main__":
    sys.exit(main())
