"""Pack on a Dask cluster of three workers; kill one with its nanny, then kill the scheduler and restart it.

Run: python tests/support/dask_attack.py FOLDER [--namespaces]. With --namespaces, which needs root and iproute2, each
worker is in a network namespace of its own, on a bridge; otherwise all use the loopback interface.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from folder import tree, write_folder
from namespaces import namespaces

import mhpdata

OPTIONS = ("--size", "64", "--on-error", "skip")
WORKERS = 3
_WAIT_S = 300


def write_source(root: Path, images: int) -> Path:
    """Write a download of many images, most of which are links to eight, and a few are broken."""
    write_folder(root, images=8, size=(240, 320))
    names = [f"{i:05d}" for i in range(images)]
    for i, name in enumerate(names):
        persons = 2 + i % 2
        if i % 500 == 7:
            (root / f"images/{name}.jpg").write_bytes(b"")
        else:
            os.link(root / f"images/000{1 + i % 7}.jpg", root / f"images/{name}.jpg")
        for person in range(1, persons + 1):
            end = f"{persons:02d}_{person:02d}.png"
            os.link(root / f"annotations/000{1 + i % 2}_{end}", root / f"annotations/{name}_{end}")
    test = images // 4
    (root / "train_list.txt").write_text("".join(f"{name}.jpg\n" for name in names[test:]))
    (root / "test_list.txt").write_text("".join(f"{name}.jpg\n" for name in names[:test]))
    return root


def attack(folder: Path, host: str, port: int, inside: Sequence[Sequence[str]], images: int = 2000) -> list[str]:
    """Run the scenario; return what happened, with times. Raises AssertionError if the bytes differ."""
    source, out = write_source(folder / "source", images), folder / "rec"
    mhpdata.pack(source, folder / "one", size=64, on_error="skip")
    address, log, begun = f"tcp://{host}:{port}", (folder / "log").open("wb"), time.monotonic()
    python, running, events = sys.executable, list[subprocess.Popen[bytes]](), list[str]()

    def start(*command: str) -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        return running[-1]

    def scheduler() -> subprocess.Popen[bytes]:
        return start(python, "-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard")

    def kill(process: subprocess.Popen[bytes], what: str) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        events.append(f"{time.monotonic() - begun:.1f} s, {len(notes())} blocks: {what}")

    def notes() -> list[Path]:
        return list((out / ".tasks").glob("part-*.json"))

    try:
        first = scheduler()
        worker = f"{python} -m distributed.cli.dask_worker {address} --nworkers 1 --nthreads 1 --no-dashboard"
        again = f"while :; do {worker}; sleep 0.5; done"
        workers = [start(*prefix, "sh", "-c", again) for prefix in inside]
        pack = start(
            python, "-m", "mhptools", "pack", "--src", str(source), "--out", str(out), "--dask", address, *OPTIONS
        )
        _until(lambda: len(notes()) >= 3, pack)
        kill(workers[0], "a worker was killed with its nanny")
        _until(lambda: len(notes()) >= 8, pack)
        kill(first, "the scheduler was killed")
        time.sleep(2)
        scheduler()
        assert pack.wait(_WAIT_S) == 0, (folder / "log").read_text()
        events.append(f"{time.monotonic() - begun:.1f} s: done")
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.close()
    assert tree(out) == tree(folder / "one")
    assert not (out / ".tasks").exists()
    return events


def _until(is_so: Callable[[], bool], pack: subprocess.Popen[bytes]) -> None:
    """Wait until something is so; raise AssertionError if the pack ends before."""
    end = time.monotonic() + _WAIT_S
    while not is_so():
        assert pack.poll() is None, f"the pack ended with {pack.returncode}"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if "--namespaces" in sys.argv:
        with namespaces(WORKERS) as (address, nodes):
            print(*attack(place, address, 18786, [node.prefix for node in nodes]), sep="\n")
    else:
        print(*attack(place, "127.0.0.1", 18786, [[]] * WORKERS), sep="\n")
