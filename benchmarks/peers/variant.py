"""A row of a comparison: a command that prints a line of JSON, run repeatedly in new processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent
"""Working folder of commands such as ``python -m peers.measure``."""
LIMIT_S = 600
"""Time limit of a command, in seconds."""


@dataclass
class Variant:
    """One row: its command and its results.

    Attributes:
        name: Name of the row.
        command: Command without the options for data and duration.
        own: Whether the row measures our own loader.
        checkable: Whether the command takes ``--check`` and the timing options of peers.measure.
        runs: Parsed JSON line of each run.
        checked: Figures of the check.
        reason: Reason for missing runs; empty if there is none.
        failures: Number of failed runs.
        environment: Variables added to this process's environment.
    """

    name: str
    command: list[str]
    own: bool = False
    checkable: bool = True
    runs: list[dict[str, Any]] = field(default_factory=list)
    checked: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    failures: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def median(self, column: str) -> float:
        """Return the median of a column over all runs."""
        return statistics.median(run[column] for run in self.runs)


class FailedError(Exception):
    """A command failed; the message is its most informative line."""


def call(
    command: list[str], limit: float = LIMIT_S, log: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    """Run a command and return its output; end all processes that it started. ``environment`` adds variables.

    Raises:
        FailedError: The command ends with an error or exceeds ``limit`` seconds.
    """
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT if log else subprocess.PIPE}
    process = subprocess.Popen(
        command, cwd=FOLDER, text=True, start_new_session=True, env={**os.environ, **(environment or {})}, **streams
    )
    try:
        out, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise FailedError(f"no answer within {limit:.0f} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if log:
        log.write_text(out)
    if process.returncode:
        lines = [line for line in f"{errors or ''}\n{out}".splitlines() if line.strip()]
        raise FailedError(_reason(lines, process.returncode))
    return out


def _reason(lines: list[str], code: int) -> str:
    """Return the most informative line: the result of a check, pip's last error, else the last line."""
    errors = [line for line in lines if line.startswith(("ERROR:", '{"peer"'))]
    return ((errors or lines or [f"exit status {code}"])[-1]).strip()


def check_variant(variant: Variant, data: Path) -> None:
    """Check a variant on the target images; set ``checked``, or ``reason`` if it fails."""
    command = [*variant.command, "--data", str(data / "target" / "peer"), "--check"]
    try:
        variant.checked = last_line(call(command, environment=variant.environment))["checked"]
    except FailedError as error:
        variant.reason = _wrong(str(error)) or str(error)


def _wrong(text: str) -> str:
    try:
        return "does not do the task: " + json.loads(text)["wrong"]
    except (ValueError, KeyError, TypeError):
        return ""


def run_variant(variant: Variant, data: Path, seconds: float, seed: int) -> None:
    """Run a variant once; append to ``runs``, or set ``reason`` if it fails."""
    if variant.checkable:
        timing = ["--data", str(data / "peer"), "--seconds", str(seconds), "--seed", str(seed)]
        command = [*variant.command, *timing]
    else:
        command = [word.format(data=data, seconds=seconds) for word in variant.command]
    try:
        run = last_line(call(command, environment=variant.environment))
    except FailedError as error:
        variant.reason, variant.failures = _wrong(str(error)) or str(error), variant.failures + 1
        print(f"{variant.name:24} {variant.reason}", flush=True)
        return
    variant.runs.append(run)
    print(f"{variant.name:24} {run['CPU ms/image']:8.2f} CPU ms/image {run['images/s']:8.1f} images/s", flush=True)


def last_line(text: str) -> dict[str, Any]:
    """Return the JSON in the last line of a run's output; raise FailedError if there is none."""
    lines = text.strip().splitlines()
    try:
        return dict(json.loads(lines[-1]))
    except (IndexError, ValueError) as error:
        raise FailedError(f"printed no JSON: {lines[-1] if lines else ''}") from error
