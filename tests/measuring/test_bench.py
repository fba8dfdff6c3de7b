"""mhp bench: rows for a packed folder, and the call of the peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

import mhpdata
from mhpdata.errors import OptionError
from mhpdata.measuring.bench import bench_loader
from mhptools import bench


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(bench.main, [str(a) for a in arguments])


def test_a_row_for_the_copy_and_one_for_each_number_of_threads(rec, run):
    options = ("--threads", "1,2", "--runs", 1, "--batch-size", 2, "--base-size", 64, "--crop-size", 64)
    found = run(rec, *options, "--json")
    assert found.exit_code == 0, found.output
    rows = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    assert [row["variant"] for row in rows] == ["memcpy", "1 threads", "2 threads"]
    assert all(row["CPU us/image"] > 0 for row in rows)
    text = run(rec, *options)
    assert text.exit_code == 0 and "x memcpy" in text.stdout


@pytest.fixture(scope="module")
def rec(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "rec"
    mhpdata.pack(source, out, size=96)
    return out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--limit", 0), "rec, train: no samples; expected at least one. Pass another --split"),
        (("--runs", 0), "runs: 0; expected a whole number from 1"),
        (("--split", "dev"), "no split 'dev'; expected train, val or test"),
    ],
)
def test_nothing_to_measure_is_an_error(rec, run, arguments, said):
    found = run(rec, "--threads", 1, "--base-size", 64, "--crop-size", 64, *arguments)
    assert found.exit_code == 2 and said in found.output


def test_no_number_of_threads_is_an_error(rec):
    with pytest.raises(OptionError, match="threads: none"):
        bench_loader(rec, threads=())


@pytest.mark.parametrize(("arguments", "said"), [((), "one packed folder"), (("a", "b"), "one packed folder")])
def test_what_cannot_be_measured(run, arguments, said):
    found = run(*arguments)
    assert found.exit_code == 2 and said in found.output


def test_threads_that_are_no_numbers(run):
    found = run("rec", "--threads", "1,two")
    assert found.exit_code == 2 and "numbers separated by commas" in found.output


def test_the_peers_come_with_the_source(run, monkeypatch, tmp_path):
    assert bench.PEERS.exists()
    monkeypatch.setattr(bench, "PEERS", tmp_path / "peers/run.py")
    found = run("--peers")
    assert found.exit_code == 2 and "Clone the project" in found.output


def test_what_stands_behind_two_dashes_is_for_the_peers(run, monkeypatch, tmp_path):
    script = tmp_path / "run.py"
    script.write_text("import sys; sys.exit(40 + (sys.argv[1:] == ['--rounds', '2']))")
    monkeypatch.setattr(bench, "PEERS", script)
    assert run("--peers", "--", "--rounds", "2").exit_code == 41


def test_warm_leaves_nothing_to_compile_for_the_next_process(tmp_path):
    """No kernel has two signatures, as each would be compiled."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def warm(code):
        command = [sys.executable, "-c", code, "--warm"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), done.stderr.splitlines()

    (line,), told = warm("from mhptools.bench import main; main()")
    assert line.startswith("Compiled in ") and str(tmp_path / "cache") in line
    assert len(told) == 1 and told[0].startswith("Compiling kernels for this machine, about 30 s; later runs load them")
    (line, several), told = warm(
        "from mhpdata.kernels import jit; from mhptools.bench import main; "
        "main(standalone_mode=False); print(jit.several())"
    )
    assert line.startswith("All kernels are compiled, in ") and told == [] and several == "[]"


def test_warm_takes_no_folder(run, tmp_path):
    found = run(tmp_path, "--warm")
    assert found.exit_code == 2 and "--warm needs no packed folder" in found.output
