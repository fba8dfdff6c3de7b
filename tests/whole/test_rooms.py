"""Import rules: frameworks stay in their rooms, and the --help of a command imports little."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT, TESTS, files, module_of

FRAMEWORKS = {
    *("mxnet", "gluoncv", "torch", "torchvision", "tensorflow", "jax", "onnx", "onnxscript", "onnxruntime"),
    *("transformers", "safetensors", "huggingface_hub"),
}
FRAMEWORK_FOLDERS = ("mhpmodels/engines/", "mhpmodels/networks/")
HEAVY = {
    "numba",
    "cv2",
    "h5py",
    "matplotlib",
    "tqdm",
    "simplejpeg",
    "dask",
    "obstore",
    "distributed",
    "gdown",
} | FRAMEWORKS

ROOMS = """
room                    may import
mhpdata
mhpdata.kernels
mhpdata.filesystem
mhpdata.processes
mhpdata.settings
mhpdata.label_sets
mhpdata.images
mhpdata.masks           images
mhpdata.remote
mhpdata.source          images masks remote
mhpdata.drawing
mhpdata.storage         images masks drawing remote
mhpdata.exporting       images masks storage
mhpdata.packing         images masks source drawing storage remote
mhpdata.editing         images masks source remote storage packing
mhpdata.loading         images masks drawing storage
mhpdata.measuring       drawing remote storage loading
mhpdata.checking        images masks source drawing storage packing
mhpdata.synth           images
mhpdata.fetching        checking
mhpmodels
mhpmodels.figures
mhpmodels.files         images remote storage
mhpmodels.networks      files
mhpmodels.engines       files networks
mhpmodels.inference     images networks engines
mhpmodels.persons       images masks source
mhpmodels.evaluation    images masks storage loading files engines inference persons
mhpmodels.scoring       images masks source storage exporting files persons evaluation
mhpmodels.training      storage loading files engines inference persons evaluation
mhpmodels.prediction    images source remote storage fetching files networks engines inference persons figures
mhpmodels.showing       images masks source storage loading files persons evaluation scoring training figures
mhpmodels.browsing      images masks source storage loading files persons evaluation scoring training figures
"""
"""All rooms in the order of the pipeline: a room may import the rooms above it that its line names, and modules outside
rooms: the files of ``mhpdata`` and ``mhpmodels`` themselves, ``mhpdata.kernels``, ``mhpdata.filesystem``,
``mhpdata.processes``, ``mhpdata.settings``, the option classes that the loader, ``mhpmodels.config`` and the commands'
help share, and ``mhpdata.label_sets``, the classes of all datasets."""
ALLOWED = {line.split()[0]: set(line.split()[1:]) for line in ROOMS.strip().split("\n")[1:]}
GROUND = {
    *("mhpdata", "mhpdata.kernels", "mhpdata.filesystem", "mhpdata.processes", "mhpdata.settings"),
    *("mhpdata.label_sets", "mhpmodels"),
}
NO_COMMANDS = ("__init__", "__main__", "arguments", "flags", "messages", "network", "paths", "running")
"""Modules of tools/ that several commands share."""
MOST_FILES = 14
"""Maximum files per room or ground floor, without ``__init__``."""


def imports(path: Path) -> set[str]:
    """Return the dotted names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_frameworks_are_imported_only_by_engines_and_networks():
    for path in files("mhpdata", "mhpmodels", "tools"):
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith(FRAMEWORK_FOLDERS):
            assert not {name.split(".")[0] for name in imports(path)} & FRAMEWORKS, place


def test_mhpdata_imports_neither_mhpmodels_nor_tools_and_nobody_imports_tools():
    for path in files("mhpdata", "mhpmodels"):
        tops = {name.split(".")[0] for name in imports(path)}
        assert not tops & {"tools", "mhptools", "tests", "benchmarks"}, path
        assert "mhpmodels" not in tops or path.is_relative_to(ROOT / "mhpmodels"), path


