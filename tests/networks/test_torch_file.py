"""Files of torch's cannot ask for memory beyond their own bytes."""

from __future__ import annotations

import json
import zipfile

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from mhpdata.errors import CheckpointError  # noqa: E402
from mhpmodels.engines.torch.schp import build_schp  # noqa: E402
from mhpmodels.engines.torch.weights import fit, read_weights  # noqa: E402
from mhpmodels.networks.hf import tensors as hf  # noqa: E402
from mhpmodels.networks.schp.network import SCHP  # noqa: E402
from mhpmodels.networks.torch_file import load_tensors  # noqa: E402

HUGE = 1 << 44


def read_hf(path):
    return hf.read_tensors(path.parent)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pytorch_model.bin"


@pytest.mark.parametrize("read", [read_weights, read_hf])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_that_repeats_its_memory_is_refused(path, read, zipped):
    torch.save({"a": torch.zeros(1).expand(HUGE)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=f"a of shape \\({HUGE},\\) has 4 bytes"):
        read(path)
    torch.save({"a": torch.arange(6.0).view(2, 3).T}, path, _use_new_zipfile_serialization=zipped)
    assert read(path)["a"].shape == (3, 2)


@pytest.mark.parametrize("read", [read_weights, read_hf])
def test_compressed_members_are_refused(path, read):
    torch.save({"a": torch.zeros(1 << 16)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(CheckpointError, match="is compressed; expected a file that torch"):
        read(path)


@pytest.mark.parametrize("read", [read_weights, read_hf])
def test_an_archive_that_cannot_be_checked_is_refused(path, read):
    """Python's reader refuses its version; torch's does not look at it."""
    torch.save({"a": torch.zeros(4)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 99  # the version needed to extract
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)["a"].shape == (4,)
    with pytest.raises(CheckpointError, match="damaged, or not a torch file"):
        read(path)


def test_members_that_share_their_bytes_add_up(path):
    torch.save({"a": torch.zeros(100)}, path)
    with path.open("rb") as file, pytest.raises(CheckpointError, match="is larger than 300 bytes"):
        load_tensors(file, path, "", 300)
    content = path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive:
        (data,) = (member for member in archive.infolist() if member.filename.endswith("data/0"))
        archive.filelist += [data] * 100
        archive._didModify = True
    assert path.stat().st_size < len(content) + 100 * 100
    with path.open("rb") as file, pytest.raises(CheckpointError, match="holds more than 20000 bytes"):
        load_tensors(file, path, "", 20_000)


def test_the_limit_is_for_all_files_of_a_folder_together(tmp_path, monkeypatch):
    names = [f"pytorch_model-{i}.bin" for i in range(3)]
    for name in names:
        torch.save({name: torch.zeros(100)}, tmp_path / name)
    index = json.dumps({"weight_map": dict(enumerate(names))})
    (tmp_path / "pytorch_model.bin.index.json").write_text(index)
    total = sum((tmp_path / name).stat().st_size for name in names)
    monkeypatch.setattr(hf, "MAX_BYTES", total)
    assert set(hf.read_tensors(tmp_path)) == set(names)
    monkeypatch.setattr(hf, "MAX_BYTES", total - 1)
    with pytest.raises(CheckpointError, match=r"pytorch_model-2\.bin: is larger than the"):
        hf.read_tensors(tmp_path)


def test_shapes_are_compared_before_types_are_changed():
    with torch.device("meta"):
        network = SCHP(18)
    extra = {name: torch.zeros(1) for name in network.state_dict()}
    extra["fushion.3.weight"] = torch.zeros(18, 256, 1, 1)
    with pytest.raises(CheckpointError, match="does not fit the network"):
        build_schp({**extra, "other": torch.zeros(1, dtype=torch.float64)}, "a.pth")
    with pytest.raises(CheckpointError, match="has 4 bytes"):
        fit(torch.nn.Linear(1, 1), {"other": torch.zeros(1).expand(HUGE)}, "a.pth")
    with torch.device("meta"):
        small = torch.nn.Linear(2, 1)
    fit(small, {"weight": torch.ones(1, 2, dtype=torch.float64), "bias": torch.zeros(1).half()}, "a.pth", assign=True)
    assert small.weight.dtype == small.bias.dtype == torch.float32
