"""Feed damaged inputs to all readers: each must give an error or the right answer, never a crash, hang or wrong pixels.

Run:  python tests/support/fuzz.py --seconds 600 --out benchmarks/results          (make fuzz)
      python tests/support/fuzz.py --target "hdf5 shard" --replay FILE

Each target (tests/support/fuzz_targets.py) runs in its own process with NUMBA_BOUNDSCHECK=1 and scalar kernels, so that
a kernel's index beyond an array is an error. It may use 512 MB more memory than at its start, and half a minute per
input. Inputs are valid ones with a few changes: bits, bytes, numbers at their limits, pieces cut out, doubled, moved or
inserted from another input. They depend only on the seed. The current input is stored in a file, so that an input that
kills the process is not lost.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import mmap
import os
import platform
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kernel_cache  # noqa: F401  (sets the folder of the kernel cache)
from fuzz_target import Target
from fuzz_targets import BUILDERS

from mhpdata.errors import MhpError

MEMORY = 512 << 20
PATIENCE_S = 30
LARGEST = 1 << 20
HEAD = struct.Struct("<QQ")  # number of the input's seed, and its bytes
BOUNDS = "-bounds"
SHM = Path("/dev/shm")  # writing a file costs 0.05 ms here and 5 ms on a disk
NUMBERS = [0, 1, 2, 3, 4, 7, 8, 15, 16, 18, 19, 127, 128, 254, 255, 256, 32767, 32768, 65535, 1 << 26, 1 << 29]
NUMBERS += [(1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
FORMATS = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q")
TEXTS = [
    b"-1",
    b"1e999",
    b"nan",
    b"\n",
    b"\r\n",
    b"\t",
    b"\0",
    b"\xff",
    b'"',
    b"[",
    b"{",
    b"null",
    b"../",
    b"99999999999",
]


def mutate(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Return the input with a few changes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3, 5, 9))):
        _change(rng, changed, others)
    return bytes(changed[:LARGEST])


def _change(rng: random.Random, data: bytearray, others: list[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 32, 256)))
    kind = rng.randrange(10)
    if kind <= 2 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 3 and at < len(data):
        data[at] = rng.randrange(256)
    elif kind == 4:
        form = rng.choice(FORMATS)
        number = struct.pack(form, rng.choice(NUMBERS) % (1 << 8 * struct.calcsize(form)))
        data[at : at + len(number)] = number
    elif kind == 5:
        del data[at:end]
    elif kind == 6:
        data[at:at] = data[at:end] * rng.randrange(1, 4)
    elif kind == 7:
        other = rng.choice(others)
        start = rng.randrange(len(other) + 1)
        data[at:end] = other[start : start + end - at]
    elif kind == 8:
        data[at:at] = rng.choice(TEXTS) if rng.random() < 0.5 else rng.randbytes(end - at)
    elif rng.random() < 0.3:
        del data[at:]


@contextmanager
def little_memory() -> Iterator[None]:
    """Limit this process to MEMORY more than now; beyond that, allocation raises MemoryError or ends the process."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * mmap.PAGESIZE + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def patience() -> Iterator[Callable[[], None]]:
    """Yield a function; end the process if it is not called for PATIENCE_S."""
    try:
        yield lambda: faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
    finally:
        faulthandler.cancel_dump_traceback_later()


def attack(target: Target, seed: int, inputs: int, seconds: float, last: mmap.mmap) -> dict[str, Any]:
    """Read mutated inputs until the count or the time limit is reached.

    Returns:
        Counts of inputs: read, rejected by an error of mhpdata.errors, read as their seed, read as something else.

    Raises:
        BaseException: The target raised something else; AssertionError is a wrong answer.
    """
    rng = random.Random(seed)
    whole = [target.repair(data) for data in target.seeds]
    right = [target.read(data, i) for i, data in enumerate(whole)]
    counts = {"inputs": 0, "refused": 0, "right": 0, "other": 0}
    begun = time.monotonic()
    with little_memory(), patience() as begin_anew:
        while counts["inputs"] < inputs and (counts["inputs"] % 64 or time.monotonic() - begun < seconds):
            if counts["inputs"] % 64 == 0:
                begin_anew()
            which = rng.randrange(len(target.seeds))
            data = target.repair(mutate(rng, target.seeds[which], target.seeds))
            last[: HEAD.size + len(data)] = HEAD.pack(which, len(data)) + data
            counts["inputs"] += 1
            try:
                found = target.read(data, which)
            except MhpError as error:
                assert error.found and str(error), "an error that says nothing"
                counts["refused"] += 1
                continue
            same = found == right[which] or found in right  # pieces of another seed can add up to that whole seed
            assert same or not target.exact, "accepted, and not what was written"
            counts["right" if same else "other"] += 1
    return {**counts, "seconds": time.monotonic() - begun}


def child(names: list[str], seed: int, inputs: int, seconds: float, work: Path, replay: Path | None) -> None:
    """Attack targets in this process; print a line of JSON for each."""
    with (work / "last").open("w+b") as file:
        file.truncate(LARGEST + mmap.PAGESIZE)
        last = mmap.mmap(file.fileno(), 0)
    for number, name in enumerate(names):
        files = work / str(number)
        files.mkdir()
        target = BUILDERS[name](files)
        if replay is not None:
            which, length = HEAD.unpack_from(content := replay.read_bytes())
            print(repr(target.read(content[HEAD.size : HEAD.size + length], which))[:300])
        else:
            print(json.dumps({"target": name, **attack(target, seed, inputs, seconds, last)}), flush=True)


