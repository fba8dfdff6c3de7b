"""HDF5 shards: two contiguous datasets, readable with h5py alone; references to other files are rejected."""

from __future__ import annotations

import errno
import os
from itertools import pairwise

import h5py
import numpy as np
import pytest
from make_golden import GOLDEN, STEM, record_bytes

from mhpdata.errors import ShardError
from mhpdata.storage.shards import hdf5
from mhpdata.storage.shards.hdf5 import Reader, Writer

RECORDS = [b"first", b"", bytes(range(256)), b"last"]
BYTES = np.frombuffer(b"".join(RECORDS), np.uint8)
OFFSETS = np.cumsum([0, *map(len, RECORDS)]).astype("<u8")


def write(stem, records=RECORDS):
    shard = Writer(stem)
    for record in records:
        shard.write(record)
    shard.close()
    return stem.with_suffix(".h5")


def test_read_by_h5py_alone(tmp_path):
    """Record i is records[offsets[i]:offsets[i + 1]], as documented."""
    with h5py.File(write(tmp_path / "a"), "r") as file:
        assert set(file) == {"records", "offsets"}
        records, offsets = file["records"], file["offsets"]
        assert (records.dtype, records.shape, offsets.dtype, offsets.shape) == ("u1", (len(BYTES),), "<u8", (5,))
        for data in (records, offsets):
            layout = data.id.get_create_plist()
            assert layout.get_layout() == h5py.h5d.CONTIGUOUS and not layout.get_nfilters() and not data.external
        assert [records[offsets[i] : offsets[i + 1]].tobytes() for i in range(4)] == RECORDS
        assert file.attrs["format"] == "mhp-records"
        assert file.attrs["version"] == 1 and file.attrs["version"].dtype == np.uint32
        assert "docs/format.md" in file.attrs["about"]


def test_read_by_plain_file_offsets(tmp_path):
    path = write(tmp_path / "a")
    with h5py.File(path, "r") as file:
        place, offsets = file["records"].id.get_offset(), file["offsets"][:].tolist()
    data = path.read_bytes()
    assert [data[place + a : place + b] for a, b in pairwise(offsets)] == RECORDS


def test_the_spool_is_gone_and_more_than_one_chunk_is_copied(tmp_path):
    large = np.random.default_rng(0).bytes((1 << 22) + 1000)
    write(tmp_path / "a", [b"x", large])
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert Reader(tmp_path / "a", 2).read(1) == large


