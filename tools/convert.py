"""mhp convert: convert weights from one engine's file to another's."""

from __future__ import annotations

import sys

import click

from mhpdata.wording import printable
from mhptools.paths import INPUT, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp convert icnet_resnet50_mhpv1.params icnet.pt    GluonCV's weights for --engine torch
  mhp convert runs/mhp/icnet/resnet50/epoch_0105_mIoU_0.3974.pt icnet.params
  mhp convert runs/mhp/icnet/resnet50 icnet.onnx      the run's best checkpoint; needs the extra onnx (docs/install.md)
  mhp convert --info icnet.onnx                       data, licences and commands that the weights come from

The suffix of OUT selects the format. A run folder stands for its best checkpoint. In a .pt file the weights may lie
under "state_dict", and their names may begin with "module.", as DistributedDataParallel saves them. Conversion
between .params and .pt is exact to the last bit; a .params file holds ICNet or PSPNet without heads of persons. An
.onnx file takes float32 RGB images (N, 3, H, W) with sides of at least 32, normalised as (value / 255 - mean) /
(standard deviation) with mean 0.485, 0.456, 0.406 and standard deviation 0.229, 0.224, 0.225; it is kept only if its
output in onnxruntime agrees with PyTorch's.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("weights", metavar="[WEIGHTS]", required=False, type=INPUT)
@click.argument("target", metavar="[OUT]", required=False, type=PATH)
@click.option("--checkpoint", type=INPUT, help="Weights to convert; the same as WEIGHTS.")
@click.option("-o", "--out", type=PATH, help="File to write; the same as OUT.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace OUT if it exists; a file whose first bytes are not those of the format is never replaced.",
)
@click.option("--info", is_flag=True, help="Print which data, licences and commands WEIGHTS come from; write nothing.")
def main(
    weights: str | None, target: str | None, checkpoint: str | None, out: str | None, overwrite: bool, info: bool
) -> None:
    """Convert weights between MXNet and PyTorch files, or export them to ONNX.

    WEIGHTS is a .params (MXNet, GluonCV) or .pt (PyTorch) file, or a run folder of mhp train. OUT is the .params, .pt
    or .onnx file to write.
    """
    if info:
        if (weights is None) == (checkpoint is None) or target is not None or out is not None:
            raise click.UsageError("Give the weights once, and no OUT: mhp convert --info WEIGHTS.")
        from mhpmodels.prediction.origin import describe

        print(describe(str(weights or checkpoint)))
        return
    if (weights is None) == (checkpoint is None) or (target is None) == (out is None):
        example = "mhp convert WEIGHTS OUT, or mhp convert --checkpoint WEIGHTS --out OUT"
        raise click.UsageError(f"Give the weights and the file to write once each: {example}.")
    weights, out = str(weights or checkpoint), str(target or out)
    from mhpmodels.prediction.convert import convert

    print(printable(f"{out}: the weights of {convert(weights, out, overwrite)}"))


if __name__ == "__main__":
    sys.exit(main())
