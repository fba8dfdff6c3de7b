"""The distribution ``mhp``: packages mhpdata and mhpmodels, and the commands in tools/ (installed as ``mhptools``)."""

from setuptools import setup

COMMANDS = ("pack", "show", "synth", "verify")

setup(
    name="mhp",
    version="0.1.0",
    description="Multi-human parsing: pack a downloaded dataset into clean shards, check it, look at it, train on it",
    python_requires=">=3.10",
    packages=["mhpdata", "mhpdata.layouts", "mhpdata.shards", "mhpmodels", "mhptools"],
    package_dir={"mhptools": "tools"},
)
