"""Packages of the distribution; all else is in pyproject.toml. The commands in tools/ are installed as ``mhptools``."""

from setuptools import find_packages, setup

OURS = ["mhpdata", "mhpdata.*", "mhpmodels", "mhpmodels.*"]

setup(
    packages=[*find_packages(include=OURS), "mhptools"],
    package_dir={"mhptools": "tools"},
    package_data={
        "mhpdata": ["py.typed", "checking/*.gz", "label_sets/data/*.json"],
        "mhpmodels": ["py.typed", "browsing/assets/*"],
    },
)
