"""Persons in predictions: group pixels into persons, read and write lists of persons, and score them."""
