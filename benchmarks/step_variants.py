"""Open the variants of ``train_step.py``: the same network, weights, batch, loss and optimiser in each framework."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CLASSES, RATE = 19, 1e-6
Use = tuple[int, Callable[[], float] | None, Callable[[], np.ndarray]]
"""Number of parameters, a training step that returns its loss, and a prediction that returns its logits."""


def config_of(task: str, engine: str = "torch") -> Any:
    """Return the config of a task: ``model,backbone,crop,batch,optimizer``."""
    from mhpmodels.config import TrainConfig

    model, backbone, crop, batch, optimizer = task.split(",")
    sizes = {"crop_size": int(crop), "base_size": int(crop), "batch_size": int(batch)}
    same = {"model": model, "backbone": backbone, "optimizer": optimizer, "classes": CLASSES, "dropout": 0.0}
    return TrainConfig.of(engine=engine, ngpus=0, head_rate=1.0, **same, **sizes)


def batch_of(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (N, H, W, 3), blocks of colour with noise, and their labels uint8 (N, H, W)."""
    crop, batch = (int(number) for number in task.split(",")[2:4])
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, (batch, 4, 4)).repeat(crop // 4, 1).repeat(crop // 4, 2).astype(np.uint8)
    images = rng.integers(0, 200, (CLASSES, 3))[labels] + rng.integers(0, 56, (batch, crop, crop, 3))
    return images.astype(np.uint8), labels


def prepare(task: str, folder: Path) -> dict[str, Any]:
    """Write the weights of a task in all formats: after some steps, because initial logits are in the hundreds."""
    from mhpmodels.engines.engine import open_engine
    from mhpmodels.prediction.convert import convert

    engine = open_engine(config_of(task))
    for layer in engine._network.modules():
        if hasattr(layer, "momentum"):
            layer.momentum = 1.0  # the running statistics become those of the batch
    for _ in range(2):
        assert engine.train_step(*batch_of(task), 0.0, 0).applied
    for name, buffer in engine._network.named_buffers():
        if name.endswith("running_var"):
            buffer.clamp_(min=0.1)  # a nearly constant channel of so small a batch would amplify rounding
    engine.save(folder / "weights.pt")
    engine.close()
    for suffix in (".params", ".onnx"):
        convert(folder / "weights.pt", folder / f"weights{suffix}")
    return {}


def open_mhp(task: str, folder: Path) -> Use:
    """Open the torch engine."""
    from mhpmodels.engines.engine import open_engine

    engine = open_engine(config_of(task))
    engine.load(folder / "weights.pt")
    images, labels = batch_of(task)
    step = lambda: engine.train_step(images, labels, RATE, 0).loss  # noqa: E731
    return engine.describe()["parameters"], step, lambda: engine.predict(images)


def open_plain(task: str, folder: Path, **options: Any) -> Use:
    """Open the plain network; ``options`` are arguments of torch's optimiser."""
    import plain
    import torch

    model, backbone, *_, optimizer = task.split(",")
    network = {"psp": plain.PSPNet, "icnet": plain.ICNet}[model](backbone, CLASSES)
    network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    for layer in network.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    optim = config_of(task).optim
    kinds: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    momentum = {"momentum": optim.momentum} if optimizer == "sgd" else {}
    options = {"lr": RATE, "weight_decay": optim.weight_decay, **momentum, **options}
    updates = kinds[optimizer](network.parameters(), **options)
    images, labels = batch_of(task)
    return (
        sum(p.numel() for p in network.parameters()),
        lambda: plain.train_step(network.train(), updates, images, labels),
        lambda: plain.predict(network.eval(), images),
    )


def open_gluoncv(task: str, folder: Path) -> Use:
    """Open GluonCV's network, with heads for resnet18, which GluonCV lacks, and its own loss and trainer."""
    from mhpmodels.engines.mxnet.libraries import gluoncv, mx
    from mhpmodels.engines.mxnet.network import build_network

    config, (images, labels) = config_of(task, "mxnet"), batch_of(task)
    network = build_network(config, [mx.cpu()], False)
    network.load_parameters(str(folder / "weights.params"))
    network.hybridize()
    crop, optim, losses = config.view.size, config.optim, gluoncv.loss
    loss = (
        losses.ICNetLoss(crop_size=crop)
        if config.network.model == "icnet"
        else losses.MixSoftmaxCrossEntropyLoss(aux=False)
    )
    options = {"learning_rate": RATE, "wd": optim.weight_decay}
    options |= {"momentum": optim.momentum} if optim.optimizer == "sgd" else {}
    trainer = mx.gluon.Trainer(network.collect_params(), optim.optimizer, options)
    mean, deviation = ([255 * x for x in values] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    mean, deviation = (mx.nd.array(values).reshape((1, 3, 1, 1)) for values in (mean, deviation))

    def inputs() -> Any:
        x = mx.nd.array(images, dtype="uint8").transpose((0, 3, 1, 2)).astype("float32")
        return (x - mean) / deviation

    def step() -> float:
        y = mx.nd.array(labels, dtype="float32")
        with mx.autograd.record():
            outputs = network(inputs())
            total = loss(*outputs, y)
        total.backward()
        trainer.step(len(images))
        return float(total.mean().asscalar())

    parameters = sum(p.data().size for p in network.collect_params().values() if p.grad_req != "null")
    return parameters, step, lambda: network(inputs())[0].asnumpy()


def open_onnx(task: str, folder: Path) -> Use:
    """Open the ONNX file by mhp."""
    import onnxruntime

    from mhpmodels.engines import onnx

    start = onnxruntime.InferenceSession

    def limited(content: bytes, options: Any, **others: Any) -> Any:
        options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        return start(content, options, **others)

    onnxruntime.InferenceSession = limited
    engine = onnx.OnnxEngine(folder / "weights.onnx", config_of(task))
    images = batch_of(task)[0]
    return 0, None, lambda: engine.predict(images)


OPENS: dict[str, Callable[[str, Path], Use]] = {
    "mhp": open_mhp,
    "plain": open_plain,
    "plain, fused": lambda task, folder: open_plain(task, folder, fused=True),
    "GluonCV": open_gluoncv,
    "onnxruntime": open_onnx,
}
