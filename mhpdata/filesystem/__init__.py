"""How files are opened, read within bounds, told from other people's, and written whole."""
