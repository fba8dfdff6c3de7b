"""Read the times of training steps, which a replay waits for in place of a GPU.

::

    # PSPNet, resnet50, one H100, 16 images of 768 x 768
    0.184
    0.183
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from mhpdata.errors import OptionError
from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import to_open, unread

MAX_BYTES = 1 << 26
"""Maximum size of a file of step times, in bytes."""
LONGEST_S = 3600.0
"""Maximum duration of a step, in seconds."""
_REMEDY = "Write the duration of each step on a line of its own; lines that begin with # are comments."


def read_step_times(path: str | Path) -> tuple[float, ...]:
    """Return the durations in a file, in seconds: one number per line; empty lines and comments (#) are ignored.

    Raises:
        OptionError: The file cannot be read, or holds something else.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode()
    except OSError as error:
        remedy = to_open(error, path, "a file of step times, or of a run folder of mhp train")
        raise OptionError("replay", f"{path} is {unread(error)}", "", remedy) from error
    except UnicodeDecodeError as error:
        raise OptionError("replay", f"{path} is not a text file", "seconds per step", _REMEDY) from error
    times = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            times.append(float(line))
        except ValueError as error:
            found = f"{path}, line {number}, is {line.strip()[:40]!r}"
            raise OptionError("replay", found, "seconds, such as 0.184", _REMEDY) from error
    if not times:
        raise OptionError("replay", f"{path} holds no step", "seconds per step", _REMEDY)
    return check_steps(times)


def check_steps(times: Sequence[float]) -> tuple[float, ...]:
    """Return durations of steps; raise OptionError for one that is negative, non-finite or too long."""
    for number, seconds in enumerate(times, 1):
        if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST_S):
            expected = f"0 to {LONGEST_S:.0f} seconds"
            raise OptionError("replay", f"step {number} takes {seconds} seconds", expected, "Correct this step time.")
    return tuple(map(float, times))
