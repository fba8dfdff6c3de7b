"""Whole pictures: contact sheets, curves, the worst predictions (mhp-show)."""
