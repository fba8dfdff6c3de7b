"""A row of a comparison: a command that prints a line of JSON, run again and again, each time in a new process."""

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
"""Commands run here: ``python -m peers.measure``."""
LIMIT_S = 600
"""A command that takes longer has failed."""


@dataclass
class Variant:
    """One row: how it is run, and what came out.

    Attributes:
        name: of the row.
        command: up to the options that say how long.
        runs: a JSON line each.
        reason: why there are none, or fewer than there are rounds.
        failures: runs that failed.
        environment: added to that of this process.
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
        """Of all runs."""
        return statistics.median(run[column] for run in self.runs)


class FailedError(Exception):
    """A command has failed; the message is its last line."""


def call(
    command: list[str], limit: float = LIMIT_S, log: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    """What the command prints; nothing that it started outlives it. ``environment`` is added to this process's.

    Raises:
        FailedError: it ends with an error, or takes too long.
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
    """The line that tells most: what a check found, pip's last error, else the last line."""
    errors = [line for line in lines if line.startswith(("ERROR:", '{"peer"'))]
    return ((errors or lines or [f"exit status {code}"])[-1]).strip()


def check_variant(variant: Variant, data: Path) -> None:
    """Fill ``checked``, or ``reason``."""
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
    """One more run, or a ``reason``."""
    if variant.checkable:
        timing = ["--data", str(data / "peer"), "--seconds", str(seconds), "--seed", str(seed)]
        command = [*variant.command, *timing]
    else:
        command = [part.format(data=data, seconds=seconds) for part in variant.command]
    try:
        run = last_line(call(command, environment=variant.environment))
    except FailedError as error:
        variant.reason, variant.failures = _wrong(str(error)) or str(error), variant.failures + 1
        print(f"{variant.name:24} {variant.reason}", flush=True)
        return
    variant.runs.append(run)
    print(f"{variant.name:24} {run['CPU ms/image']:8.2f} CPU ms/image {run['images/s']:8.1f} images/s", flush=True)


def last_line(text: str) -> dict[str, Any]:
    """The JSON that a run ends with."""
    lines = text.strip().splitlines()
    try:
        return dict(json.loads(lines[-1]))
    except (IndexError, ValueError) as error:
        raise FailedError(f"printed no JSON: {lines[-1] if lines else ''}") from error
