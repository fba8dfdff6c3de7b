"""One module per dataset: how its files lie on disk after unpacking."""
