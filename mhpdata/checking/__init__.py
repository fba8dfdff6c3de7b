"""Verify a packed folder or a download (mhp verify)."""
