"""Get the archive of a dataset, and extract the files of its release."""
