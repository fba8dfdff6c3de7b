"""Compare a packed folder, or a download, with what it has to be (mhp-verify)."""
