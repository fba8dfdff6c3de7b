"""Evaluate a network against the labels of a split (mhp eval)."""
