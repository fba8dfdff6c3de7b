"""Packages of the distribution; pyproject.toml has the rest. The commands in tools/ are installed as ``mhptools``."""

from setuptools import find_packages, setup

OURS = ["mhpdata", "mhpdata.*", "mhpmodels", "mhpmodels.*"]

setup(
    packages=[*find_packages(include=OURS), "mhptools"],
    package_dir={"mhptools": "tools"},
    package_data={"mhpdata": ["py.typed"], "mhpmodels": ["py.typed"]},
)
