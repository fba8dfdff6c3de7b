"""mhp bench: measure the loader on this machine, in relation to the speed of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from mhpdata.options import CHECKS
from mhpdata.settings.choosing import Choose
from mhpdata.settings.output import Output
from mhpdata.settings.rules import options_of
from mhpdata.settings.views import TrainCrop
from mhpdata.wording import printable
from mhptools.flags import flag, options_of_a_cache, packed_folder, take_cache
from mhptools.messages import note
from mhptools.paths import INPUT, PACKED
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp bench rec/                                 1 thread and one per core, float32
  mhp bench rec/ --threads 1,2,4 --dtype uint8
  mhp bench rec/ --ranks 1,2,4                   several processes at once, as in training on several GPUs
  mhp bench rec/ --ranks 8 --replay steps.txt    how long GPUs wait whose steps take these times, in seconds
  mhp bench --warm                               compiles the kernels; for a container image or a new environment
  mhp bench --peers -- --rounds 5 --seconds 10   compares with the loaders of other projects

"CPU us" is the processor time per image over all threads; "x memcpy" compares it with copying as many bytes. --peers
creates an environment per peer and images that all of them read, and measures all in one run; arguments after -- are
passed to benchmarks/peers/run.py (--help after the two dashes lists them).

--ranks starts that many processes, each with its share of the images and of the threads (--threads, one number, is the
total), and counts all of them over the same interval. With --replay, each rank takes a batch, waits until every rank
has one, and sleeps as long as the step took: docs/loader.md explains the columns.
"""
VIEW = options_of(TrainCrop)
PEERS = Path(__file__).resolve().parent.parent / "benchmarks/peers/run.py"


GROUPS = (
    ("Input", ("data", "split", "limit", "check", "cache", "cache_gb")),
    ("Batches", ("batch_size", "base_size", "crop_size", "dtype", "blur_prob")),
    ("Measurement", ("threads", "runs", "peers", "warm")),
    ("Several ranks", ("ranks", "seconds", "replay")),
)


