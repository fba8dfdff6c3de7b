"""Train a network of your own on packed shards: python examples/own_loop.py REC [EPOCHS [CROP]]

mhp provides the batches and the confusion matrix; network, loss, optimiser and loop are yours.
"""

import sys

import torch
from torch import nn

import mhpdata
import mhpmodels
from mhpmodels.evaluation.metrics import Confusion, most_likely

folder, epochs, crop = sys.argv[1], int((*sys.argv[2:3], 10)[0]), int((*sys.argv[3:4], 256)[0])
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

for epoch in range(epochs):
    network.train()
    for batch in train:
        loss = criterion(network(batch.images), batch.labels.long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    confusion = Confusion(n)
    with torch.no_grad():
        for batch in val:
            confusion.update(most_likely(network(batch.images).cpu().numpy()), batch.labels.cpu().numpy())
    print(f"Epoch {epoch}: loss {loss:.3f}, pixAcc {confusion.pix_acc:.3f}, mIoU {confusion.miou:.3f}", flush=True)
