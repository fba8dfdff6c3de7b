"""Find the number of this task in the environment that a cluster sets (--task auto).

::

    cluster                  number                                count                      first number
    Slurm, array job         SLURM_ARRAY_TASK_ID, _MIN and _MAX    SLURM_ARRAY_TASK_COUNT     the array's own
    AWS Batch, array job     AWS_BATCH_JOB_ARRAY_INDEX             AWS_BATCH_JOB_ARRAY_SIZE   0
    Kubernetes, indexed job  JOB_COMPLETION_INDEX                  not set: pass auto/COUNT   0
    torchrun                 RANK                                  WORLD_SIZE                 0

A wrong guess would leave blocks unpacked, so whatever is ambiguous is an error: variables of two clusters, a count that
differs from the given one, an array with gaps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mhpdata.errors import OptionError
from mhpdata.packing.tasks.plan import MOST, Task, parse_task

AUTO = "auto"
_AUTO = re.compile(r"auto/([0-9]{1,7})")
_SLURM, _KUBERNETES, _AWS, _TORCHRUN = "Slurm", "Kubernetes", "AWS Batch", "torchrun"
_NUMBERS = {
    _SLURM: "SLURM_ARRAY_TASK_ID",
    _AWS: "AWS_BATCH_JOB_ARRAY_INDEX",
    _KUBERNETES: "JOB_COMPLETION_INDEX",
    _TORCHRUN: "RANK",
}
_COUNTS = {_SLURM: "SLURM_ARRAY_TASK_COUNT", _AWS: "AWS_BATCH_JOB_ARRAY_SIZE", _TORCHRUN: "WORLD_SIZE"}
_EXPLICIT = "Pass --task NUMBER/COUNT."


def find_task(text: str, environ: Mapping[str, str]) -> Task:
    """Return the task that --task names.

    Args:
        text: NUMBER/COUNT, auto, or auto/COUNT; the environment is read for auto only.
        environ: Environment variables.

    Raises:
        OptionError: The text is invalid, or the environment does not name one task.
    """
    match = _AUTO.fullmatch(text)
    if text != AUTO and not match:
        return parse_task(text)
    clusters = [name for name, variable in _NUMBERS.items() if variable in environ]
    if len(clusters) != 1:
        known = ", ".join(f"{variable} ({name})" for name, variable in _NUMBERS.items())
        found = f"{text}, but the environment has none of {known}"
        if clusters:
            found = f"{text}, but the environment is that of {' and of '.join(clusters)}"
        raise OptionError("task", found, "the environment of one array job", _EXPLICIT)
    cluster = clusters[0]
    told = _value(_COUNTS[cluster], environ) if cluster in _COUNTS else None
    number = _slurm_number(environ) if cluster == _SLURM else _value(_NUMBERS[cluster], environ) + 1
    if not match and told is None:
        expected = "the number of tasks as well, which Kubernetes does not set"
        raise OptionError("task", text, expected, "Pass --task auto/COUNT with the job's .spec.completions.")
    count = int(match[1]) if match else told or 0
    if told is not None and told != count:
        found, expected = f"{text}, but {_COUNTS[cluster]} is {told}", f"an array of {count} tasks"
        remedy = "Pass the number of each task of the complete array, such as --task 3/100"
        if cluster == _SLURM:
            remedy += ", or --task $SLURM_ARRAY_TASK_ID/COUNT if that array began with 1"
        raise OptionError("task", found, expected, f"{remedy}.")
    if not 1 <= number <= count <= MOST:
        found = f"{text}, but {_NUMBERS[cluster]} is {environ[_NUMBERS[cluster]][:80]!r}"
        raise OptionError("task", found, f"the number of one of {count} tasks", _EXPLICIT)
    return Task(number, count)


def _slurm_number(environ: Mapping[str, str]) -> int:
    """Return the position of a task in Slurm's array, from 1."""
    here, first, last, count = (_value(f"SLURM_ARRAY_TASK_{name}", environ) for name in ("ID", "MIN", "MAX", "COUNT"))
    step = max((last - first) // max(count - 1, 1), 1)
    if last - first != (count - 1) * step or (here - first) % step or not first <= here <= last:
        found = f"an array of {count} tasks from {first} to {last}, with gaps"
        remedy = "Pass --task $SLURM_ARRAY_TASK_ID/COUNT with the COUNT of the complete array, if that began with 1."
        raise OptionError("task", found, "an array with one step", remedy)
    return (here - first) // step + 1


def _value(name: str, environ: Mapping[str, str]) -> int:
    """Return the whole number in an environment variable."""
    value = environ.get(name)
    if value is None or not re.fullmatch("[0-9]{1,9}", value):
        found = f"{name} is not set" if value is None else f"{name} is {value[:80]!r}"
        raise OptionError("task", found, "a whole number of 0 or more", _EXPLICIT)
    return int(value)
