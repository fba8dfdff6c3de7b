"""Commands ended by signals at random moments (make kills runs longer), and tests that the attack detects faults."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from kills import Victim, attack, exporters, packers, users

from mhpmodels.engines.engine import installed

HERE = [f"{command}, {engine}" for engine in installed() for command in ("train", "eval", "predict")]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in HERE]


@pytest.fixture(scope="module")
def packing(tmp_path_factory):
    return packers(tmp_path_factory.mktemp("packing"))


@pytest.mark.parametrize("name", ["pack, recordio", pytest.param("pack, hdf5", marks=pytest.mark.slow), "fetch"])
def test_a_pack_or_fetch_ends_with_the_same_bytes(packing, tmp_path, name):
    check(attack(packing[name], tmp_path / "work", 6))


@pytest.mark.slow
def test_an_export_ends_with_the_same_bytes(tmp_path):
    for name, victim in exporters(tmp_path).items():
        check(attack(victim, tmp_path / name.partition(", ")[2], 6))


@pytest.mark.parametrize("name", SLOW)
def test_training_evaluating_and_predicting_do(used, tmp_path, name):
    check(attack(used[name], tmp_path / "work", 6))


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    return users(tmp_path_factory.mktemp("kills"))


def check(done):
    assert done["kills"] == done["SIGKILL"] + done["SIGTERM"] + done["SIGINT"] >= 6
    assert min(done["SIGKILL"], done["SIGTERM"], done["SIGINT"]) > 0
    assert done["whole runs"] > 0


# --- the attack itself

# It writes five times as long as it starts, so that signals hit the writing even on a busy machine.
SLOPPY = """
import os, sys, time
from pathlib import Path
began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
pause = max(0.4, 5 * (time.clock_gettime(time.CLOCK_BOOTTIME) - began)) / 200
out = Path(sys.argv[1])
out.mkdir(exist_ok=True)
with (out / sys.argv[2]).open("w") as file:
    for i in range(200):
        file.write("x")
        file.flush()
        time.sleep(pause)
(out / sys.argv[2]).rename(out / "whole")
if sys.argv[3:]:
    (out / "whole").write_text(str(time.time()))
"""


def sloppy(name: str, *flags: str) -> Victim:
    def made(out: Path, _: str = "") -> dict[str, str]:
        return {path.name: path.read_text() for path in out.glob("[!.]*")} if out.exists() else {}

    def check(out: Path, expected: dict[str, str]) -> None:
        assert made(out).items() <= expected.items()

    return Victim(lambda out: [sys.executable, "-c", SLOPPY, str(out), name, *flags], made, check)


def test_a_file_that_is_not_whole_and_other_bytes_at_the_end_are_finds(tmp_path):
    assert attack(sloppy(".whole.part"), tmp_path / "careful", 5)["kills"] == 5
    with pytest.raises(AssertionError):
        attack(sloppy("whole"), tmp_path / "half", 5)
    with pytest.raises(AssertionError):
        attack(sloppy(".whole.part", "time"), tmp_path / "other", 1)


def test_an_end_that_no_signal_brought_is_a_find(tmp_path):
    code = "import sys; sys.exit('broken' if sys.argv[1].endswith('killed') else 0)"
    deaf = ["sh", "-c", 'trap "" INT TERM; exec "$0" "$@"']  # on a slow machine signals arrive while Python starts
    broken = Victim(lambda out: [*deaf, sys.executable, "-c", code, str(out)], lambda *_: {}, lambda *_: None)
    with pytest.raises(AssertionError, match="broken"):
        attack(broken, tmp_path, 5)
