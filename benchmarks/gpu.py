"""Measure training steps from the loader to the GPU: images per second, share of time that the GPU waits, its memory.

Run:  python benchmarks/gpu.py --out benchmarks/results
Try:  python benchmarks/gpu.py --device cpu --images 8 --backbone resnet18 --crop 64 --batch 2 --turns 1 --out /tmp/gpu

On a folder from mhp-synth, packed as mhp-pack does by default: steps of ICNet and PSPNet on batches of

    ready                 one batch that is already in memory: the upper bound of the step itself
    mhp                   mhpdata.Loader, uint8; no blur, as the peer has no equivalent
    albumentations        PyTorch's DataLoader; its worker processes make float32 batches with albumentations
    albumentations uint8  the same, but the device normalises, as for mhp

in turn, on one engine. All are prefetched through pinned memory (mhpmodels.engines.torch.copies), so the loader is the
only difference. A step ends when its loss is known; after that the loop waits for a batch and the GPU is nearly idle:
"GPU waits %". Medians are over the steps of all turns, without the first steps of each turn.

The peer is skipped if albumentations is not installed. It depends on opencv-python-headless, which would break the
opencv-python of mhp, so run: pip install --no-deps albumentations==2.0.8 albucore==0.0.24, then pip install pydantic
scipy simsimd stringzilla PyYAML.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import torch
from harness import machine, save, table, told
from peer_data import write_peer_data
from peers import task

import mhpdata
from mhpdata.loading.state import Standing
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import Engine, open_engine
from mhpmodels.models import GLUONCV, RESNETS
from mhpmodels.training.meter import Stopwatch
from mhpmodels.training.schedule import step_seed

WARM = 2
"""Uncounted steps per turn: they use batches that the loader prepared during another source's turn."""


@dataclass
class Source:
    """Endless batches and the durations of steps on them; implements what ``Engine.prefetch`` needs of a loader."""

    name: str
    batches: Iterator[Any]
    waited: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak: int = 0

    def __iter__(self) -> Iterator[Any]:
        return self.batches

    def read_ahead(self) -> tuple[Iterator[Any], Standing, Standing]:
        """Return the batches, all of one epoch, and positions that are not used: a source cannot resume."""
        return self.batches, Standing(0, 0, True), Standing(0, 0, True)

    def row(self, images: int) -> dict[str, Any]:
        """Return the row of medians, with the GPU's peak memory if there is a GPU."""
        wall, waited = statistics.median(self.wall), statistics.median(self.waited)
        spread = f"{min(self.wall):.3g} to {max(self.wall):.3g}"
        figures = {
            "images/s": images / wall,
            "step s": wall,
            "all steps": spread,
            "GPU waits %": 100 * waited / wall,
        }
        return {"batches": self.name, **figures, "peak GPU MB": self.peak / 1e6 if self.peak else ""}


def our_batches(rec: Path, crop: int, batch: int, workers: int) -> Iterator[Any]:
    """Yield the batches of mhpdata.Loader, epoch after epoch."""
    view = mhpdata.TrainCrop(crop, base_size=crop, blur_prob=0.0)
    output = mhpdata.Output(dtype="uint8")
    loader = mhpdata.Loader(rec, "train", batch_size=batch, view=view, output=output, threads=workers, drop_last=True)
    while True:
        yield from loader


def peer_batches(data: Path, crop: int, batch: int, workers: int, dtype: str) -> Iterator[Any]:
    """Yield the batches of benchmarks/peers/torch_albumentations.py in our form; raise ImportError without the peer."""
    task.SIZE, task.BATCH = crop, batch  # the peer reads them when it is imported
    from peers import torch_albumentations

    for images, labels in torch_albumentations.batches(task.Task(data, workers=workers, dtype=dtype)):
        arrays = {"images": images.numpy(), "labels": labels.to(torch.uint8).numpy(), "indices": np.zeros(batch)}
        yield SimpleNamespace(**arrays, persons=None, boxes=None, counts=None)