class Full:
    """Simulate a file on a disk that is full after some writes."""

    def __init__(self, file, writes):
        self.file, self.writes = file, writes

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        self.writes -= 1
        if self.writes < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data[: max(len(data) // 2, 1)])  # as the system may do


def test_a_full_disk_at_any_moment_is_an_error_and_no_crash(tmp_path, monkeypatch):
    """HDF5 itself crashed the process when the disk was full for its headers, which it writes last."""
    begin = hdf5._Target.__init__
    for writes in range(1000):

        def limited(self, path, writes=writes):
            begin(self, path)
            self._file = Full(self._file, writes)

        monkeypatch.setattr(hdf5._Target, "__init__", limited)
        try:
            path = write(tmp_path / "a")
        except OSError as error:
            assert error.errno == errno.ENOSPC
            continue
        assert writes > 10, "the writes were seen"
        monkeypatch.undo()
        assert path.read_bytes() == write(tmp_path / "b").read_bytes()
        return
    pytest.fail("it never ended")


def test_golden_file_is_read_by_h5py_alone():
    """The file is read but not compared: other HDF5 libraries may write different bytes."""
    with h5py.File(GOLDEN / f"{STEM}.h5", "r") as file:
        records, offsets = file["records"][:], file["offsets"][:]
        assert dict(file.attrs)["format"] == "mhp-records"
    golden = [(GOLDEN / f"{name}.record").read_bytes() for name in record_bytes()]
    assert [records[a:b].tobytes() for a, b in pairwise(offsets)] == golden


def make(path, records, offsets, padding=20_000):
    """Make a file whose datasets are created by two functions of (file, name, data)."""
    with h5py.File(path, "w") as file:
        file["padding"] = np.zeros(padding, np.uint8)  # so that no offset in another file is past the end of this one
        records(file, "records", BYTES)
        offsets(file, "offsets", OFFSETS)


def plain(file, name, data):
    file.create_dataset(name, data=data)


def chunked(file, name, data):
    file.create_dataset(name, data=data, chunks=(2,))


def compressed(file, name, data):
    file.create_dataset(name, data=data, compression="gzip")


def compact(file, name, data):
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_layout(h5py.h5d.COMPACT)
    kind = h5py.h5t.py_create(data.dtype)
    made = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(data.shape), options)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def virtual(file, name, data):
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    layout[:] = h5py.VirtualSource("other.h5", name, data.shape)
    file.create_virtual_dataset(name, layout)


def external_link(file, name, data):
    file[name] = h5py.ExternalLink("other.h5", name)


def external_storage(file, name, data):
    file.create_dataset(name, data.shape, data.dtype, external=[("other.bin", 0, data.nbytes)])


def soft_link(file, name, data):
    plain(file, name + "2", data)
    file[name] = h5py.SoftLink(f"/{name}2")


def dangling_link(file, name, data):
    file[name] = h5py.SoftLink("/nowhere")


def link_to_itself(file, name, data):
    file[name] = h5py.SoftLink(f"/{name}")


def never_written(file, name, data):
    file.create_dataset(name, data.shape, data.dtype)


def big_endian(file, name, data):
    plain(file, name, data.astype(">u8"))


def two_dimensions(file, name, data):
    plain(file, name, data[None])


def signed(file, name, data):
    plain(file, name, data.astype(f"i{data.itemsize}"))


def of_texts(file, name, data):
    file.create_dataset(name, data=["text"] * len(data))


def no_shape(file, name, data):
    file[name] = h5py.Empty(data.dtype)


def one_number(file, name, data):
    file[name] = data[0]


def group(file, name, data):
    file.create_group(name)


def nothing(file, name, data):
    pass


ELSEWHERE = [
    chunked, compressed, compact, virtual, external_link, external_storage, soft_link, dangling_link, link_to_itself,
    never_written, big_endian, two_dimensions, signed, of_texts, no_shape, one_number, group, nothing,
]  # fmt: skip


def test_the_plain_one_of_these_is_read(tmp_path):
    make(tmp_path / "a.h5", plain, plain)
    shard = Reader(tmp_path / "a", 4)
    assert [shard.read(i) for i in range(4)] == RECORDS


@pytest.mark.parametrize("which", ["records", "offsets"])
@pytest.mark.parametrize("kind", ELSEWHERE)
def test_any_other_kind_of_dataset_is_refused(kind, which, tmp_path):
    make(tmp_path / "other.h5", plain, plain, padding=0)
    (tmp_path / "other.bin").write_bytes((BYTES if which == "records" else OFFSETS).tobytes())
    make(tmp_path / "a.h5", *((kind, plain) if which == "records" else (plain, kind)))
    with pytest.raises(ShardError) as caught:
        Reader(tmp_path / "a", 4)
    assert caught.value.place == str(tmp_path / "a.h5") and caught.value.remedy


@pytest.mark.parametrize(
    "offsets",
    [[], [1, 5, 5, 261, 265], [0, 5, 4, 261, 265], [0, 5, 5, 261, 264], [0, 5, 5, 261, 266], [0, 5, 5, 2**64 - 1, 265]],
)
def test_offsets_that_lead_astray(offsets, tmp_path):
    make(tmp_path / "a.h5", plain, lambda file, name, _: plain(file, name, np.array(offsets, "<u8")))
    with pytest.raises(ShardError):
        Reader(tmp_path / "a", 4)


def test_a_type_that_numpy_lacks(tmp_path):
    """One flipped bit turns the offsets into integers of nine bytes."""
    path = write(tmp_path / "a")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x10\0\0\0\x08\0\0\0\0\0\x40\0")  # HDF5's type message: fixed point, 8 bytes, bits 0 to 63
    data[at + 4] = 9
    path.write_bytes(data)
    with pytest.raises(ShardError):
        Reader(tmp_path / "a", 4)
