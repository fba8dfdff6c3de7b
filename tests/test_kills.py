"""mhp-pack killed (SIGKILL) at random moments: what is there is whole, the same command ends with the same bytes."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_packing import tree

import mhpdata
from mhpdata.synth import synthesize


@pytest.mark.parametrize("format", ["recordio", "hdf5"])
@pytest.mark.parametrize("count", [12, pytest.param(120, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, format, count):
    source, out, whole = tmp_path / "MHP_v1", tmp_path / "rec", tmp_path / "whole"
    synthesize(source, images=40, seed=5, scale=0.5)

    def command(folder):
        return [
            sys.executable,
            "-m",
            "mhptools.pack",
            *f"--src {source} --out {folder} --shard-mb 1".split(),
            "--format",
            format,
        ]

    mhpdata.pack(source, whole, format=format, shard_mb=1)
    expected = tree(whole)
    assert len(expected) > 10

    moments = random.Random(0)
    seconds = 3.0  # of an uninterrupted run, learned from those that end before they are killed
    kills = 0
    while kills < count:
        begun = time.monotonic()
        process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.communicate(timeout=moments.uniform(0.3, 1.05) * seconds)  # the first part is Python's own start
        except subprocess.TimeoutExpired:
            process.kill()
        error = process.communicate()[1]
        if process.returncode == 0:
            seconds = time.monotonic() - begun
            assert tree(out) == expected
            shutil.rmtree(out)
        else:
            assert process.returncode == -signal.SIGKILL, error.decode()
            kills += 1
            _check_what_is_there(out, expected)
    subprocess.run(command(out), check=True, capture_output=True)
    assert tree(out) == expected


def _check_what_is_there(out: Path, expected: dict[str, str]) -> None:
    """Every file under a final name is whole, and a manifest stands only beside all shards."""
    if not out.exists():
        return
    there = {name: digest for name, digest in tree(out).items() if not name.startswith(".")}
    assert there.items() <= expected.items()
    if "manifest.json" in there:
        assert there == expected
