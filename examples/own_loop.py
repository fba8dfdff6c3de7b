"""A training loop of one's own on packed shards: python examples/own_loop.py REC [EPOCHS [CROP]]

mhp gives the batches and the confusion matrix; network, loss, optimiser and loop are yours.
"""

import sys

import torch
from torch import nn

import mhpdata
import mhpmodels
from mhpmodels.evaluation.metrics import Confusion, most_likely

folder, epochs, crop = sys.argv[1], *map(int, (*sys.argv[2:], 10, 256)[:2])
device = "cuda" if torch.cuda.is_available() else "cpu"
output = mhpdata.Output(dtype="uint8")  # copied as bytes, normalised on the device
loader = mhpdata.Loader(folder, "train", batch_size=4, view=mhpdata.TrainCrop(crop, base_size=crop), output=output)
train = mhpmodels.to_torch(loader, device)
val = mhpdata.Loader(folder, "val", batch_size=4, view=mhpdata.CentreCrop(crop), output=output)
val = mhpmodels.to_torch(val, device)

n = len(loader.classes)
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
