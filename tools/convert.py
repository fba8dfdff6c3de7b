"""mhp-convert: weights from one engine's file to another's."""

from __future__ import annotations

import sys

import click

from mhpdata.wording import printable
from mhptools.paths import INPUT, PATH
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp-convert icnet_resnet50_mhpv1.params icnet.pt       GluonCV's weights for --engine torch
  mhp-convert runs/mhp/icnet/resnet50/epoch_0105_mIoU_0.3974.pt icnet.params
  mhp-convert runs/mhp/icnet/resnet50 icnet.onnx         the run's best checkpoint; needs pip install ".[onnx]"

The suffix of OUT says what it becomes. A folder of a run stands for its best checkpoint. In a .pt file the weights may
lie under "state_dict", and their names may begin with "module.", as DistributedDataParallel saves them. Between .params
and .pt both ways are exact to the last bit. An .onnx file takes normalised images of any number and size, and is
checked against PyTorch in onnxruntime before it is kept.
"""


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("weights", metavar="WEIGHTS", type=INPUT)
@click.argument("out", metavar="OUT", type=PATH)
@click.option("--overwrite", is_flag=True, help="Replace OUT where it exists and is of the same kind.")
def main(weights: str, out: str, overwrite: bool) -> None:
    """Write the weights of WEIGHTS, a file or the folder of a run, as OUT: .params (MXNet, GluonCV), .pt (PyTorch) or
    .onnx."""
    from mhpmodels.prediction.convert import convert

    print(printable(f"{out}: the weights of {convert(weights, out, overwrite)}"))


if __name__ == "__main__":
    sys.exit(main())