class FoundError(Exception):
    """A damaged input crashed a reader, hung it or got a wrong answer."""


def run(
    names: list[str], seed: int, inputs: int, seconds: float, keep: Path, replay: Path | None = None
) -> list[dict[str, Any]]:
    """Attack targets in sequence in a child process.

    Raises:
        FoundError: A target failed; the message gives the failure and the path of the input, below ``keep``.
    """
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as work:
        arguments = ["--child", "--seed", str(seed), "--inputs", str(inputs), "--seconds", str(seconds)]
        arguments += ["--work", work, *(part for name in names for part in ("--target", name))]
        arguments += ["--replay", str(replay)] if replay else []
        command = [sys.executable, "-W", "error", __file__, *arguments]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        if replay:
            print(done.stdout, done.stderr)
            raise SystemExit(done.returncode)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode == 0:
            return rows
        name, content = names[len(rows)], (Path(work) / "last").read_bytes()
        keep.mkdir(parents=True, exist_ok=True)
        found = keep / f"{name.replace(' ', '-').replace(',', '')}-{seed}.input"
        found.write_bytes(content[: HEAD.size + HEAD.unpack_from(content)[1]])
        raise FoundError(f"{name}: ended with {done.returncode}; the input is in {found}\n{done.stderr[-3000:]}")


def environment() -> dict[str, str]:
    """Return the environment of children: bounds are checked, and kernels are scalar loops, as vector code does not
    check addresses. These kernels have their own cache, so that neither build displaces the other. Optimisation is low,
    since a short run consists mostly of compilation."""
    cache = os.environ["NUMBA_CACHE_DIR"].removesuffix(BOUNDS) + BOUNDS
    plain = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": cache}
    return {**os.environ, **plain, "NUMBA_OPT": "1", "OMP_NUM_THREADS": "1"}


def add(rows: list[dict[str, Any]], seeds: list[int], out: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """Merge rows and seeds with those in ``out``: counts are summed per target.

    Raises:
        SystemExit: ``out`` has a seed already; the same inputs would count twice.
    """
    earlier = json.loads((out / "fuzz.json").read_text())
    if set(seeds) & set(earlier["seeds"]):
        raise SystemExit(f"{out / 'fuzz.json'} has seed {seeds} already; choose another --seed.")
    found = {row["target"]: row for row in earlier["rows"]}
    for row in rows:
        before = found.get(row["target"], {})
        found[row["target"]] = {k: v if k == "target" else v + before.get(k, 0) for k, v in row.items()}
    return [found[name] for name in BUILDERS if name in found], [*earlier["seeds"], *seeds]


def report(rows: list[dict[str, Any]], seeds: list[int], out: Path) -> None:
    """Write fuzz.json and fuzz.md."""
    from importlib.metadata import version

    libraries = {name: version(name) for name in ("numpy", "numba", "h5py", "opencv-python", "simplejpeg")}
    where = {"python": platform.python_version(), "system": platform.platform(), "date": time.strftime("%Y-%m-%d")}
    total = {key: sum(row[key] for row in rows) for key in ("inputs", "refused", "right", "other")}
    lines = ["# Damaged inputs, made by tests/support/fuzz.py", "", "| target | inputs | refused | right | other |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for row in [*rows, {"target": "all", **total}]:
        lines.append(f"| {row['target']} | " + " | ".join(f"{row[key]:,}" for key in total) + " |")
    lines += [
        "",
        "refused: an error of mhpdata.errors. right: what the whole input says. other: something else that is well",
        "formed, where the format has no checksum, or the damage was given the right one. Nothing crashed, hung, took",
        f"more than {MEMORY >> 20} MB, left an array's bounds in a kernel, or was accepted with wrong pixels.",
        "",
        f"seeds {', '.join(map(str, seeds))}; "
        + ", ".join(f"{key} {value}" for key, value in {**where, **libraries}.items()),
        "",
    ]
    out.mkdir(parents=True, exist_ok=True)
    (out / "fuzz.md").write_text("\n".join(lines))
    content = {"machine": {**where, **libraries}, "seeds": seeds, "total": total, "rows": rows}
    (out / "fuzz.json").write_text(json.dumps(content, indent=1) + "\n")


def main() -> int:
    """Attack all targets, or those selected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="in all; each target gets its share")
    parser.add_argument("--inputs", type=int, default=1 << 62, help="at most so many for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", help="by default all")
    parser.add_argument("--replay", type=Path, help="an input that a run has kept")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="where inputs that break are kept")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--add", action="store_true", help="to the counts of another seed that --out has")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.target, asked.seed, asked.inputs, asked.seconds, asked.work, asked.replay)
        return 0
    names = asked.target or list(BUILDERS)
    rows = []
    broken = 0
    for name in names:
        try:
            rows += run([name], asked.seed, asked.inputs, asked.seconds / len(names), asked.keep, asked.replay)
            print(rows[-1], flush=True)
        except FoundError as found:
            broken += 1
            print(found, flush=True)
    if broken:
        return 1
    if asked.out:
        report(*(add(rows, [asked.seed], asked.out) if asked.add else (rows, [asked.seed])), asked.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
