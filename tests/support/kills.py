"""End commands by signals at random moments; check that their output is intact and that a rerun gives the same bytes.

Run:  python tests/support/kills.py --kills 40 --out benchmarks/results          (make kills)

Fetching, packing, exporting, training, evaluating and predicting run as commands. SIGKILL, SIGTERM or SIGINT ends each
of them repeatedly: at a random moment of its run time or, every second time, a random while after the name of an
unfinished file has appeared. After each end, everything under a final name must be complete. The same command (for
training: with --resume) runs again until it finishes; then all bytes must equal those of an uninterrupted run, and the
next cycle starts from scratch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from folder import tree, write_folder
from released import zipped

import mhpdata
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.engines.engine import installed
from mhpmodels.files import checkpoint
from mhpmodels.training.tables import read_epochs, read_steps

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
NETWORK = {"torch": "torch_ranks:small", "mxnet": "icnet"}
PATIENCE_S = 600

Digests = dict[str, str]


@dataclass(frozen=True)
class Victim:
    """A command to end by signals.

    Attributes:
        command: Function that returns the arguments for an output folder in any state.
        made: Function that digests the folder and stdout of a run; equal for any two complete runs.
        check: Function that raises AssertionError unless the folder's files are intact, given those of a complete run.
    """

    command: Callable[[Path], list[str]]
    made: Callable[[Path, str], Digests]
    check: Callable[[Path, Digests], None]


# --- the commands


def tool(name: str, flags: str) -> list[str]:
    return [sys.executable, "-m", f"mhptools.{name}", *flags.split()]


def pack(source: Path, format: str) -> Victim:
    """mhp pack: shards under their final names are complete; a manifest exists only beside all of them."""

    def check(out: Path, expected: Digests) -> None:
        there = {name: digest for name, digest in tree(out).items() if not name.startswith(".")}
        assert there.items() <= expected.items()
        assert "manifest.json" not in there or there == expected

    flags = f"--src {source} --shard-mb 1 --format {format}"
    return Victim(lambda out: tool("pack", f"{flags} --out {out}"), lambda out, _: tree(out), check)


def fetch(source: Path, archive: Path) -> Victim:
    """mhp fetch: every file under its final name is one of the archive; a complete folder has nothing else."""

    def check(out: Path, expected: Digests) -> None:
        there = tree(out).items() if out.exists() else ()
        assert {
            name: digest for name, digest in there if not Path(name).name.startswith(".")
        }.items() <= expected.items()

    script = Path(__file__).with_name("fetch_pretended.py")
    flags = f"mhp-v1 --accept-licence --zip {archive}"
    return Victim(
        lambda out: [sys.executable, str(script), str(source), *f"{flags} --out {out}".split()],
        lambda out, _: tree(out),
        check,
    )


def export(rec: Path, form: str) -> Victim:
    """mhp export: files under their final names are complete; export.json exists only beside all of them."""

    def check(out: Path, expected: Digests) -> None:
        there = {
            name: digest
            for name, digest in tree(out).items()
            if not any(part.startswith(".") for part in Path(name).parts)
        }
        assert there.items() <= expected.items()
        assert "export.json" not in there or there == expected

    return Victim(lambda out: tool("export", f"{rec} --to {form} --out {out}"), lambda out, _: tree(out), check)


def train(rec: Path, engine: str) -> Victim:
    """mhp train with a checkpoint every few steps: all of them are complete; losses, weights and states are equal."""
    flags = (
        f"--data {rec} --engine {engine} --model {NETWORK[engine]} --backbone resnet18 --base-size 64 --crop-size 64"
    )
    flags += " --batch-size 2 --workers 1 --epochs 8 --lr 0.01"

    def command(out: Path) -> list[str]:
        if out.exists() and not checkpoint.listing(out):
            shutil.rmtree(out)  # it ended before its first checkpoint
        return tool("train", f"--resume {out}" if out.exists() else f"{flags} --save-dir {out}")

    def made(out: Path, _: str) -> Digests:
        steps = [replace(row, seconds=0, waited=0) for row in read_steps(out)]
        curve = repr((steps, [replace(row, seconds=0) for row in read_epochs(out)]))
        last = checkpoint.read(out)
        parts = {"curve": curve.encode(), "weights": last.weights.read_bytes(), "state": last.state.read_bytes()}
        return {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}

    def check(out: Path, _: Digests) -> None:
        weights = {path for path in out.glob("epoch_*") if path.suffix in (".pt", ".params")} if out.exists() else set()
        there = checkpoint.listing(out) if out.exists() else ()
        assert {one.weights for one in there} == weights
        for one in there:
            checkpoint.verify(one)

    return Victim(command, made, check)


def evaluate(rec: Path, run: Path) -> Victim:
    """mhp eval: it writes no files; its output is the same except for the milliseconds."""
    before = {"rec": tree(rec), "run": tree(run)}

    def made(_: Path, stdout: str) -> Digests:
        return {key: json.dumps(value) for key, value in json.loads(stdout).items() if "milliseconds" not in key}

    def check(_: Path, __: Digests) -> None:
        assert {"rec": tree(rec), "run": tree(run)} == before

    return Victim(lambda _: tool("eval", f"--data {rec} --resume {run} --split train --json"), made, check)


def predict(rec: Path, run: Path) -> Victim:
    """mhp predict: every PNG and overlay under its final name is complete."""

    def made(out: Path, _: str) -> Digests:
        return {name: digest for name, digest in tree(out).items() if not Path(name).name.startswith(".")}

    def check(out: Path, expected: Digests) -> None:
        assert made(out, "").items() <= expected.items()

    flags = f"--checkpoint {run} --data {rec} --split train --overlay --keep"
    return Victim(lambda out: tool("predict", f"{flags} --out {out}"), made, check)


# --- the attack


def attack(victim: Victim, work: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """End a command ``kills`` times; return the count of each signal and of runs that finished.

    Raises:
        AssertionError: A file under a final name is incomplete, the final bytes differ, or the command failed without
            a signal.
    """
    # a shell ignores SIGINT in the background, and children would inherit that
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    moments = random.Random(seed)
    begun = time.monotonic()
    work.mkdir(exist_ok=True)
    expected, seconds = _whole(victim, work / "whole")
    counts: dict[str, Any] = {"kills": 0, **dict.fromkeys((number.name for number in SIGNALS), 0), "whole runs": 0}
    out = work / "killed"
    while counts["kills"] < kills:
        number = SIGNALS[counts["kills"] % len(SIGNALS)]
        moment, watched = moments.uniform(0.3, 1.05) * seconds, moments.random() < 0.5
        done = _end(victim.command(out), number, moment, out if watched else None, moments.uniform(0, 0.05))
        if done.returncode == 0:
            assert victim.made(out, done.stdout) == expected
            shutil.rmtree(out, ignore_errors=True)
            counts["whole runs"] += 1
        else:
            assert done.returncode in (-number, 128 + number), done.stderr[-3000:]
            victim.check(out, expected)
            counts["kills"] += 1
            counts[number.name] += 1
    assert _whole(victim, out)[0] == expected
    size = sum(path.stat().st_size for path in (work / "whole").rglob("*") if path.is_file())
    counts["whole runs"] += 1
    return {**counts, "MB compared": counts["whole runs"] * size / 1e6, "minutes": (time.monotonic() - begun) / 60}


def _whole(victim: Victim, out: Path) -> tuple[Digests, float]:
    begun = time.monotonic()
    done = _end(victim.command(out), signal.SIGKILL, PATIENCE_S, None, 0)
    assert done.returncode == 0, done.stderr[-3000:]
    return victim.made(out, done.stdout), time.monotonic() - begun


def _end(
    command: list[str], number: int, moment: float, watched: Path | None, after: float
) -> subprocess.CompletedProcess[str]:
    """Run a command and signal it at that moment or, if a folder is watched, a while after the first unfinished file
    appears there."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, text=True, env=environment())
        try:
            if watched is not None:
                moment = after if _begins_a_file(process, watched, moment) else 0
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            try:
                process.wait(PATIENCE_S)
            finally:
                process.kill()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, stdout.read(), stderr.read())


