"""Scalars for TensorBoard, written with TensorBoard's own writer, so no framework is needed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mhpdata.errors import MissingError
from mhpdata.filesystem.descriptors import hold_standard


class Board:
    """Write scalars to an event file in ``folder``.

    Args:
        folder: folder to pass to ``tensorboard --logdir``.
        step: first step to write, from 0. Points that an earlier event file has for later steps are hidden.

    Raises:
        MissingError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            remedy = "Run pip install tensorboard, or omit --tensorboard."
            raise MissingError("tensorboard", f"cannot be imported ({error})", "", remedy) from error
        self._event: Any = event_pb2.Event
        self._summary: Any = summary_pb2.Summary
        hold_standard()
        self._writer: Any = EventFileWriter(str(folder))
        if step:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._writer.add_event(self._event(wall_time=time.time(), step=step, session_log=start))

    def add(self, step: int, **values: float) -> None:
        """Add one point to each named curve."""
        points = [self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=points)))

    def close(self) -> None:
        """Write the remaining events and close the file."""
        self._writer.close()
