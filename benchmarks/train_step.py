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
from harness import machine, save, table, told
from step_variants import OPENS, prepare

TASKS = ("icnet,resnet18,128,4,sgd", "icnet,resnet18,128,4,adam", "psp,resnet18,96,2,sgd", "psp,resnet50,96,2,adam")
VARIANTS = ("mhp", "plain", "plain, fused", "GluonCV", "onnxruntime")
TASK = "model,backbone,crop,batch,optimizer"


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
        row: dict[str, Any] = {TASK: task, "": variant}
        for name, title in (("cpu", "CPU"), ("wall", "wall")):
            row[f"{title} ms/image"] = 1e3 * statistics.median(times[name] for times in found)
            ratios = [times[name] / one["plain"][kind][name] for times, one in zip(found, rounds, strict=True)]
            row[f"{title} / plain"] = statistics.median(ratios)
            row[f"{title} rounds"] = f"{min(ratios):.2f} to {max(ratios):.2f} ({len(ratios)})"
        rows.append(row | ({"peak MB": max(one[variant]["peak MB"] for one in rounds)} if kind == "step" else {}))
    return rows


def run_child(variant: str, task: str, folder: str, steps: int, threads: int) -> dict[str, Any]:
    """Run a variant, or "prepare", in a fresh process of this script; return what it prints."""
    own = ["--task", task, "--steps", str(steps), "--child", variant, folder]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, *own]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def earlier(
    path: Path, settings: dict[str, Any], where: dict[str, str], tasks: tuple[str, ...]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of other tasks from an earlier run with the same settings, machine, commit and versions."""
    content = json.loads(path.read_text()) if path.exists() else {}
    if (content.get("settings"), content.get("machine")) != (settings, where):
        return [], []
    other = lambda rows: [row for row in rows if row[TASK] not in tasks]  # noqa: E731
    return other(content["training"]), other(content["prediction"])


@click.command(context_settings={"show_default": True})
@click.option("--task", "tasks", multiple=True, default=TASKS, help="model,backbone,crop,batch,optimizer.")
@click.option("--variant", "variants", multiple=True, default=VARIANTS, type=click.Choice(VARIANTS))
@click.option("--rounds", default=3)
@click.option("--steps", default=5, help="Timed steps, and predictions, per process.")
@click.option("--threads", default=1, help="Threads of each process.")
@click.option("--child", nargs=2, hidden=True)
@click.option("--out", default="benchmarks/results", type=click.Path(path_type=Path))
def main(
    tasks: tuple[str, ...],
    variants: tuple[str, ...],
    rounds: int,
    steps: int,
    threads: int,
    child: tuple[str, str] | None,
    out: Path,
) -> None:
    """Measure all tasks and write a table."""
    if child is not None:
        folder = Path(child[1])
        found = prepare(tasks[0], folder) if child[0] == "prepare" else measure(child[0], tasks[0], folder, steps)
        print(json.dumps(found))
        return
    where = machine("torch", "mxnet", "gluoncv", "onnxruntime", "numpy")
    settings = {"steps": steps, "threads": threads}
    trained, predicted = earlier(out / "train_step.json", settings, where, tasks)
    for task in tasks:
        rounds_: list[dict[str, dict[str, Any]]] = []
        with tempfile.TemporaryDirectory() as temporary:
            run_child("prepare", task, temporary, steps, threads)
            for _ in range(rounds):
                rounds_.append(
                    {
                        one: run_child(one, task, temporary, steps, threads)
                        for one in dict.fromkeys(("mhp", "plain", *variants))
                    }
                )
                check(task, rounds_[-1], Path(temporary))
        trained += summary(task, "step", rounds_)
        predicted += summary(task, "predict", rounds_)
        print(table([row for row in trained if row[TASK] == task]), flush=True)
    line = told({**settings, **where})
    text = (
        "# A training step and a prediction beside plain PyTorch, GluonCV and onnxruntime\n\n"
        f"Training:\n\n{table(trained)}\nPrediction of the same batch:\n\n{table(predicted)}\n{line}\n"
    )
    content = {"settings": settings, "machine": where, "training": trained, "prediction": predicted}
    save(out, "train_step", content, text)


if __name__ == "__main__":
    main()
