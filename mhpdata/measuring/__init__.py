"""Measure the loader on this machine: threads of one process, several ranks, and a replay of a training run's steps."""
