"""mhp-eval: score a trained network on a packed split."""

from __future__ import annotations

import sys
from typing import Any

import click

from mhpmodels.evaluation.results import MODES
from mhpmodels.recipe import DATASETS
from mhptools.network import network_fields, options_of_a_network, options_of_the_images
from mhptools.paths import FOLDER, INPUT
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp-eval --data rec/ --resume runs/mhp/icnet/resnet50/epoch_0105_mIoU_0.3974.params
  mhp-eval --data rec/ --resume runs/mhp/icnet/resnet50 --mode source --split test --json
  mhp-eval --data rec/ --resume icnet_resnet50_mhpv1.params --model icnet --backbone resnet50 --val-protocol gluoncv

\b
--mode crop     the square in the middle: what training validates on
       whole    the whole image at short side 768: GluonCV's published figures
       source   the labels as annotated, at the photo's own size: what papers compare
Figures of different modes, protocols and splits do not compare. A folder of a run stands for its best checkpoint; what
a checkpoint of mhp-train says of its network need not be said again, of other weights the flags say it.
"""

ALIASES = {"val": "crop", "testval": "whole"}
"""GluonCV's names of the modes."""


@click.command(cls=Command, epilog=EXAMPLE)
@click.option("--data", required=True, type=FOLDER, help="The packed folder.")
@click.option("--resume", required=True, type=INPUT, metavar="CHECKPOINT", help="Weights, or the folder of a run.")
@click.option("--split", default="val", show_default=True, help="Which split.")
@click.option("--mode", type=click.Choice([*MODES, *ALIASES]), default="whole", show_default=True, help="See below.")
@options_of_the_images
@options_of_a_network
@click.option("--crop-size", type=int, help="Side of the crops of --mode crop.  [default: as trained, or 768]")
@click.option("--test-batch-size", "--batch-size", default=16, show_default=True, help="Crops at once.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option("--dataset", type=click.Choice(DATASETS), hidden=True, expose_value=False)
@click.option("--eval", is_flag=True, hidden=True, expose_value=False, help="Taken and not used, as GluonCV has it.")
@click.option("--syncbn", is_flag=True, hidden=True, expose_value=False, help="Makes no difference when predicting.")
def main(
    data: str,
    resume: str,
    split: str,
    mode: str,
    val_protocol: str,
    leak_free: bool,
    unseen: bool,
    crop_size: int | None,
    test_batch_size: int,
    multi_scale: bool,
    window: int | None,
    workers: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Score a trained network: pixAcc, mIoU, the IoU of each class, the time an image."""
    import json
    from pathlib import Path

    from mhpdata.settings.choosing import Choose
    from mhpdata.storage.manifest import read_manifest
    from mhpmodels.evaluation.evaluate import evaluate
    from mhpmodels.evaluation.results import table
    from mhpmodels.inference.pieces import WINDOW
    from mhpmodels.prediction.trained import check_classes, inference_of, labels_of, open_trained

    manifest, mode = read_manifest(Path(data)), ALIASES.get(mode, mode)
    fields = network_fields(given) | ({} if crop_size is None else {"crop_size": crop_size})
    engine = open_trained(resume, fields, len(manifest.classes))
    try:
        check_classes(engine.config, manifest)
        found = evaluate(
            inference_of(engine, labels_of(engine.config).flip_pairs, multi_scale, window or WINDOW),
            data,
            split,
            mode=mode,
            size=engine.config.view.size if mode == "crop" else engine.config.view.base_size,
            choose=Choose(protocol=val_protocol, leak_free=leak_free, unseen=unseen),
            remap=engine.config.mix.remap,
            batch_size=test_batch_size,
            threads=workers,
            progress=True,
        )
        about = {"checkpoint": resume, "data": data, "engine": engine.describe()}
    finally:
        engine.close()
    print(json.dumps({**found.as_dict(), **about}, indent=1) if as_json else table(found))


if __name__ == "__main__":
    sys.exit(main())
