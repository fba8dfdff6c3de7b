"""mhp-bench: how fast the loader is on this machine, beside the speed of its memory."""

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
from mhptools.flags import flag
from mhptools.paths import FOLDER
from mhptools.running import Command

EXAMPLE = """\b
Examples:
  mhp-bench rec/                                 threads 1 and all cores, float32
  mhp-bench rec/ --threads 1,2,4 --dtype uint8
  mhp-bench --warm                               once, when an image or an environment is built
  mhp-bench --peers -- --rounds 5 --seconds 10   beside the loaders of other projects

CPU us is the processor time an image costs, of all threads; x memcpy compares it with copying as many bytes.
--peers makes an environment for each peer and pictures that all of them read, and measures all in one run; what stands
behind -- goes to benchmarks/peers/run.py (-- --help lists it).
"""
VIEW = options_of(TrainCrop)
PEERS = Path(__file__).resolve().parent.parent / "benchmarks/peers/run.py"


@click.command(cls=Command, epilog=EXAMPLE)
@click.argument("folder", metavar="[REC]", required=False, type=FOLDER)
@click.argument("more", metavar="[-- ...]", nargs=-1)
@click.option("--peers", is_flag=True, help="Measure the loaders of other projects, too; needs the source of mhp.")
@click.option("--warm", is_flag=True, help="Compile the kernels of mhp-pack and the loader, then stop.")
@click.option("--split", default="train", show_default=True)
@click.option("--threads", help="Numbers of threads to try, as 1,2,4.  [default: 1 and one for each core]")
@click.option("--batch-size", default=16, show_default=True, type=int)
@flag(*VIEW["base_size"])
@flag(*VIEW["size"])
@flag(*options_of(Output)["dtype"])
@flag(VIEW["blur_prob"][0], 0.0)
@click.option(
    "--check",
    default="first",
    show_default=True,
    type=click.Choice(CHECKS),
    help="Compare a record's CRC-32 at its first reading, or at every reading.",
)
@click.option("--runs", default=5, show_default=True, type=int, help="Epochs of each variant.")
@flag(*options_of(Choose)["limit"])
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON, one a line.")
def main(
    folder: str | None,
    more: tuple[str, ...],
    peers: bool,
    warm: bool,
    threads: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure the loader on a packed folder, or beside the loaders of other projects."""
    import json

    if peers:
        if not PEERS.exists():
            remedy = "Clone the project, install it with pip install -e ., and try again."
            raise click.UsageError(f"--peers: {PEERS} is not there: the peers come with the source of mhp. {remedy}")
        given = [folder] if folder else []
        sys.exit(subprocess.run([sys.executable, str(PEERS), *given, *more], check=False).returncode)
    if warm:
        if folder is not None or more:
            raise click.UsageError("--warm needs no packed folder: it packs and loads a synthetic one.")
        print(_warm())
        return
    if folder is None or more:
        raise click.UsageError("Name one packed folder, as in mhp-bench rec/, and nothing behind it without --peers.")

    from mhpdata.loading.bench import bench_loader, iterate
    from mhpdata.threads import usable_cores

    try:
        counts = sorted({int(n) for n in threads.split(",")}) if threads else sorted({1, usable_cores()})
    except ValueError as error:
        remedy = "Pass numbers with commas between, such as --threads 1,2,4."
        raise click.UsageError(f"--threads: '{threads}'; expected numbers of threads. {remedy}") from error
    view = TrainCrop(options.pop("crop_size"), **{name: options.pop(name) for name in ("base_size", "blur_prob")})
    given = {"view": view, "choose": Choose(limit=options.pop("limit")), "output": Output(options.pop("dtype"))}
    rows = bench_loader(folder, threads=counts, report=lambda text: print(text, file=sys.stderr), **given, **options)
    print("\n".join(map(json.dumps, rows)) if as_json else "\n".join(iterate(rows)))


def _warm() -> str:
    """Pack a small synthetic download in every store, load it with every option that has kernels of its own, and say
    what that compiled."""
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
            size = 64 if number else 0  # 0 stores JPEGs as they are, which are compared with the loader's decoder
            mhpdata.pack(source, packed, image=image, overlap=rule, size=size, workers=1)
            output = mhpdata.Output(persons=True, overlap=rule)
            loader = mhpdata.Loader(
                packed, "train", 2, mhpdata.TrainCrop(64), share=mhpdata.Share(every=True), output=output, threads=1
            )
            next(iter(loader))
            loader.close()
    place = printable(str(next((f for f in folders() if f.is_dir()), folders()[0])))
    if WRITER.off:
        return "Nothing is kept."
    return f"Compiled in {seconds():.1f} s; kept in {place}." if seconds() else f"All kernels were there, in {place}."


if __name__ == "__main__":
    sys.exit(main())
