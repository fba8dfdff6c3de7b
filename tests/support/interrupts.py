"""Raise KeyboardInterrupt, as Ctrl-C does, by a timer or at the n-th point where Python checks for signals.

Both raise in the main thread. A function that still runs 30 s later hangs, and AssertionError ends it.
"""

from __future__ import annotations

import gc
import opcode
import signal
import sys
import threading
import time

HANGS = 30


def interrupt_after(seconds, function):
    """Call the function repeatedly; interrupt it by a signal ``seconds`` from now."""
    came = []

    def handler(number, frame):
        if came:
            raise AssertionError("hangs, or has lost the interrupt")
        came.append(number)
        signal.setitimer(signal.ITIMER_REAL, HANGS)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
        while True:
            function()
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Places:
    """Call ``function`` and interrupt it at one point.

    Python checks for signals after a call, at the start of a function and at a backward jump.
    """

    def __init__(self, function):
        self._function = function
        self._seen = self._stop = 0
        self._last = {}

    def count(self):
        """Return the number of points."""
        self._run(sys.maxsize)
        return self._seen

    def interrupt(self, place):
        """Call the function and raise KeyboardInterrupt at the point; return False if the function ends before it."""
        before = signal.signal(signal.SIGALRM, _hangs)
        signal.setitimer(signal.ITIMER_REAL, HANGS)
        try:
            self._run(place)
        except KeyboardInterrupt:
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return False

    def _run(self, stop):
        self._seen, self._stop, self._last = 0, stop, {}
        outer = sys.gettrace()  # the trace function of a debugger or of coverage
        sys._getframe().f_trace_opcodes = True  # Python 3.12 reads this only when settrace is called
        sys.settrace(self._trace)
        try:
            self._function()
        finally:
            sys.settrace(outer)

    def _trace(self, frame, event, argument):
        if frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            last = self._last.get(frame, "")
            self._last[frame] = opcode.opname[frame.f_code.co_code[frame.f_lasti]]
            if last.startswith(("CALL", "RESUME", "JUMP_BACKWARD")):
                self._seen += 1
                if self._seen > self._stop:
                    self._last.clear()
                    raise KeyboardInterrupt
        elif event == "return":
            self._last.pop(frame, None)
        return self._trace


def _hangs(number, frame):
    raise AssertionError("hangs")


def check_no_thread(*names):
    """Assert that threads of these names end by themselves."""
    end = time.monotonic() + HANGS
    while left := [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]:
        assert time.monotonic() < end, left
        gc.collect()
        time.sleep(0.001)
