"""Several ranks at once: rows, errors of a rank, signals, and a folder that has an address."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from run_tables import step, write
from stored import NEEDS_OBSTORE, served

import mhpdata
from mhpdata.errors import EngineError, MhpError, OptionError
from mhpdata.measuring import ranks
from mhpdata.measuring.ranks import bench_ranks
from mhptools import bench

QUICK = {"view": mhpdata.TrainCrop(64, base_size=64), "batch_size": 2, "runs": 1, "seconds": 0.3}
FLAGS = ("--base-size", "64", "--crop-size", "64", "--batch-size", "2")


def test_a_row_for_each_number_of_ranks(small):
    lines = []
    rows = bench_ranks(small, ranks=(1, 2), threads=3, report=lines.append, **QUICK)
    assert [(row["ranks"], row["threads per rank"]) for row in rows] == [(1, 3), (2, 1)]
    for row in rows:
        assert len(row["images/s of each rank"]) == row["ranks"]
        assert row["images/s"] == pytest.approx(sum(row["images/s of each rank"]))
        assert row["CPU us/image"] > 0 and row["spread"] == 0 and row["store MB/s"] == 0
        assert row["MB"] >= row["MB per rank"] > 10 and row["memory"] in ("PSS", "peak RSS")
        assert "waits" not in row
    assert rows[1]["MB"] > 1.2 * rows[1]["MB per rank"]
    assert lines == ["warming up", "run 1 of 1, 1 rank", "run 1 of 1, 2 ranks"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system pins no process")
def test_all_threads_of_each_rank_are_pinned_to_its_node(small, monkeypatch):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("one core")
    nodes, seen, answers = ((cores[0],), tuple(cores[1:])), [], ranks._answers

    def look(pipes, processes):
        found = answers(pipes, processes)
        for process in processes:
            threads = [int(path.name) for path in Path(f"/proc/{process.pid}/task").iterdir()]
            seen.append([tuple(sorted(os.sched_getaffinity(thread))) for thread in threads])
        return found

    monkeypatch.setattr(ranks, "numa_nodes", lambda: nodes)
    monkeypatch.setattr(ranks, "_answers", look)
    (row,) = bench_ranks(small, ranks=(2,), **QUICK)
    assert row["pinned"] == [list(node) for node in nodes]
    for pinned, node in zip(seen, (*nodes, *nodes), strict=True):
        assert len(pinned) > 1 and set(pinned) == {node}
    assert os.sched_getaffinity(0) == set(cores)
    assert list(ranks.lines_of([row]))[-1] == "Each rank is pinned to the cores of its NUMA node."


def test_a_replay_states_how_long_the_steps_wait(small):
    (row,) = bench_ranks(small, ranks=(2,), steps=(0.04, 0.06), **QUICK)
    assert row["step ms"] == pytest.approx(50)
    assert 0 <= max(row["waits of each rank"]) <= row["waits"] < 1
    assert 0 < row["images/s"] <= 2 * 2 / 0.05 * 1.3  # the steps that were counted may be short ones
    head, line = ranks.lines_of([row])
    assert "waits" in head and "%" in line


@NEEDS_OBSTORE
def test_bytes_come_from_the_store_of_an_address(small, tmp_path):
    with served(small) as (server, address):
        (row,) = bench_ranks(address, ranks=(2,), **QUICK)
        assert row["store MB/s"] > 0 and "store MB/s" in next(ranks.lines_of([row]))
        assert server.count("GET", ".rec") > 0
        cached = {**QUICK, "cache": mhpdata.Cache(tmp_path / "cache", 1)}
        (row,) = bench_ranks(address, ranks=(1,), **cached)
        assert row["store MB/s"] == 0, "the warm-up has fetched all blocks"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"ranks": ()}, "ranks: none"),
        ({"ranks": (0,)}, "ranks: 0"),
        ({"ranks": (64,)}, "samples for 64 ranks leave no full batch"),
        ({"threads": 0}, "threads: 0"),
        ({"runs": 0}, "runs: 0"),
        ({"seconds": 0}, "seconds: 0; expected a number above 0"),
        ({"steps": (-1.0,)}, "step 1 takes -1.0 seconds"),
        ({"batch_size": 0}, "batch_size: 0"),
        ({"split": "dev"}, "no split 'dev'"),
    ],
)
def test_wrong_arguments_start_no_process(small, monkeypatch, given, found):
    monkeypatch.setattr(ranks._Group, "measure", None)
    with pytest.raises(OptionError, match=found):
        bench_ranks(small, **{**QUICK, **given})


def test_an_interval_without_a_step_is_an_error(small):
    with pytest.raises(OptionError, match=r"seconds: 0\.1, in which a rank finished no step"):
        ranks._Group("rec", "train", {}, 1, 1, ())._counted(ranks.Measured(0, 0.0, 0.0, 0, 0.0, 0.0, 0, "PSS"), 0.1)


def test_an_error_of_a_rank_is_that_of_the_command(small, tmp_path):
    rec = shutil.copytree(small, tmp_path / "rec")
    shard = next(rec.glob("train-*.rec"))
    data = bytearray(shard.read_bytes())
    for offset in range(100, len(data), 100):
        data[offset] ^= 0xFF
    shard.write_bytes(data)
    with pytest.raises(MhpError, match=r"train-00000\.rec"):
        bench_ranks(rec, ranks=(2,), **QUICK)


def test_a_rank_that_is_killed_is_an_error(small, monkeypatch):
    answers = ranks._answers

    def kill(pipes, processes):
        processes[1].kill()
        return answers(pipes, processes)

    monkeypatch.setattr(ranks, "_answers", kill)
    with pytest.raises(EngineError, match=r"rank 1: its process was ended by SIGKILL\. If memory is short"):
        bench_ranks(small, ranks=(2,), steps=(0.01,), **QUICK)


def test_ctrl_c_ends_all_ranks(small):
    command = [sys.executable, "-m", "mhptools.bench", str(small), *FLAGS, "--ranks", "2", "--seconds", "600"]
    command += ["--runs", "1"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background processes of a shell ignore it
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        signal.signal(signal.SIGINT, before)
        for line in process.stderr:
            if line.startswith("run 1 of 1"):
                break
        while len(_children(process.pid)) < 3:  # the ranks, and a process of multiprocessing
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (130, "", "Interrupted. Run the same command again.\n")
    with pytest.raises(ProcessLookupError):
        while True:  # until the last process of the session has ended
            os.killpg(process.pid, 0)
            time.sleep(0.02)


def _children(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []


def test_the_command_replays_a_file_or_a_run(small, tmp_path, monkeypatch):
    (tmp_path / "times.txt").write_text("0.01\n0.02\n")
    (tmp_path / "run").mkdir()
    write(tmp_path / "run", [step(0), step(1)], [])
    seen = []
    monkeypatch.setattr(ranks, "bench_ranks", lambda folder, **given: seen.append(given) or [{"ranks": 1}])

    def steps(path, *more):
        done = CliRunner().invoke(bench.main, [str(small), *FLAGS, "--replay", str(path), "--json", *more])
        assert done.exit_code == 0 and json.loads(done.stdout.splitlines()[-1]) == {"ranks": 1}, done.output
        return seen.pop()

    given = steps(tmp_path / "times.txt")
    assert given["steps"] == (0.01, 0.02) and given["ranks"] == [1] and given["threads"] is None
    recorded = tuple(row.seconds - row.waited for row in (step(0), step(1)))
    assert steps(tmp_path / "run")["steps"] == recorded
    given = steps(tmp_path / "run/steps.csv", "--ranks", "4,2", "--threads", "8", "--seconds", "2")
    assert given["steps"] == recorded and given["ranks"] == [2, 4] and given["threads"] == 8 and given["seconds"] == 2


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--ranks", "1,two"), "--ranks: invalid value '1,two'. Pass numbers separated by commas"),
        (("--ranks", "2", "--threads", "1,2"), "--threads: with --ranks or --replay, pass one number"),
        (("--replay", "none.txt"), "--replay: none.txt is missing"),
    ],
)
def test_wrong_options_of_the_command(small, arguments, found):
    done = CliRunner().invoke(bench.main, [str(small), *FLAGS, *arguments])
    assert done.exit_code == 2 and found in done.output
