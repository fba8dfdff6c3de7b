"""A plan to pixels."""