def _begins_a_file(process: subprocess.Popen[str], folder: Path, patience: float) -> bool:
    """Wait until a new unfinished file appears; return False if none does in time."""
    before, begun = _unfinished(folder), time.monotonic()
    while process.poll() is None and time.monotonic() - begun < patience:
        if _unfinished(folder) - before:
            return True
        time.sleep(0.002)
    return False


def _unfinished(folder: Path) -> set[Path]:
    """List files whose name or folder begins with a dot."""
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return {path for path in files if any(part.startswith(".") for part in path.relative_to(folder).parts)}


def environment() -> dict[str, str]:
    """Return an environment with this folder on PYTHONPATH and few threads, as the small network needs."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}


def packers(work: Path) -> dict[str, Victim]:
    """Return mhp pack and mhp fetch, and write their inputs."""
    source = work / "MHP_v1"
    synthesize(source, images=40, seed=5, scale=0.5)
    victims = {f"pack, {format}": pack(source, format) for format in ("recordio", "hdf5")}
    many, chance = work / "many", random.Random(0)
    for number in range(1500):
        path = many / ("images", "annotations")[number % 2] / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randrange(30_000)))
    return {**victims, "fetch": fetch(many, zipped(many, work / "many.zip"))}


def exporters(work: Path) -> dict[str, Victim]:
    """Return mhp export and write its input."""
    synthesize(work / "exported", images=200, seed=6, scale=0.3)
    mhpdata.pack(work / "exported", work / "exported-rec", size=0)
    return {f"export, {form}": export(work / "exported-rec", form) for form in ("coco", "cihp")}


def users(work: Path) -> dict[str, Victim]:
    """Return the commands that need an engine, for all installed engines, and write their input."""
    found = {}
    mhpdata.pack(write_folder(work / "small", images=16, size=(48, 64)), work / "rec", size=0)
    for engine in installed():
        found[f"train, {engine}"] = victim = train(work / "rec", engine)
        run = work / f"run-{engine}"
        _whole(victim, run)
        found[f"eval, {engine}"] = evaluate(work / "rec", run)
        found[f"predict, {engine}"] = predict(work / "rec", run)
    return found


def main() -> int:
    """Attack all commands and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, (name, victim) in enumerate({**packers(root), **exporters(root), **users(root)}.items()):
            rows.append({"command": name, **attack(victim, root / str(number), asked.kills, asked.seed)})
            print(json.dumps(rows[-1]), flush=True)
    if asked.out:
        where = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
        where["date"] = time.strftime("%Y-%m-%d")
        total = {key: sum(row[key] for row in rows) for key in rows[0] if key != "command"}
        content = {"machine": where, "seed": asked.seed, "total": total, "rows": rows}
        (asked.out / "kills.json").write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
