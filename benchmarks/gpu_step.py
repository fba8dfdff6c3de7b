"""Measure steps and predictions of the torch engine on a GPU, before and after a change, with their kernels.

Run:  git worktree add ../before d2cfefd; python benchmarks/gpu_step.py --before ../before --out benchmarks/results
Try:  python benchmarks/gpu_step.py --device cpu --backbone resnet18 --crop 64 --batch 2 --steps 2 --out /tmp/gpu

One batch in memory, bfloat16, channels-last. Each variant runs in a process of its own, the most important first, and
none starts after ``--seconds`` (540), so that the script fits a machine lent for ten minutes:

    mhp            this checkout's engine
    before         the same with the code of another checkout
    plain          benchmarks/plain.py under autocast, channels-last, with PyTorch's fused optimiser
    mhp --compile  the engine with torch.compile

"GPU busy" is the time of all kernels in two profiled steps. "share of the peak" is the number of floating-point
operations of a step, counted by torch, over its duration, relative to ``--peak`` (dense bfloat16, H100 and H200: 989).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
VARIANTS = ("mhp", "before", "plain", "mhp --compile")
CLASSES, RATE, TOP, WARM = 19, 1e-6, 8, 3


def batch_of(crop: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images uint8 (N, H, W, 3) and labels uint8 (N, H, W)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, crop, crop, 3), dtype=np.uint8)
    return images, rng.integers(0, CLASSES, (batch, crop, crop), dtype=np.uint8)


def open_engine_(asked: dict[str, Any], compiled: bool) -> tuple[Any, Callable[[], Any], Callable[[], Any]]:
    """Return the engine's network, a step and a prediction."""
    from mhpmodels.config import TrainConfig
    from mhpmodels.engines.engine import open_engine

    sizes = {"crop_size": asked["crop"], "base_size": asked["crop"], "batch_size": asked["batch"]}
    what = {"model": asked["model"], "backbone": asked["backbone"], "dtype": "bfloat16", "compile": compiled}
    engine = open_engine(TrainConfig.of(engine="torch", ngpus=int(asked["device"] == "cuda"), **what, **sizes))
    images, labels = batch_of(asked["crop"], asked["batch"])

    def step() -> None:
        assert engine.train_step(images, labels, RATE, 0).applied, "non-finite step"

    return engine._network, step, lambda: engine.predict(images)


def open_plain(asked: dict[str, Any]) -> tuple[Any, Callable[[], Any], Callable[[], Any]]:
    """Return the plain network, a step and a prediction."""
    import plain
    import torch
    from torch.nn import functional as F  # noqa: N812

    device = asked["device"]
    network = {"psp": plain.PSPNet, "icnet": plain.ICNet}[asked["model"]](asked["backbone"], CLASSES)
    network.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4, fused=True)
    images, labels = batch_of(asked["crop"], asked["batch"])

    def inputs() -> Any:
        x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(255)
        return x.sub_(plain.MEAN[:, None, None].to(device)).div_(plain.DEVIATION[:, None, None].to(device))

    def step() -> None:
        network.train()
        optimizer.zero_grad()
        y = torch.from_numpy(labels).to(device).long()
        with torch.autocast(device, torch.bfloat16):
            outputs = network(inputs())
        losses = [F.cross_entropy(plain.resize(logits.float(), y.shape[1:]), y) for logits in outputs]
        loss = sum(weight * loss for weight, loss in zip(network.weights, losses, strict=True))
        loss.backward()
        optimizer.step()
        loss.item()

    def predict() -> None:
        network.eval()
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
            network(inputs())[0].float().cpu()

    return network, step, predict


