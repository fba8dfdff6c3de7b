"""The commands, installed as ``mhptools``: each parses, makes one library call, prints."""
