"""The masks of all persons to one label map. The overlap rule lives here only."""
