"""Command-line interface, installed as ``mhptools``: each command parses, makes one library call and prints."""
