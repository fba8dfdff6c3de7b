"""mhp convert: convert weights from one engine's file to another's."""

from __future__ import annotations

import sys

import click

from mhpdata.wording import printable
from mhptools.paths import INPUT, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp convert icnet_resnet50_mhpv1.params icnet.pt       GluonCV's weights for --engine torch
  mhp convert runs/mhp/icnet/resnet50/epoch_0105_mIoU_0.3974.pt icnet.params
  mhp convert runs/mhp/icnet/resnet50 icnet.onnx         the run's best checkpoint; needs pip install ".[onnx]"

The suffix of OUT selects the format. The folder of a run stands for its best checkpoint. In a .pt file the weights may
lie under "state_dict", and their names may begin with "module.", as DistributedDataParallel saves them. Conversion
between .params and .pt is exact to the last bit. An .onnx file takes batches of normalised images of any size; it is
compared with PyTorch in onnxruntime before it is kept.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("weights", metavar="[WEIGHTS]", required=False, type=INPUT)
@click.argument("target", metavar="[OUT]", required=False, type=PATH)
@click.option("--checkpoint", type=INPUT, help="File of weights, or folder of a run; the same as WEIGHTS.")
@click.option("-o", "--out", type=PATH, help="File to write; the same as OUT.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists and has the same format.")
def main(weights: str | None, target: str | None, checkpoint: str | None, out: str | None, overwrite: bool) -> None:
    """Convert weights between MXNet, PyTorch and ONNX files.

    WEIGHTS is a file or the folder of a run, OUT a .params (MXNet, GluonCV), .pt (PyTorch) or .onnx file.
    """
    if (weights is None) == (checkpoint is None) or (target is None) == (out is None):
        example = "mhp convert WEIGHTS OUT, or mhp convert --checkpoint WEIGHTS --out OUT"
        raise click.UsageError(f"Give the weights and the file to write once each: {example}.")
    weights, out = str(weights or checkpoint), str(target or out)
    from mhpmodels.prediction.convert import convert

    print(printable(f"{out}: the weights of {convert(weights, out, overwrite)}"))


if __name__ == "__main__":
    sys.exit(main())
