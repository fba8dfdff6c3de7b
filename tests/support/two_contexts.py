"""Compare two CPU contexts with one; test_mxnet_norm.py runs this in a process where MXNet separates the contexts.

Prints, as JSON, the differences between two contexts with SyncBatchNorm and one with the joined batch.
"""

from __future__ import annotations

import faulthandler
import json
import tempfile
from pathlib import Path

import numpy as np

from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine


def opened(model: str, contexts: int, dropout: float):
    config = TrainConfig.of(
        engine="mxnet",
        model=model,
        backbone="resnet18",
        crop_size=64,
        batch_size=4,
        aux=model == "psp",
        syncbn=True,
        contexts=contexts,
        dropout=dropout,
        ngpus=0,
    )
    return open_engine(config)


def batch():
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (4, 3, 64, 64)).astype(np.float32)
    labels = rng.integers(0, 19, (4, 64, 64)).astype(np.uint8)
    labels[0, :40] = 255  # shares with different numbers of labelled pixels
    return images, labels


def far(a, b) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def compare_steps(model: str) -> dict:
    two, one = opened(model, 2, 0.0), opened(model, 1, 0.0)
    norms = []
    two._network.apply(lambda block: norms.append(block) if hasattr(block, "running_mean") else None)
    a, b = two.train_step(*batch(), 0.01, 3), one.train_step(*batch(), 0.01, 3)
    differences = {"loss": far(a.loss, b.loss), "norm of the gradient": far(a.gradient, b.gradient)}
    slopes = []
    for name, parameter in two._parameters.items():
        first, second = (array.asnumpy() for array in parameter.list_data())
        assert (first == second).all(), f"{name} differs between the contexts"
        same = one._parameters[name]
        if parameter.grad_req == "null":
            differences[name] = far(first, same.list_data()[0].asnumpy())
        else:
            slopes.append([p.list_grad()[0].asnumpy().ravel() for p in (parameter, same)])
    two.close()
    one.close()
    of_two, of_one = (np.concatenate(gradients) for gradients in zip(*slopes, strict=True))
    distance = np.linalg.norm(of_two - of_one) / np.linalg.norm(of_one)
    waits_for = sorted({norm._kwargs["ndev"] for norm in norms})
    return {"differences": differences, "distance of gradients": float(distance), "waits for": waits_for}


def repeats(model: str) -> bool:
    engine, runs = opened(model, 2, 0.1), []
    with tempfile.TemporaryDirectory() as folder:
        weights, state = Path(folder) / "weights", Path(folder) / "state"
        engine.save(weights)
        engine.save_state(state)
        for _ in range(2):
            engine.load(weights)
            engine.load_state(state)
            runs.append([engine.train_step(*batch(), 0.01, seed) for seed in (1, 2)])
    engine.close()
    return runs[0] == runs[1]


def compare_layers() -> dict[str, float]:
    from mhpmodels.engines.mxnet.libraries import mx
    from mhpmodels.engines.mxnet.memory import put
    from mhpmodels.engines.mxnet.norm import Statistics, norm_layer

    rng = np.random.default_rng(5)
    x, slope = (rng.normal(2, 3, (4, 6, 9, 7)).astype(np.float32) for _ in range(2))
    slope -= 2
    found = []
    for contexts in (2, 1):
        layer = norm_layer(True, contexts)(in_channels=6)
        devices = [mx.cpu(number) for number in range(contexts)]
        layer.initialize(ctx=devices)
        for _ in range(2):  # the second step starts with a running mean
            xs = [put(part, d) for part, d in zip(np.split(x, contexts), devices, strict=True)]
            for part in xs:
                part.attach_grad()
            with mx.autograd.record():
                ys = [layer(part) for part in xs]
            heads = [put(part, d) for part, d in zip(np.split(slope, contexts), devices, strict=True)]
            mx.autograd.backward(ys, heads)
            Statistics(layer).settle()
        found.append(
            {
                "output": np.concatenate([y.asnumpy() for y in ys]),
                "gradient of the input": np.concatenate([part.grad.asnumpy() for part in xs]),
                "gamma": sum(g.asnumpy() for g in layer.gamma.list_grad()),
                "beta": sum(g.asnumpy() for g in layer.beta.list_grad()),
                "running mean": layer.running_mean.list_data()[0].asnumpy(),
                "running variance": layer.running_var.list_data()[0].asnumpy(),
            }
        )
    return {name: far(found[0][name], found[1][name]) for name in found[0]}


if __name__ == "__main__":
    faulthandler.dump_traceback_later(600, exit=True)  # ends contexts that deadlock, and prints their stacks
    results = {model: compare_steps(model) for model in ("icnet", "psp")}
    results["icnet"]["repeats"] = repeats("icnet")
    print(json.dumps({**results, "layer": compare_layers()}))
