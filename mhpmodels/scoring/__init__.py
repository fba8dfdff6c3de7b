"""Predictions in files against the labels, persons included (mhp score)."""
