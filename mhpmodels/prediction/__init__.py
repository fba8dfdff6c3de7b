"""Predict label PNGs and overlays with a trained network, and convert its weights (mhp predict, mhp convert)."""
