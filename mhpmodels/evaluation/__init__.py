"""Predictions of a network against the labels (mhp-eval)."""
