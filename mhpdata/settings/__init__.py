"""Declare the loader's options as small frozen classes that check themselves."""
