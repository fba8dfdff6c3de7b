"""A trained network to files: label PNGs, overlays, other formats (mhp-predict, mhp-convert)."""
