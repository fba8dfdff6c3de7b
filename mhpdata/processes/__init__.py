"""Threads of this process, their pool and tasks; the end of a process with the one that started it."""
