"""The end of a process: normal, except that it skips interpreter finalisation if its process group is broken."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from mhpmodels.engines.leaving import leave

ABORTING = """
import atexit, os, sys
from mhpmodels.engines import leaving

class Aborting:
    def __del__(self, abort=os.abort):
        abort()

kept = Aborting()  # as a library's threads do when the interpreter is finalised
"""
SCRIPT = """
atexit.register(print, "closed", flush=True)
if {broken}:
    leaving.mark_broken()
sys.stdout.write("told, not flushed; ")
leaving.leave({status})
"""
COMMAND = """
import click
from mhpdata.errors import EngineError
from mhptools.running import Command

@click.command(cls=Command)
def main():
    print("begun")
    leaving.mark_broken()
    raise EngineError("rank 0", "lost another rank", "", "Resume with mhp train --resume RUN.")

main([])
"""


def ended(script: str) -> tuple[int, str, str]:
    """Run a process that aborts in finalisation; return its exit status, stdout and stderr."""
    done = subprocess.run([sys.executable, "-c", ABORTING + script], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("status", [0, 3, 130])
def test_a_broken_group_ends_without_destructors(status):
    found = ended(SCRIPT.format(broken=True, status=status))
    assert found == (status, "told, not flushed; closed\n", "")


def test_a_command_tells_its_error_and_ends_with_its_status():
    status, out, error = ended(COMMAND)
    assert (status, out) == (3, "begun\n"), error
    assert "EngineError: rank 0: lost another rank. Resume with mhp train --resume RUN." in error


def test_the_interpreter_ends_as_always_otherwise():
    status, out, _ = ended(SCRIPT.format(broken=False, status=3))
    assert status == -signal.SIGABRT and out == "told, not flushed; closed\n"
    with pytest.raises(SystemExit) as end:
        leave(3)
    assert end.value.code == 3


def test_a_block_that_takes_too_long_ends_the_process():
    begun = time.monotonic()
    status, out, error = ended("""
import threading, time
with leaving.limited(30, "never said"):
    pass
with leaving.limited(0.2, "rank 0: no answer. Start again."):
    time.sleep(60)
""")
    assert (status, out, error) == (3, "", "EngineError: rank 0: no answer. Start again.\n")
    assert time.monotonic() - begun < 30
