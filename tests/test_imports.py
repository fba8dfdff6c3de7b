"""Who may import whom: frameworks stay where they belong, and a command's --help stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"mxnet", "gluoncv", "torch", "torchvision", "tensorflow", "jax", "onnx", "onnxscript", "onnxruntime"}
FRAMEWORK_FOLDERS = ("mhpmodels/engines/", "mhpmodels/networks/")
HEAVY = {"numba", "cv2", "h5py", "matplotlib", "tqdm", "simplejpeg"} | FRAMEWORKS

# module -> what it may import of ours; modules left out here may import any of mhpdata that is listed
ALLOWED = {
    "errors": set(),
    "descriptors": set(),
    "ours": {"descriptors", "errors"},
    "labels": set(),
    "opencv": {"errors"},
    "threads": {"errors", "opencv", "options", "pool"},
    "source": {"descriptors", "errors", "wording"},
    "segments": set(),
    "header": {"bmp", "chunks", "errors", "segments", "webp"},
    "pool": set(),
    "named": set(),
    "exif": {"chunks", "opencv", "segments"},
    "gif": set(),
    "notes": {"fields", "wording"},
    "image": {
        "bmp",
        "chunks",
        "errors",
        "gif",
        "header",
        "label_png",
        "labels",
        "notes",
        "opencv",
        "png",
        "segments",
        "webp",
    },
    "jit": {"regular", "wording"},
    "chunks": set(),
    "png": {"chunks", "jit"},
    "bmp": set(),
    "webp": set(),
    "label_png": {"chunks", "labels", "png"},
    "wording": {"errors"},
    "scratch": set(),
    "masks": {"errors", "labels", "runs", "wording", "jit"},
    "merge": {"errors", "labels", "runs", "masks", "nearest", "wording", "jit"},
    "nearest": {"labels", "masks", "jit"},
    "resize": {"errors", "wording", "jit"},
    "runs": {"errors", "labels", "resize", "wording", "jit"},
    "codec": {"errors", "header", "image", "opencv", "render"},
    "record": {"codec", "errors", "header", "masks", "named", "runs"},
    "order": set(),
    "vectors": set(),
    "inverse_dct": {"vectors", "jit"},
    "entropy": {"vectors", "jit"},
    "jpeg": {"entropy", "inverse_dct", "vectors", "jit"},
    "slots": set(),
    "kernels": {"jit"},
    "vectors_bytes": {"vectors"},
    "kernels_vector": {"kernels", "vectors", "vectors_bytes", "jit"},
    "render": {"kernels", "kernels_vector", "vectors", "order", "jit"},
    "maps": {"kernels_vector", "vectors", "order", "render", "jit"},
    "fields": set(),
    "manifest": {
        "descriptors",
        "errors",
        "fields",
        "labels",
        "notes",
        "options",
        "ours",
        "regular",
        "shards",
        "wording",
    },
    "protocol": {"errors", "manifest", "options"},
    "regular": {"descriptors"},
    "shards": {"descriptors", "errors", "ours", "regular", "wording"},
    "layouts": {"errors", "labels", "layouts", "options", "source", "wording"},
    "annotation": {"errors", "image", "labels", "layouts", "masks", "source"},
    "options": {"errors", "shards"},
    "convert": {
        "errors",
        "labels",
        "layouts",
        "source",
        "header",
        "image",
        "annotation",
        "merge",
        "resize",
        "runs",
        "codec",
        "notes",
        "record",
        "options",
        "scratch",
        "crosscheck",
    },
    "crosscheck": {"jit", "jpeg", "scratch"},
    "journal": {
        "descriptors",
        "errors",
        "fields",
        "layouts",
        "manifest",
        "notes",
        "ours",
        "regular",
        "shards",
        "wording",
    },
    "sharding": {"convert", "errors", "journal", "labels", "layouts", "manifest", "notes", "pool", "record", "shards"},
    "split": {"errors", "manifest", "options", "record", "shards"},
    "batch": {"named"},
    "remap": {"errors", "fields", "labels", "regular", "wording"},
    "state": {"errors", "options"},
    "makers": {"errors", "pool", "region", "render", "threads"},
    "leaks": {"errors", "split", "wording"},
    "mixture": {"errors", "labels", "leaks", "order", "region", "remap", "render", "split", "wording"},
    "weights": {"errors", "labels", "mixture", "split", "wording"},
    "synth": {"descriptors", "errors", "labels", "opencv", "options", "ours", "threads", "wording"},
}


def imports(path: Path) -> set[str]:
    """The dotted names that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


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


def test_each_module_of_mhpdata_imports_only_what_the_design_lets_it():
    for path in files("mhpdata"):
        module = path.relative_to(ROOT / "mhpdata").parts[0].removesuffix(".py")
        if module in ALLOWED:
            ours = {name.split(".")[1] for name in imports(path) if name.startswith("mhpdata.")}
            assert ours <= ALLOWED[module] | {module}, f"{path}: {ours - ALLOWED[module]}"


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
    "tool", [path.stem for path in files("tools") if path.stem not in ("__init__", "running", "network", "paths")]
)
def test_help_imports_nothing_heavy_and_has_an_example(tool):
    code = (
        f"import sys, mhptools.{tool} as tool\ntry: tool.main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    text, modules = out.rstrip("\n").rsplit("\n", 1)
    assert f"mhp-{tool} " in text, "an example to paste"
    assert not set(modules.split()) & HEAVY


def test_importing_the_packages_imports_nothing_heavy():
    code = "import sys, mhpdata, mhpmodels; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(out.split()) & HEAVY


def test_json_of_others_is_parsed_in_one_place():
    for path in files("mhpdata", "mhpmodels", "tools"):
        assert path.name == "fields.py" or "json.load" not in path.read_text(encoding="utf-8"), path


def test_one_place_says_how_kernels_are_compiled():
    """Where no cache can be written, only that one goes on without."""
    for path in files("mhpdata", "mhpmodels"):
        assert path.name == "jit.py" or "cache=True" not in path.read_text(encoding="utf-8"), path


def test_one_place_imports_opencv():
    """It says what to do where OpenCV is broken."""
    for path in files("mhpdata", "mhpmodels", "tools"):
        assert path.name == "opencv.py" or "cv2" not in imports(path), path
