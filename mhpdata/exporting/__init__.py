"""Write a packed folder in the form that other programs read (mhp export)."""
