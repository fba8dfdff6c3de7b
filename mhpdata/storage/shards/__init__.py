"""Containers of records: one module per format."""
