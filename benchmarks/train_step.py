"""Compare a training step and a prediction of the torch engine with plain PyTorch, GluonCV and onnxruntime.

Run:  python benchmarks/train_step.py --out benchmarks/results          (environment A: it has mxnet and torch)
Try:  python benchmarks/train_step.py --rounds 1 --steps 2 --task icnet,resnet18,64,2,sgd --out /tmp/step

All have the same network with the same weights (numbers of parameters are compared), the same batch in memory (uint8,
from a fixed seed), the same loss and optimiser, and no dropout:

    mhp             open_engine(engine="torch"): checks, norm of the gradient and rollback included
    plain           benchmarks/plain.py: PyTorch with default arguments
    plain, fused    the same with PyTorch's fused optimiser
    GluonCV         GluonCV's network, loss and loop on MXNet, hybridised
    onnxruntime     prediction only, of the file that mhp convert writes

Each round starts a fresh process per variant, in turn; ratios are medians over the rounds. The first loss and the
logits must agree between all variants. CPU seconds are those of all threads of the process.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from harness import machine, save, table

TASKS = ("icnet,resnet18,128,4,sgd", "icnet,resnet50,128,2,adam", "psp,resnet18,96,2,sgd", "psp,resnet50,96,2,adam")
VARIANTS = ("mhp", "plain", "plain, fused", "GluonCV", "onnxruntime")
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


def prepare(task: str, folder: Path) -> None:
    """Write the weights of a task in all formats: after some steps, because initial logits are in the hundreds."""
    from mhpmodels.engines.engine import open_engine
    from mhpmodels.prediction.convert import convert

    engine = open_engine(config_of(task))
    for layer in engine._network.modules():
        if hasattr(layer, "momentum"):
            layer.momentum = 1.0  # the running statistics become those of the batch
    for _ in range(2):
        assert engine.train_step(*batch_of(task), 0.0, 0).applied
    engine.save(folder / "weights.pt")
    engine.close()
    for suffix in (".params", ".onnx"):
        convert(folder / "weights.pt", folder / f"weights{suffix}")


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

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    start = onnxruntime.InferenceSession
    onnxruntime.InferenceSession = lambda *args, **kwargs: start(*args, sess_options=options, **kwargs)
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


def measure(variant: str, task: str, folder: Path, steps: int) -> dict[str, Any]:
    """Measure one variant in this process; return medians per image, and results to compare."""
    parameters, step, predict = OPENS[variant](task, folder)
    images = int(task.split(",")[3])
    np.save(folder / f"{variant}.npy", predict()[:, :, ::4, ::4])  # before the first step changes the statistics
    row: dict[str, Any] = {"parameters": parameters, "predict": timed(predict, steps, images)}
    if step is not None:
        row |= {"loss": step(), "step": timed(step, steps, images)}
    return {**row, "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def timed(run: Callable[[], Any], count: int, images: int) -> dict[str, float]:
    """Return median seconds per image of ``count`` runs after one that does not count."""
    run()
    wall, cpu = [], []
    for _ in range(count):
        before, begun = time.process_time(), time.perf_counter()
        run()
        wall.append((time.perf_counter() - begun) / images)
        cpu.append((time.process_time() - before) / images)
    return {"wall": statistics.median(wall), "cpu": statistics.median(cpu)}


def check(task: str, rows: dict[str, dict[str, Any]], folder: Path) -> None:
    """Raise AssertionError unless all variants have the same parameters, first loss and logits."""
    logits = {variant: np.load(folder / f"{variant}.npy") for variant in rows}
    for variant, row in rows.items():
        difference = float(np.abs(logits[variant] - logits["mhp"]).max())
        assert difference < 2e-3 * float(np.abs(logits["mhp"]).max()), (
            f"{task}, {variant}: logits differ by {difference}"
        )
        if "loss" in row:
            assert row["parameters"] == rows["mhp"]["parameters"], f"{task}, {variant}: {row['parameters']} parameters"
            assert abs(row["loss"] - rows["mhp"]["loss"]) < 1e-3, f"{task}, {variant}: loss {row['loss']}"


def summary(task: str, kind: str, rounds: list[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of a task: medians over the rounds, and ratios to the plain network round by round."""
    rows = []
    for variant in rounds[0]:
        if kind not in rounds[0][variant]:
            continue
        found = [one[variant][kind] for one in rounds]
        row: dict[str, Any] = {"model,backbone,crop,batch,optimizer": task, "": variant}
        for name, title in (("cpu", "CPU"), ("wall", "wall")):
            row[f"{title} ms/image"] = 1e3 * statistics.median(times[name] for times in found)
            ratios = [times[name] / one["plain"][kind][name] for times, one in zip(found, rounds, strict=True)]
            row[f"{title} / plain"] = statistics.median(ratios)
            row[f"{title} rounds"] = f"{min(ratios):.2f} to {max(ratios):.2f}"
        rows.append(row | ({"peak MB": max(one[variant]["peak MB"] for one in rounds)} if kind == "step" else {}))
    return rows


@click.command(context_settings={"show_default": True})
@click.option("--task", "tasks", multiple=True, default=TASKS, help="model,backbone,crop,batch,optimizer.")
@click.option("--rounds", default=3)
@click.option("--steps", default=5, help="Timed steps, and predictions, per process.")
@click.option("--threads", default=1, help="Threads of each process.")
@click.option("--child", nargs=2, hidden=True)
@click.option("--out", default="benchmarks/results", type=click.Path(path_type=Path))
def main(
    tasks: tuple[str, ...], rounds: int, steps: int, threads: int, child: tuple[str, str] | None, out: Path
) -> None:
    """Measure all tasks and write a table."""
    if child is not None:
        print(json.dumps(measure(child[0], tasks[0], Path(child[1]), steps)))
        return
    trained, predicted = [], []
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    for task in tasks:
        found: list[dict[str, dict[str, Any]]] = []
        with tempfile.TemporaryDirectory() as folder:
            prepare(task, Path(folder))
            for _ in range(rounds):
                found.append({})
                for variant in VARIANTS:
                    own = ["--task", task, "--steps", str(steps), "--child", variant, folder]
                    done = subprocess.run(
                        [sys.executable, __file__, *own], env=environment, stdout=subprocess.PIPE, text=True, check=True
                    )
                    found[-1][variant] = json.loads(done.stdout.splitlines()[-1])
                check(task, found[-1], Path(folder))
        trained += summary(task, "step", found)
        predicted += summary(task, "predict", found)
        print(table(trained[-4:]), flush=True)
    where = machine("torch", "mxnet", "gluoncv", "onnxruntime", "numpy")
    settings = {"rounds": rounds, "steps": steps, "threads": threads}
    told = ", ".join(f"{key} {value}" for key, value in {**settings, **where}.items())
    text = (
        "# A training step and a prediction beside plain PyTorch, GluonCV and onnxruntime\n\n"
        f"Training:\n\n{table(trained)}\nPrediction of the same batch:\n\n{table(predicted)}\n{told}\n"
    )
    content = {"settings": settings, "machine": where, "training": trained, "prediction": predicted}
    save(out, "train_step", content, text)


if __name__ == "__main__":
    main()
