"""Build the wheel and the sdist without an index, check their contents, and use the wheel in an empty environment.

Run ``make dist``. The wheels of the dependencies are downloaded first; after that, nothing needs a network: pip runs
with ``--no-index`` and without its configuration files. The exit status is 1 if a file is missing or unexpected.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

from places import ROOT

PACKAGES = {"mhpdata": "mhpdata", "mhpmodels": "mhpmodels", "mhptools": "tools"}
"""Names in the wheel and folders in the source tree."""
LEGAL = ("LICENSE", "NOTICE")
ELSEWHERE = ("tests", "benchmarks", "examples", "docs", "constraints")
"""Folders of the source tree that neither the wheel nor the sdist holds."""
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output; exit with that output if it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**clean, **(env or {})}, text=True, capture_output=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def build(out: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist; return the paths of wheel and sdist."""
    for old in (*out.glob("mhpkit-*.whl"), *out.glob("mhpkit-*.tar.gz")):
        old.unlink()
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, env=OFFLINE)
    (wheel,), (sdist,) = out.glob("mhpkit-*.whl"), out.glob("mhpkit-*.tar.gz")
    return wheel, sdist


def modules() -> set[str]:
    """List the modules and markers that the wheel must hold, as paths inside it."""
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES.values()).splitlines()
    names = {folder: name for name, folder in PACKAGES.items()}
    there = [path for path in tracked if (ROOT / path).exists()]
    return {"/".join((names[path.split("/")[0]], *path.split("/")[1:])) for path in there}


def check_wheel(wheel: Path) -> list[str]:
    """List the errors of the wheel: exactly our modules, py.typed, LICENSE and NOTICE are allowed."""
    names = set(zipfile.ZipFile(wheel).namelist())
    info = next(name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info"))
    metadata = zipfile.ZipFile(wheel).read(f"{info}/METADATA").decode()
    inside = {name for name in names if not name.startswith(f"{info}/")}
    faults = [f"wheel: {name} is missing" for name in sorted(modules() - inside)]
    faults += [f"wheel: {name} does not belong there" for name in sorted(inside - modules())]
    wanted = [f"{info}/licenses/{name}" for name in LEGAL] + ["mhpdata/py.typed", "mhpmodels/py.typed"]
    faults += [f"wheel: {name} is missing" for name in wanted if name not in names]
    lines = ("License-Expression: Apache-2.0", *(f"License-File: {name}" for name in LEGAL))
    return faults + [f"wheel: METADATA has no line {line!r}" for line in lines if line not in metadata.splitlines()]


def check_sdist(sdist: Path) -> list[str]:
    """List the errors of the sdist."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = [*LEGAL, "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "setup.py"]
    faults = [f"sdist: {name} is missing" for name in wanted if name not in names]
    return faults + [f"sdist: {name} does not belong there" for name in names if name.split("/")[0] in ELSEWHERE]


def try_wheel(wheel: Path, wheels: Path, folder: Path) -> None:
    """Install the wheel into an empty environment without an index, and run its commands there."""
    from mhpdata import __version__

    venv.create(folder / "venv", with_pip=True)
    bin_folder = folder / "venv/bin"
    install = (bin_folder / "python", "-m", "pip", "install", "--no-index", "--quiet")
    run(*install, "--no-deps", wheel, cwd=folder, env=OFFLINE)
    found = run(bin_folder / "python", "-c", "import mhpdata; print(mhpdata.__version__)", cwd=folder).strip()
    if found != __version__:
        sys.exit(f"the installed version is {found}, expected {__version__}")
    run(*install, "--find-links", wheels, wheel, cwd=folder, env=OFFLINE)
    env = {"NUMBA_CACHE_DIR": str(folder / "kernels")}
    for command in sorted(bin_folder.glob("mhp*")):
        words = run(command, "--help", cwd=folder)
        if "--version" in words and __version__ not in (said := run(command, "--version", cwd=folder)):
            sys.exit(f"{command.name} --version printed {said!r}, expected {__version__}")
    run(bin_folder / "mhp-synth", "--out", "MHP_v1", "--images", "12", "--scale", "0.25", cwd=folder, env=env)
    run(bin_folder / "mhp-pack", "--src", "MHP_v1", "--out", "rec", "--workers", "1", cwd=folder, env=env)
    run(bin_folder / "mhp-verify", "rec", "--deep", cwd=folder, env=env)
    run(bin_folder / "mhp-browse", "rec", "--out", "site", cwd=folder, env=env)  # has files that are not modules


def main() -> None:
    """Build, check and install."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="Folder of the wheel and the sdist.")
    parser.add_argument("--wheels", type=Path, help="Wheels of the dependencies.  [default: download them]")
    given = parser.parse_args()
    out = given.out.resolve()
    wheel, sdist = build(out)
    faults = check_wheel(wheel) + check_sdist(sdist)
    if faults:
        sys.exit("\n".join(faults))
    with tempfile.TemporaryDirectory() as folder:
        wheels = given.wheels.resolve() if given.wheels else Path(folder, "wheels")
        if not given.wheels:
            pins = ROOT / "constraints/b.txt"
            done = subprocess.run(
                [sys.executable, "-m", "pip", "download", "-q", "-c", str(pins), "-d", str(wheels), str(wheel)]
            )
            if done.returncode:
                sys.exit("The wheels of the dependencies could not be downloaded. Pass --wheels FOLDER.")
        try_wheel(wheel, wheels, Path(folder))
    print(f"{wheel.name} and {sdist.name}: built, checked, installed and run without an index.")
    print(f"Results: {out}")


if __name__ == "__main__":
    main()
