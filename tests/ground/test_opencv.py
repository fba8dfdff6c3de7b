"""A missing or broken OpenCV is one error with the command that repairs it; opencv-python-headless works."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from places import ROOT

from mhpdata import opencv

COMMANDS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from importlib import import_module
from click.testing import CliRunner
rec, out = sys.argv[2:]
found = {}
for name, arguments in {
    "pack": ["--src", rec, "--out", out],
    "verify": [rec],
    "show": [rec, "--out", out + ".png"],
    "predict": ["--checkpoint", rec, "--out", out, "--data", rec],
    "score": ["--data", rec, "--pred", rec],
    "train": ["--data", rec, "--save-dir", out],
    "synth": ["--out", out],
}.items():
    done = CliRunner().invoke(import_module(f"mhptools.{name}").main, arguments)
    found[name] = done.exit_code, done.stderr
print(json.dumps(found))
"""


def run_commands(stub, small, tmp_path):
    arguments = [str(stub), str(small), str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", COMMANDS, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the installed cv2 has no cvtColor"),
        ("raise ImportError('libGL.so.1: cannot open it')", "cannot be imported (libGL.so.1: cannot open it)"),
    ],
)
def test_a_broken_opencv_is_one_error_of_every_command(small, tmp_path, content, said):
    (tmp_path / "stub/cv2").mkdir(parents=True)
    (tmp_path / "stub/cv2/__init__.py").write_text(content)
    for name, (status, error) in run_commands(tmp_path / "stub", small, tmp_path).items():
        assert status == 3, (name, error)
        assert error.startswith(f"MissingError: OpenCV: {said}. ") and error.count("\n") == 1, (name, error)
        assert "pip install" in error and ("apt-get" in error) == (content != ""), (name, error)


@pytest.mark.parametrize(
    ("installed", "command"),
    [
        ({}, "pip install opencv-python"),
        ({"opencv-python": "4.11.0.86"}, "pip install --force-reinstall --no-deps opencv-python==4.11.0.86"),
        ({"opencv-python-headless": "5.0"}, "pip install --force-reinstall --no-deps opencv-python-headless==5.0"),
        (
            {"opencv-python": "5.0", "opencv-python-headless": "4.9"},
            "pip uninstall -y opencv-python-headless && pip install --force-reinstall --no-deps opencv-python==5.0",
        ),
    ],
)
def test_the_command_leaves_one_package_of_the_version_that_is_there(monkeypatch, installed, command):
    def version(name):
        if name not in installed:
            raise opencv.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(opencv, "version", version)
    assert opencv._to_repair() == command


@pytest.mark.slow
def test_headless_alone_does(tmp_path):
    """Run the core's tests of images, packing and checking in a separate environment."""
    there = opencv.version("opencv-python")
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    core = [f"{name}=={opencv.version(name)}" for name in ("numpy", "numba", "h5py", "simplejpeg", "click", "tqdm")]
    tests = [f"{name}=={opencv.version(name)}" for name in ("pytest", "pytest-timeout", "hypothesis", "pillow")]
    install = [python, "-m", "pip", "install", "--quiet", f"opencv-python-headless=={there}", *core, *tests]
    subprocess.run(install, check=True)
    (tmp_path / "path").mkdir()
    for name, folder in (("mhpdata", "mhpdata"), ("mhpmodels", "mhpmodels"), ("mhptools", "tools")):
        (tmp_path / "path" / name).symlink_to(ROOT / folder)
    names = {
        "checking": ["packed"],
        "files": ["png"],
        "images": ["decode", "gif", "header", "resize"],
        "masks": ["merge"],
        "packing": ["pack"],
        "prediction": ["predict"],
        "storage": ["codec"],
        "synth": ["forms"],
    }
    files = [ROOT / f"tests/{room}/test_{name}.py" for room, modules in names.items() for name in modules]
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", *files]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "path")}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout
