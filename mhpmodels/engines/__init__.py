"""One module or package per framework; all implement the interface in ``engine``."""
