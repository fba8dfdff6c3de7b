"""Scalars for TensorBoard, by TensorBoard's own writer; no framework is needed for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mhpdata.errors import MissingError
from mhpdata.filesystem.descriptors import hold_standard


class Board:
    """An event file in ``folder``.

    Args:
        folder: ``tensorboard --logdir`` shows it.
        step: where the run goes on; what an earlier file says of later steps is hidden.

    Raises:
        MissingError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            remedy = "Run: pip install tensorboard; or leave --tensorboard out."
            raise MissingError("tensorboard", f"cannot be imported ({error})", "", remedy) from error
        self._event: Any = event_pb2.Event
        self._summary: Any = summary_pb2.Summary
        hold_standard()
        self._writer: Any = EventFileWriter(str(folder))
        if step:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._writer.add_event(self._event(wall_time=time.time(), step=step, session_log=start))

    def add(self, step: int, **values: float) -> None:
        """One point of each named curve."""
        points = [self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=points)))

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
