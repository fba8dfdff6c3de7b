"""Pack a source folder, in parallel and resumable (mhp pack)."""
