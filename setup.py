"""The distribution ``mhp``: packages mhpdata and mhpmodels, and the commands in tools/ (installed as ``mhptools``)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "mhpdata/__init__.py").read_text(encoding="utf-8"), re.M)
COMMANDS = ("bench", "convert", "eval", "pack", "predict", "score", "show", "synth", "train", "verify")

CORE = ["click>=8.1", "h5py>=3.8", "numba>=0.59", "numpy>=1.23", "opencv-python>=4.8.1.78"]
CORE += ["simplejpeg>=1.7", "tqdm>=4.60"]
GLUONCV = ["gluoncv==0.10.5.post0", "numpy>=1.23.2,<1.24"]
EXTRAS = {
    "viz": ["matplotlib>=3.7", "tensorboard>=2.12"],
    # MXNet is retired: 1.9.1 is its last release, and needs numpy 1.23. The cu builds need that CUDA on the machine.
    "mxnet": ["mxnet==1.9.1", *GLUONCV],
    "mxnet-cu112": ["mxnet-cu112==1.9.1", *GLUONCV],
    "mxnet-cu101": ["mxnet-cu101mkl==1.6.0.post0", *GLUONCV],
    "torch": ["torch>=2.6"],
    "onnx": ["onnx>=1.21", "onnxruntime>=1.18", "onnxscript>=0.1", "torch>=2.6"],
    "dev": [
        *("hypothesis>=6.100", "mypy>=1.10", "pillow>=10", "pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.5"),
        "ruff>=0.6",
    ],
}

setup(
    name="mhp",
    version=VERSION[1],
    description="Multi-human parsing: pack a downloaded dataset into clean shards, check it and look at it",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.10",
    packages=[*find_packages(include=["mhpdata", "mhpdata.*", "mhpmodels", "mhpmodels.*"]), "mhptools"],
    package_dir={"mhptools": "tools"},
    package_data={"mhpdata": ["py.typed"], "mhpmodels": ["py.typed"]},
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": [f"mhp-{name} = mhptools.{name}:main" for name in COMMANDS]},
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
