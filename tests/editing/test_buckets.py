"""Edits and updates from and into object storage: the bytes of local ones."""

import shutil

import pytest
from bucket_server import bucket, contents
from folder import encode, mask, tree, write_folder
from stored import NEEDS_OBSTORE

import mhpdata
from mhpdata.editing.edit import edit
from mhpdata.editing.plan import EditOptions
from mhpdata.editing.update import update
from mhpdata.errors import OptionError, OutputError

pytestmark = NEEDS_OBSTORE


@pytest.fixture
def server(tmp_path, monkeypatch):
    box = tmp_path / "buckets/box"
    write_folder(box / "data", images=12)
    mhpdata.pack(box / "data", box / "rec", size=0)
    with bucket(tmp_path / "buckets", monkeypatch) as running:
        yield running


def test_an_edit_in_object_storage_is_a_local_one(server, tmp_path):
    options = EditOptions(where="persons == 2", workers=2)
    edit([server.folder / "box/rec"], tmp_path / "few", options)
    for _ in range(2):  # the second finds it complete
        edit(["s3://box/rec"], "s3://box/few", options)
    found = contents(server, "box", "few")
    assert found == tree(tmp_path / "few")
    assert mhpdata.open("s3://box/few", "train").names == mhpdata.open(tmp_path / "few", "train").names
    with pytest.raises(OutputError, match="--overwrite"):
        edit(["s3://box/rec"], "s3://box/few", options._replace(where="persons == 3"))
    edit(["s3://box/rec"], "s3://box/few", options._replace(where="persons == 3"), overwrite=True)
    assert mhpdata.verify_packed("s3://box/few", deep=True).clean
    with pytest.raises(OptionError, match="is also --from"):
        edit(["s3://box/rec"], "s3://box/rec")


def test_an_update_in_object_storage_is_a_local_one(server, tmp_path):
    (server.folder / "box/data/annotations/0003_02_01.png").write_bytes(encode(".png", mask(2, 2, (96, 128))))
    local = shutil.copytree(server.folder / "box/data", tmp_path / "data")
    mhpdata.pack(local, tmp_path / "whole", size=0)
    done = update("s3://box/data", "s3://box/rec", "s3://box/new", size=0)
    found = contents(server, "box", "new")
    assert done.kept == 11 and found == tree(tmp_path / "whole")
