"""Measure a node: several ranks at once, from a local folder and from a web server, and with a GPU's steps replayed.

Run:  python benchmarks/node.py --out benchmarks/results          (needs the extra remote, and nginx from apt)

Each rank is a process with its own loader and its share of the images and threads, in batches of 16 as uint8 at 768.
The web server is nginx on this machine, which waits 20 ms before each answer; records are not cached. A replay sleeps
as long as a GPU would compute: STEPS has the times of an H100 with mhp 0.1, after all ranks have a batch. Ranks, nginx
and all other programs share the cores below, so more ranks than cores only show that nothing else is in the way.
Figures are medians over runs with new processes; "spread" is the range of images/s over the runs as a share of it. A
loader makes the first batch of an epoch when it is asked for, and an epoch of this small set is short, so an interval
of several ranks often has such a wait.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from harness import ROOT, machine, save, table, told

import mhpdata
from mhpdata.measuring.ranks import bench_ranks
from mhpdata.synth.writing.folder import synthesize

DELAY_S = 0.02
STEPS = {"ICNet": 0.076, "PSPNet": 0.184}
"""Seconds per step of 16 images of 768 x 768, resnet50, bfloat16, on one H100, measured with mhp 0.1."""
VIEW = mhpdata.TrainCrop(768, blur_prob=0.0)


def make_source(folder: Path, drawn: int, copies: int) -> Path:
    """Draw some images, and add copies of each under other names, so that an epoch has many batches per rank."""
    source = folder / "MHP_v1"
    synthesize(source, drawn, 0, None, False, progress=False)
    files = [path for name in ("images", "annotations") for path in sorted((source / name).iterdir())]
    lists = [source / "train_list.txt", source / "test_list.txt"]
    names = {path: path.read_text().split() for path in lists}
    for copy in range(1, copies):
        for path in files:
            path.with_name(_renumbered(path.name, copy * drawn)).hardlink_to(path)
        for path in lists:
            with path.open("a") as file:
                file.writelines(f"{_renumbered(name, copy * drawn)}\n" for name in names[path])
    return source


def _renumbered(name: str, more: int) -> str:
    """Return a name such as 0012_03_01.png with a larger number of the image."""
    return f"{int(name[:4]) + more:04}{name[4:]}"


def as_rows(what: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the columns of the report."""
    return [
        {
            "what": what,
            "ranks": row["ranks"],
            "threads per rank": row["threads per rank"],
            "images/s": row["images/s"],
            "spread": row["spread"],
            "per rank": f"{min(row['images/s of each rank']):.3g} to {max(row['images/s of each rank']):.3g}",
            "CPU ms/image": row["CPU us/image"] / 1e3,
            f"{row['memory']} MB": round(row["MB"]),
            f"{row['memory']} MB per rank": round(row["MB per rank"]),
            "store MB/s": row["store MB/s"] or "",
            "waits": f"{row['waits']:.1%}" if "waits" in row else "",
        }
        for row in rows
    ]


@click.command()
@click.option("--ranks", default="1,2,4", show_default=True)
@click.option("--runs", default=3, show_default=True)
@click.option("--seconds", default=3.0, show_default=True)
@click.option("--drawn", default=48, show_default=True, help="Number of synthetic images.")
@click.option("--copies", default=24, show_default=True, help="Number of times that each is packed.")
@click.option("--packed", type=click.Path(path_type=Path), help="Packed folder to keep, and to use if it exists.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(ranks: str, runs: int, seconds: float, drawn: int, copies: int, packed: Path | None, out: Path) -> None:
    """Measure all, and write a table."""
    sys.path.insert(0, str(ROOT / "tests/support"))
    from services import nginx

    counts = [int(number) for number in ranks.split(",")]
    options = {"runs": runs, "seconds": seconds, "report": print, "batch_size": 16, "view": VIEW}
    options["output"] = mhpdata.Output(dtype="uint8")
    found: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.chmod(0o755)
        if packed is None or not packed.exists():
            packed = packed or work / "rec"
            mhpdata.pack(make_source(work, drawn, copies), packed)
            shutil.rmtree(work / "MHP_v1")
        images = len(mhpdata.open(packed, "train"))
        found["local folder"] = bench_ranks(packed, ranks=counts, **options)
        (work / "nginx").mkdir()
        address = stack.enter_context(nginx(packed.resolve().parent, work / "nginx", DELAY_S))
        found["web server, 20 ms"] = bench_ranks(f"{address}/{packed.name}", ranks=counts, **options)
        for name, step in STEPS.items():
            what = f"replay of {name}, {1e3 * step:.0f} ms"
            found[what] = bench_ranks(packed, ranks=counts, steps=[step], **options)
    settings = f"{images} images in train, jpeg, short side 768; {runs} runs of {seconds:g} s"
    where = machine("numpy", "numba", "simplejpeg", "obstore")
    content = {"machine": where, "settings": settings, "rows": found}
    save(out, "node", content, report_of(content))


def report_of(content: dict[str, Any]) -> str:
    """Return the report for the figures in node.json."""
    rows = [row for what, measured in content["rows"].items() for row in as_rows(what, measured)]
    about = (__doc__ or "").partition("nginx from apt)")[2].strip()
    title = f"# A node with {content['machine']['cores']} cores"
    return f"{title}\n\n{about}\n\n{table(rows)}\n{content['settings']}; {told(content['machine'])}\n"


if __name__ == "__main__":
    main()
