"""A source to a packed folder, in parallel and resumable (mhp-pack)."""
