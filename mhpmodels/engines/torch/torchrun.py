"""Run torchrun, and exit with the status of the rank that failed first; torchrun itself always exits with 1.

Run:  python -m mhpmodels.engines.torch.torchrun [--limit SECONDS] [torchrun's arguments]

Each rank prints its own error, so torchrun's summary is omitted.

With --limit, torchrun ends if none of its ranks has run for this time after the first start. By itself it may wait
forever: with --nnodes 2 for a machine that was lost, and after a cut link for the machine that hosts the rendezvous,
whatever its read_timeout is (measured with torch 2.13: TCPStore's get times out, and then waits for an answer to its
cancellation).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.run import main as torchrun

from mhpmodels.engines.leaving import OUTSIDE

_RESUME = "Resume from the last checkpoint with mhp train --resume and the run's folder, or --auto-resume."
_log = logging.getLogger(__name__)  # without a handler, Python prints errors on stderr


def main() -> int:
    """Run torchrun, and return its exit status: 128 + n if signal n ended torchrun or a rank, as in a shell."""
    if sys.argv[1:2] == ["--limit"]:
        limit = float(sys.argv[2])
        del sys.argv[1:3]
        threading.Thread(target=_watch, args=(limit,), daemon=True).start()
    try:
        torchrun()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            return int(failure.exitcode)
        _log.error("Rank %s was terminated by signal %s.", rank, -failure.exitcode)
        return 128 - int(failure.exitcode)
    except SignalException as error:
        return 128 + int(error.sigval)
    except RendezvousError as error:
        cause = error.__cause__ or error
        what = str(cause).partition("\n")[0] or type(error).__name__
        _log.error("EngineError: the other machines cannot be reached, or too few are left (%s). %s", what, _RESUME)
        return OUTSIDE
    return 0


def _watch(limit: float) -> None:
    """End this process once no rank has run for ``limit`` seconds since ranks were started."""
    started, last = False, time.monotonic()
    while True:
        time.sleep(min(1.0, limit / 20))
        if _is_a_rank_running():
            started, last = True, time.monotonic()
        elif started and time.monotonic() - last > limit:
            what = f"no process has run here for {limit:g} s, and the other machines do not answer or too few are left"
            _log.error("EngineError: %s. %s", what, _RESUME)
            os._exit(OUTSIDE)  # the main thread may be inside a call that never returns


def _is_a_rank_running() -> bool:
    """Return whether this process has children, and torchrun has taken note of all that ended."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


if __name__ == "__main__":
    sys.exit(main())
