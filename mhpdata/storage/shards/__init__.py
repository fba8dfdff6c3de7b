"""Containers for records: one module per format."""
