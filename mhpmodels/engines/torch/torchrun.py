"""Run torchrun, and exit with the status of the rank that failed first; torchrun itself always exits with 1.

Run:  python -m mhpmodels.engines.torch.torchrun [torchrun's arguments]

Each rank prints its own error, so torchrun's summary is omitted.
"""

from __future__ import annotations

import logging
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

_log = logging.getLogger(__name__)  # without a handler, Python prints errors on stderr


def main() -> int:
    """Run torchrun, and return its exit status: 128 + n if signal n ended torchrun or a rank, as in a shell."""
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
