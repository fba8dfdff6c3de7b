"""Open files, read them within bounds, tell mhp's own files from others, and write them atomically."""
