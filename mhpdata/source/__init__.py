"""A dataset as downloaded: its files, lists and entries. Only read, never written."""
