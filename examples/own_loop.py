"""Train a network of your own on packed shards. ``python examples/own_loop.py --help`` shows the arguments.

mhp provides the batches and the confusion matrix; network, loss, optimiser and loop are yours.
"""

import argparse

import torch
from torch import nn

import mhpdata
import mhpmodels

parser = argparse.ArgumentParser(description="Train a network of your own on packed shards.")
parser.add_argument("rec", help="packed folder")
parser.add_argument("epochs", nargs="?", type=int, default=10, help="number of epochs (default: 10)")
parser.add_argument("crop", nargs="?", type=int, default=256, help="side of the crops, in pixels (default: 256)")
args = parser.parse_args()
folder, crop = args.rec, args.crop
device = "cuda" if torch.cuda.is_available() else "cpu"


def batches(split, view):
    """Iterate over a split's batches as tensors; images are transferred as uint8 and normalised on the device."""
    output = mhpdata.Output(dtype="uint8")
    return mhpmodels.to_torch(mhpdata.Loader(folder, split, batch_size=4, view=view, output=output), device)


train, val = batches("train", mhpdata.TrainCrop(crop, base_size=crop)), batches("val", mhpdata.CentreCrop(crop))
n = len(mhpdata.open(folder, "train").classes)
layers = nn.Conv2d(3, 32, 5, 2, 2), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, n, 3, 1, 1)
network = nn.Sequential(*layers, nn.Upsample(scale_factor=2, mode="bilinear")).to(device)
optimiser, criterion = torch.optim.AdamW(network.parameters(), 1e-3), nn.CrossEntropyLoss(ignore_index=255)

for epoch in range(args.epochs):
    network.train()
    for batch in train:
        loss = criterion(network(batch.images), batch.labels.long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    confusion = mhpmodels.Confusion(n)
    with torch.no_grad():
        for batch in val:
            predicted = mhpmodels.most_likely(network(batch.images).cpu().numpy())
            confusion.update(predicted, batch.labels.cpu().numpy())
    print(f"Epoch {epoch}: loss {loss:.3f}, pixAcc {confusion.pix_acc:.3f}, mIoU {confusion.miou:.3f}", flush=True)
