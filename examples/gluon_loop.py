"""Train an MXNet Gluon network of your own on packed shards.

``python examples/gluon_loop.py --help`` shows the arguments.

The loader returns NumPy arrays, normalised and in Gluon's order (N, 3, H, W); ``mx.nd.array`` copies them to a context.
"""

import argparse

import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon import nn

import mhpdata
import mhpmodels

parser = argparse.ArgumentParser(description="Train an MXNet Gluon network of your own on packed shards.")
parser.add_argument("rec", help="packed folder")
parser.add_argument("epochs", nargs="?", type=int, default=10, help="number of epochs (default: 10)")
parser.add_argument("crop", nargs="?", type=int, default=256, help="side of the crops, in pixels (default: 256)")
args = parser.parse_args()
folder, crop = args.rec, args.crop
context = mx.gpu() if mx.context.num_gpus() else mx.cpu()
train = mhpdata.Loader(folder, "train", batch_size=4, view=mhpdata.TrainCrop(crop, base_size=crop))
val = mhpdata.Loader(folder, "val", batch_size=4, view=mhpdata.CentreCrop(crop))

n = len(train.classes)
network = nn.HybridSequential()
network.add(nn.Conv2D(32, 5, 2, 2), nn.BatchNorm(), nn.Activation("relu"), nn.Conv2DTranspose(n, 4, 2, 1))
network.initialize(mx.init.Xavier(), context)
network.hybridize()
trainer = gluon.Trainer(network.collect_params(), "adam", {"learning_rate": 1e-3})
criterion = gluon.loss.SoftmaxCrossEntropyLoss(axis=1)

for epoch in range(args.epochs):
    for batch in train:
        images, labels = mx.nd.array(batch.images, context), mx.nd.array(batch.labels, context)
        counted = labels != 255  # padding and unlabelled pixels; Gluon's loss takes weights but has no ignored label
        with autograd.record():
            losses = criterion(network(images), labels * counted, counted.expand_dims(1))
            loss = losses.mean() * (labels.size / counted.sum())
        loss.backward()
        trainer.step(1)
    confusion = mhpmodels.Confusion(n)
    for batch in val:
        logits = network(mx.nd.array(batch.images, context)).asnumpy()
        confusion.update(mhpmodels.most_likely(logits), batch.labels)
    figures = f"pixAcc {confusion.pix_acc:.3f}, mIoU {confusion.miou:.3f}"
    print(f"Epoch {epoch}: loss {loss.asscalar():.3f}, {figures}", flush=True)