@click.command(cls=Command, epilog=EXAMPLE, groups=GROUPS)
@click.argument("folder", metavar="[REC]", required=False, type=PACKED)
@click.argument("more", metavar="[-- ...]", nargs=-1)
@click.option("--data", type=PACKED, help="Packed folder, or its address; the same as REC.")
@click.option("--peers", is_flag=True, help="Also measure the loaders of other projects; needs the source of mhp.")
@click.option("--warm", is_flag=True, help="Compile the kernels of mhp pack and the loader, then exit; needs no REC.")
@click.option("--split", default="train", show_default=True, help="Split to load.")
@click.option(
    "--threads",
    help="Numbers of threads to measure, such as 1,2,4; with --ranks, one number.  [default: 1 and one per core]",
)
@click.option("--batch-size", default=16, show_default=True, type=int, help="Images per batch; with --ranks, per rank.")
@flag(*VIEW["base_size"])
@flag(*VIEW["size"])
@flag(*options_of(Output)["dtype"])
@flag(VIEW["blur_prob"][0], 0.0)
@click.option(
    "--check",
    default="first",
    show_default=True,
    type=click.Choice(CHECKS),
    help="When to check a record's CRC-32: first = at its first read and after its file changes; always = at each "
    "read.",
)
@click.option(
    "--runs",
    default=5,
    show_default=True,
    type=int,
    help="Epochs to measure for each number of threads, or intervals for each number of ranks.",
)
@click.option("--ranks", help="Numbers of processes to measure, such as 1,2,4.  [default: 1 with --replay]")
@click.option("--seconds", default=5.0, show_default=True, help="Duration of an interval of --ranks.")
@click.option(
    "--replay",
    type=INPUT,
    metavar="STEPS",
    help="File with the duration of a training step per line, in seconds, or run folder of mhp train: take batches as "
    "such steps do, and measure how long they wait.",
)
@flag(*options_of(Choose)["limit"])
@options_of_a_cache
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON, one per line.")
def main(
    folder: str | None,
    data: str | None,
    more: tuple[str, ...],
    peers: bool,
    warm: bool,
    threads: str | None,
    ranks: str | None,
    seconds: float,
    replay: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure the loader on a packed folder.

    REC is the packed folder. Arguments after -- are for --peers. --ranks measures several processes at once.
    """
    import json

    if data is not None and folder is not None and peers:  # the first argument belongs to the peers
        folder, more = None, (folder, *more)
    folder = packed_folder(folder, data)

    if peers:
        if not PEERS.exists():
            remedy = "Clone the project, install it with pip install -e ., and try again."
            raise click.UsageError(f"--peers: {PEERS} not found: the peers come with the source of mhp. {remedy}")
        given = [folder] if folder else []
        sys.exit(subprocess.run([sys.executable, str(PEERS), *given, *more], check=False).returncode)
    if warm:
        if folder is not None or more:
            raise click.UsageError("--warm needs no packed folder: it packs and loads a synthetic one.")
        print(_warm())
        return
    if folder is None or more:
        raise click.UsageError("Give one packed folder, as in mhp bench rec/; further arguments require --peers.")

    from mhpdata.processes.threads import usable_cores

    counts = None if threads is None else _numbers("threads", threads)
    view = TrainCrop(options.pop("crop_size"), **{name: options.pop(name) for name in ("base_size", "blur_prob")})
    given = {"view": view, "choose": Choose(limit=options.pop("limit")), "output": Output(options.pop("dtype"))}
    given["cache"] = take_cache(options)
    if ranks is None and replay is None:
        from mhpdata.measuring.bench import bench_loader, iterate

        counts = counts or sorted({1, usable_cores()})
        rows = bench_loader(folder, threads=counts, report=note, **given, **options)
        lines = iterate(rows)
    else:
        from mhpdata.measuring.ranks import bench_ranks, lines_of

        if counts is not None and len(counts) > 1:
            raise click.UsageError("--threads: with --ranks or --replay, pass one number, the total of all ranks.")
        total, steps = counts[0] if counts else None, _step_times(replay)
        several = [1] if ranks is None else _numbers("ranks", ranks)
        more_options = {"threads": total, "seconds": seconds, "steps": steps, "report": note}
        rows = bench_ranks(folder, ranks=several, **more_options, **given, **options)
        lines = lines_of(rows)
    print("\n".join(map(json.dumps, rows)) if as_json else "\n".join(lines))


def _numbers(name: str, text: str) -> list[int]:
    """Return the numbers of an option such as --threads 1,2,4, sorted; raise UsageError for anything else."""
    try:
        return sorted({int(number) for number in text.split(",")})
    except ValueError as error:
        remedy = f"Pass numbers separated by commas, such as --{name} 1,2,4."
        raise click.UsageError(f"--{name}: invalid value '{text}'. {remedy}") from error


def _step_times(path: str | None) -> tuple[float, ...]:
    """Return the durations of the steps of --replay, without the time that they waited for the loader."""
    if path is None:
        return ()
    from mhpdata.errors import OptionError
    from mhpdata.measuring.steps import read_step_times
    from mhpmodels.training.tables import STEPS, read_steps

    run = Path(path).parent if Path(path).name == STEPS else Path(path)
    if run == Path(path) and not run.is_dir():
        return read_step_times(path)
    steps = read_steps(run)
    if not steps:
        raise OptionError(
            "replay", f"{run / STEPS} holds no step", "seconds per step", "Pass the folder of another run."
        )
    return tuple(max(step.seconds - step.waited, 0.0) for step in steps)


def _warm() -> str:
    """Compile all kernels by packing and loading a small synthetic download with every option; return a summary."""
    import tempfile

    import mhpdata
    from mhpdata.kernels.cache import WRITER, folders
    from mhpdata.kernels.compiling import expect, seconds
    from mhpdata.options import OVERLAPS
    from mhpdata.storage.codec import CODECS
    from mhpdata.synth.writing.folder import synthesize

    expect(30)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "MHP_v1"
        synthesize(source, 16, 0, 1, False, scale=0.25)
        for number, rule in enumerate(OVERLAPS):
            packed, image = Path(folder) / rule, list(CODECS)[number % len(CODECS)]
            size = 64 if number else 0  # 0 stores JPEGs verbatim, which runs the check of the loader's decoder
            mhpdata.pack(source, packed, image=image, overlap=rule, size=size, workers=1)
            output = mhpdata.Output(persons=True, overlap=rule)
            loader = mhpdata.Loader(
                packed, "train", 2, mhpdata.TrainCrop(64), share=mhpdata.Share(every=True), output=output, threads=1
            )
            next(iter(loader))
            loader.close()
    cache = printable(str(next((f for f in folders() if f.is_dir()), folders()[0])))
    if WRITER.off:
        return "Compiled kernels cannot be kept."
    return f"Compiled in {seconds():.1f} s; kept in {cache}." if seconds() else f"All kernels are compiled, in {cache}."


if __name__ == "__main__":
    sys.exit(main())
