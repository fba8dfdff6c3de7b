"""The end of a process: as always, but without the interpreter's own end where a group of processes is broken."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mhpmodels.engines.leaving import leave

SCRIPT = """
import atexit, os, sys
from mhpmodels.engines import leaving

class Aborting:
    def __del__(self, abort=os.abort):
        abort()

kept = Aborting()  # as a library's threads do when the interpreter is finalised
atexit.register(print, "closed", flush=True)
if {broken}:
    leaving.mark_broken()
sys.stdout.write("told, not flushed; ")
leaving.leave({status})
"""


def ended(broken: bool, status: int) -> tuple[int, str]:
    """The exit status of a process that leaves, and what it wrote."""
    script = SCRIPT.format(broken=broken, status=status)
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("status", [0, 3, 130])
def test_a_broken_group_ends_without_destructors(status):
    assert ended(True, status) == (status, "told, not flushed; closed\n")


def test_the_interpreter_ends_as_always_otherwise():
    status, said = ended(False, 3)
    assert status < 0 and said == "told, not flushed; closed\n"
    with pytest.raises(SystemExit) as end:
        leave(3)
    assert end.value.code == 3