def measure(variant: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Measure a variant in this process; return its row."""
    import torch
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.flop_counter import FlopCounterMode

    cuda = asked["device"] == "cuda"
    opened = open_plain(asked) if variant == "plain" else open_engine_(asked, variant.endswith("--compile"))
    _, step, predict = opened
    settle = torch.cuda.synchronize if cuda else lambda: None
    operations = 0
    if not variant.endswith("--compile"):  # a compiled graph hides its operations
        with FlopCounterMode(display=False) as counter:
            step()
        operations = counter.get_total_flops()
    row: dict[str, Any] = {"model": asked["model"], "variant": variant}
    for name, run in (("step", step), ("predict", predict)):
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        row[f"{name} ms"] = timed(run, settle, asked["steps"])
        row[f"{name} peak MB"] = torch.cuda.max_memory_allocated() / 1e6 if cuda else ""
    row["images/s"] = 1e3 * asked["batch"] / row["step ms"]
    rate = operations / (row["step ms"] / 1e3)
    row["share of the peak %"] = 100 * rate / (asked["peak"] * 1e12) if operations else ""
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiled:
        for _ in range(2):
            step()
        settle()
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    kernels = sorted(profiled.key_averages(), key=lambda one: -getattr(one, key))
    row["GPU busy ms"] = sum(getattr(one, key) for one in kernels) / 2e3 if cuda else ""
    row["kernels"] = {one.key[:100]: getattr(one, key) / 2e3 for one in kernels[:TOP]}
    return row


def timed(run: Callable[[], Any], settle: Callable[[], Any], count: int) -> float:
    """Return the median milliseconds of ``count`` runs after some that do not count."""
    times = []
    for number in range(WARM + count):
        settle()
        begun = time.perf_counter()
        run()
        settle()
        if number >= WARM:
            times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times)


@click.command(context_settings={"show_default": True})
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda")
@click.option("--model", "models", multiple=True, default=("icnet", "psp"))
@click.option("--backbone", default="resnet50")
@click.option("--crop", default=768)
@click.option("--batch", default=16)
@click.option("--steps", default=12, help="Timed steps, and predictions, per variant.")
@click.option("--peak", default=989.0, help="Dense bfloat16 operations of the GPU, in 10^12 per second.")
@click.option("--before", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Another checkout.")
@click.option("--seconds", default=540.0, help="Start no variant after this time.")
@click.option("--child", hidden=True)
@click.option("--out", default="benchmarks/results", type=click.Path(path_type=Path))
def main(
    models: tuple[str, ...], before: Path | None, seconds: float, child: str | None, out: Path, **asked: Any
) -> None:
    """Measure all variants and write a table."""
    if child is not None:
        print(json.dumps(measure(child, {"model": models[0], **asked})))
        return
    from harness import machine, save, table, told

    rows, left, begun = [], [], time.monotonic()
    for variant in VARIANTS:
        for model in models:
            if variant == "before" and before is None:
                continue
            if time.monotonic() - begun > seconds:
                left.append(f"{variant} {model}")
                continue
            given = [f"--{name}={value}" for name, value in {**asked, "model": model, "child": variant}.items()]
            code = before.resolve() if variant == "before" and before is not None else ROOT
            path = os.pathsep.join([str(code), str(ROOT / "benchmarks")])
            environment = {**os.environ, "PYTHONPATH": path}
            done = subprocess.run(
                [sys.executable, __file__, *given], env=environment, stdout=subprocess.PIPE, text=True
            )
            if done.returncode:  # its error is on stderr; the others still run
                left.append(f"{variant} {model}: failed with status {done.returncode}")
                continue
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    shown = [{name: value for name, value in row.items() if name != "kernels"} for row in rows]
    where = machine("torch", "numpy")
    import torch

    where["device"] = torch.cuda.get_device_name() if asked["device"] == "cuda" else "cpu"
    line = told({**asked, **where, "not measured": left or "none"})
    save(out, "gpu_step", {"settings": asked, "machine": where, "left": left, "rows": rows},
         f"# Steps and predictions of the torch engine on a GPU\n\n{table(shown)}\n{line}\n")  # fmt: skip


if __name__ == "__main__":
    main()
