"""One module per dataset: the layout of its files on disk after extraction."""