def open_sources(folder: Path, images: int, crop: int, batch: int, workers: int) -> list[Source]:
    """Generate the data and take a first batch of each source: peers fork their workers before threads start."""
    # for few images, starting worker processes takes longer than drawing here
    synthesize(folder / "MHP_v1", images, 0, 1 if images < 50 else None, progress=True)
    mhpdata.pack(folder / "MHP_v1", folder / "rec")
    write_peer_data(folder / "rec", folder / "MHP_v1", folder / "peer")
    sources = [
        Source(name, peer_batches(folder / "peer", crop, batch, workers, dtype))
        for name, dtype in (("albumentations", "float32"), ("albumentations uint8", "uint8"))
    ]
    sources.append(Source("mhp", our_batches(folder / "rec", crop, batch, workers)))
    found = []
    for source in sources:
        try:
            first = next(source.batches)
        except ImportError as error:
            print(f"{source.name} is skipped: {error}")
            continue
        source.batches = itertools.chain([first], source.batches)
        found.append(source)
    kept = {name: getattr(first, name) for name in ("indices", "persons", "boxes", "counts")}
    ready = SimpleNamespace(images=np.array(first.images), labels=np.array(first.labels), **kept)
    return [*found, Source("ready", itertools.repeat(ready))]


def run(engine: Engine, source: Source, steps: int) -> None:
    """Run one turn of training steps and record their durations."""
    cuda = engine.config.machine.ngpus > 0
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    watch = Stopwatch()
    for number, batch in enumerate(itertools.islice(engine.prefetch(source), WARM + steps)):
        waited = watch.lap()
        done = engine.train_step(batch.images, batch.labels, 1e-5, step_seed(0, number))
        assert done.applied, f"{source.name}: non-finite step"
        wall = waited + watch.lap()
        if number >= WARM:
            source.waited.append(waited)
            source.wall.append(wall)
    if cuda:
        source.peak = max(source.peak, torch.cuda.max_memory_allocated())


@click.command(context_settings={"show_default": True})
@click.option("--device", type=click.Choice(["cuda", "cpu"]), default="cuda")
@click.option("--images", default=242, help="Number of images of mhp-synth.")
@click.option("--model", "models", multiple=True, type=click.Choice(tuple(GLUONCV)), default=tuple(GLUONCV))
@click.option("--dtype", "dtypes", multiple=True, default=("float32", "bfloat16"))
@click.option("--backbone", type=click.Choice(RESNETS), default="resnet50")
@click.option("--crop", default=768)
@click.option("--batch", default=16)
@click.option("--workers", default=8, help="Threads of mhp, or processes of the peer.")
@click.option("--turns", default=5)
@click.option("--steps", default=20, help="Steps per source and turn.")
@click.option("--out", default="benchmarks/results", type=click.Path(path_type=Path))
def main(device: str, images: int, models: tuple[str, ...], dtypes: tuple[str, ...], backbone: str, crop: int,
         batch: int, workers: int, turns: int, steps: int, out: Path) -> None:  # fmt: skip
    """Measure all sources and write a table."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        sources = open_sources(Path(folder), images, crop, batch, workers)
        for model, dtype in itertools.product(models, dtypes):
            what = {"model": model, "backbone": backbone, "dtype": dtype, "crop_size": crop, "batch_size": batch}
            engine = open_engine(TrainConfig.of(engine="torch", ngpus=int(device == "cuda"), **what))
            measured = [Source(source.name, source.batches) for source in sources]
            for _ in range(turns):
                for source in measured:
                    run(engine, source, steps)
            engine.close()
            rows += [{"model": model, "dtype": dtype, **source.row(batch)} for source in measured]
            print(table(rows[-len(measured) :]), flush=True)
    where = machine("torch", "numpy", "numba")
    where["device"] = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    where["cuda"] = str(torch.version.cuda)
    settings = {"backbone": backbone, "crop": crop, "batch": batch, "workers": workers, "turns": turns, "steps": steps}
    line = told({**settings, **where})
    text = f"# From the loader to the GPU\n\n{table(rows)}\n{line}\n"
    save(out, "gpu", {"settings": settings, "machine": where, "rows": rows}, text)


if __name__ == "__main__":
    main()