def room(module: str) -> str:
    """Return the room of a module: mhpdata.storage for mhpdata.storage.shards.file; a package is its ground floor."""
    parts = module.split(".")
    return ".".join(parts[:2]) if (ROOT / "/".join(parts[:2])).is_dir() else parts[0]


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """Return our modules that a file imports; for ``from package import module`` only the module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in modules else node.module for name in names}
    return found & modules - {module_of(path)}


def test_every_file_is_in_a_room_of_the_table():
    found = {room(module_of(path)) for path in files("mhpdata", "mhpmodels")}
    assert found == set(ALLOWED)


def test_each_room_imports_only_what_the_table_lets_it():
    modules = {module_of(path) for path in files("mhpdata", "mhpmodels")}
    for path in files("mhpdata", "mhpmodels"):
        if module_of(path) in ("mhpdata", "mhpmodels"):
            continue  # its names are imported on first use
        here = room(module_of(path))
        there = {room(name) for name in imported_modules(path, modules)} - {here} - GROUND
        assert {name.split(".")[1] for name in there} <= ALLOWED[here], path


def test_the_table_has_no_circles():
    """A room may import only rooms above it; all rooms of mhpdata are above those of mhpmodels."""
    above = set()
    for name, allowed in ALLOWED.items():
        assert allowed <= above, name
        above |= {name.rpartition(".")[2]}


def test_the_ground_floor_knows_no_room():
    modules = {module_of(path) for path in files("mhpdata", "mhpmodels")}
    for path in files("mhpdata", "mhpmodels"):
        if room(module_of(path)) in GROUND and module_of(path) not in ("mhpdata", "mhpmodels"):
            assert {room(name) for name in imported_modules(path, modules)} <= GROUND, path


def test_no_file_imports_itself_by_way_of_others():
    """This excludes circles between the files of one room."""
    modules = {module_of(path) for path in files("mhpdata", "mhpmodels")} - {"mhpdata", "mhpmodels"}
    graph = {module_of(p): imported_modules(p, modules) for p in files("mhpdata", "mhpmodels")}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " imports ".join([*way, module])
        if module not in done:
            for other in graph[module]:
                visit(other, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_a_room_is_small_and_exports_nothing():
    for path in files("mhpdata", "mhpmodels"):
        if path.name == "__init__.py" and path.parent.parent != ROOT:
            assert not imports(path) - {"__future__", "__future__.annotations"} or "engines" in path.parts, path
        if path.name == "__init__.py":
            beside = [other for other in path.parent.glob("*.py") if other != path]
            assert len(beside) <= MOST_FILES, path.parent


def test_each_folder_of_tests_is_a_room():
    beside = {"examples", "ground", "whole", "tools", "support", "golden", "data"}
    rooms = {name.rpartition(".")[2] for name in ALLOWED}
    assert {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"} <= rooms | beside


def test_functions_stay_functions_after_every_room_was_imported():
    rooms = " ".join(f"import {name};" for name in ALLOWED if name.startswith("mhpdata."))
    code = f"{rooms} import mhpdata; from inspect import isfunction as f; print(*map(f, (mhpdata.pack, mhpdata.open)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["True", "True"]


def test_nothing_is_unpickled_anywhere():
    for path in files("mhpdata", "mhpmodels", "tools"):
        assert not {name.split(".")[0] for name in imports(path)} & {"pickle", "marshal", "shelve", "dill"}, path
        assert "allow_pickle=True" not in path.read_text(encoding="utf-8"), path


def test_what_could_unpickle_is_told_not_to():
    asked = {"torch": "weights_only", "np": "allow_pickle", "numpy": "allow_pickle"}
    calls = 0
    for path in files("mhpdata", "mhpmodels", "tools"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            owner = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
            if isinstance(owner, ast.Name) and owner.id in asked and node.func.attr == "load":
                given = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
                assert given.get(asked[owner.id]) is (owner.id == "torch"), f"{path}:{node.lineno}"
                calls += 1
    assert calls >= 2, "the bundle's arrays and PyTorch's weights, at least"


@pytest.mark.parametrize(
    "tool",
    [path.stem for path in files("tools") if path.stem not in NO_COMMANDS],
)
def test_help_imports_nothing_heavy_and_has_an_example(tool):
    code = (
        f"import sys, mhptools.{tool} as tool\ntry: tool.main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    text, modules = out.rstrip("\n").rsplit("\n", 1)
    assert f"  mhp {tool.replace('mhp', 'synth')} " in text, "an example to paste"
    assert not set(modules.split()) & HEAVY


def test_importing_the_packages_imports_nothing_heavy():
    code = "import sys, mhpdata, mhpmodels; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(out.split()) & HEAVY


def test_json_of_others_is_parsed_in_one_place():
    for path in files("mhpdata", "mhpmodels", "tools"):
        assert path.name == "fields.py" or "json.load" not in path.read_text(encoding="utf-8"), path


def test_one_place_says_how_kernels_are_compiled():
    """Only jit.py handles a cache folder that cannot be written."""
    for path in files("mhpdata", "mhpmodels"):
        assert path.name == "jit.py" or "cache=True" not in path.read_text(encoding="utf-8"), path


def test_one_place_imports_opencv():
    """opencv.py gives the remedy if OpenCV is broken."""
    for path in files("mhpdata", "mhpmodels", "tools"):
        assert path.name == "opencv.py" or "cv2" not in imports(path), path
