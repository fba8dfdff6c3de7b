"""Write a pack to object storage, with the same names as in a folder; nothing there is listed.

::

    spool, a temporary folder ──a finished shard──> rec/train-00000.rec .idx ──> rec/.packing/train-00000.json
                                                                 rec/build.json, then rec/manifest.json

A shard is written to the spool (TMPDIR), uploaded, and deleted there. Notes have the ETags of the uploads, so a resumed
pack need not read its shards again. There is no lock: the options and the manifest are written only if they do not
exist, so of two packs with other options one stops, and two with the same options write the same bytes.

An object in the way is replaced only if it has the bytes to be written, or begins as a file of mhp's does.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from mhpdata.address import Address
from mhpdata.errors import ManifestError, NoObjectError, OutputError, ShardError, is_outside
from mhpdata.fields import parse_json
from mhpdata.filesystem.descriptors import open_file
from mhpdata.packing.output.contents import (
    FOLDER,
    MARKS,
    OPTIONS,
    PARTS,
    Wanted,
    named_shards,
    refuse_for_tasks,
    refuse_packed,
    refuse_unfinished,
)
from mhpdata.packing.output.local import Output
from mhpdata.remote.requests import stopped, submit
from mhpdata.remote.store import ExistsError, Version, read_range
from mhpdata.remote.writing import delete, in_the_way, look_if_there, put, put_file, read_if_there
from mhpdata.storage.manifest import BUILD_NAME, MAX_BYTES, NAME, Manifest, read_manifest
from mhpdata.storage.packed import ShardFile
from mhpdata.storage.shards.formats import begins_a_shard
from mhpdata.storage.shards.remote import hash_object

_MARKED, _HEAD_OF_SHARD = 4096, 1 << 25
"""Bytes from the start of an object that tell whether mhp wrote it."""
_log = logging.getLogger(__name__)
_OPTIONS_START = b'{"layout": '


class BucketOutput:
    """Place of a pack in object storage; a context manager that deletes the spool.

    Args:
        out: Address of the packed folder.
        splits: All splits of the layout; only shards named after them are ever deleted.
    """

    def __init__(self, out: Address, splits: Sequence[str]) -> None:
        self.out = out
        self._ours = re.compile(rf"({'|'.join(splits)})-[0-9]{{5}}\.(rec|idx|h5)")
        self._spool: TemporaryDirectory[str] | None = None
        self._notes: set[str] = set()

    def __enter__(self) -> BucketOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.cleanup()

    @property
    def folder(self) -> Path:
        """The spool: the folder on this machine for the shards that are being written."""
        if self._spool is None:
            self._spool = TemporaryDirectory(prefix="mhp-pack-", ignore_cleanup_errors=True)
        return Path(self._spool.name)

    def begin(self, wanted: Wanted) -> None:
        """Prepare ``out`` for a pack: new, resumed, or instead of another one. Raises OutputError for other content."""
        options, overwrite, *_ = wanted
        self.folder  # noqa: B018  # created by this thread, before others use it
        manifest, theirs = self._read_own(NAME), self._unfinished()
        if not overwrite:
            if manifest is not None:
                refuse_packed(self.out, manifest, wanted)
            if theirs is not None and theirs != options:
                refuse_unfinished(self.out, theirs, options)
        self._read_own(BUILD_NAME)  # raises if it is not mhp's
        text = json.dumps(options).encode()
        if overwrite:
            put(self._noted(OPTIONS), text)
        elif theirs is None:
            try:
                put(self._noted(OPTIONS), text, create=True)
            except ExistsError:
                refuse_unfinished(self.out, self._unfinished() or {}, options)
        if manifest is not None:
            _log.warning("%s: deleting the earlier pack; there is none until this one is complete.", self.out)
            old = {name for name in named_shards(manifest) if self._ours.fullmatch(name)}
            _delete([self.out / name for name in (NAME, BUILD_NAME, *sorted(old))])

    def end(self, manifest: Manifest) -> None:
        """Delete the notes on the shards of a pack, which is finished now, and its options."""
        notes = set(self._notes)  # another process may have finished the same pack, and deleted what it knew
        unfinished = self._unfinished() is not None
        if unfinished:
            notes |= {f"{shard.stem}.json" for split in manifest.splits.values() for shard in split.shards}
        _delete([self._noted(name) for name in sorted(notes)])
        if unfinished:
            delete(self._noted(OPTIONS))

    def refuse_for_tasks(self) -> None:
        """Raise OutputError if ``out`` holds something else than parts of tasks."""
        packed = look_if_there(self.out / NAME) is not None
        apart = look_if_there(self.out / PARTS / OPTIONS) is None
        refuse_for_tasks(self.out, packed, apart and self._unfinished() is not None)

    def manifest(self) -> Manifest | None:
        """Return the manifest of a complete pack at ``out``; None if there is none. Raises ManifestError."""
        try:
            manifest = read_manifest(self.out)
        except ManifestError as error:
            if isinstance(error.__cause__, NoObjectError):
                return None
            if not is_outside(error):
                self._read_own(NAME)
            raise
        found = [submit(look_if_there, self.out / file.file, stopped) for file in manifest.files]
        versions = [task.result() for task in found]
        sizes = [None if version is None else version.size for version in versions]
        return manifest if sizes == [file.bytes for file in manifest.files] else None

    def read_note(self, name: str) -> Any:
        """Return the content of a note on a finished shard; None if there is none."""
        return _parse(read_if_there(self._noted(name), MAX_BYTES))

    def write_note(self, name: str, content: dict[str, Any]) -> None:
        """Write a note on a shard that was published."""
        self._notes.add(name)
        put(self._noted(name), json.dumps(content).encode())

    def publish(self, files: Sequence[ShardFile]) -> dict[str, str]:
        """Upload the files of a shard, and delete them in the spool; return their ETags."""
        tags = {}
        for file in files:
            path, address = self.folder / file.file, self.out / file.file
            before = look_if_there(address)
            if before is not None and self.is_whole(file, ""):
                tags[file.file] = before.tag  # uploaded by a pack that was interrupted before its note
            elif before is not None and not self._is_shard(file.file, before):
                raise in_the_way(address)
            else:
                tags[file.file] = put_file(address, path).tag
            path.unlink()
        return tags

    def is_whole(self, file: ShardFile, tag: str) -> bool:
        """Return whether an object is the one that was uploaded, by its ETag or its bytes."""
        version = look_if_there(self.out / file.file)
        if version is None or version.size != file.bytes:
            return False
        if tag and version.tag == tag:
            return True
        try:
            return hash_object(self.out / file.file, file).sha256 == file.sha256
        except ShardError:  # replaced meanwhile
            return False

    def complete(self, build: str, manifest: Manifest) -> None:
        """Write build.json, and the manifest last."""
        put(self.out / BUILD_NAME, build.encode())
        try:
            put(self.out / NAME, manifest.to_json().encode(), create=True)
        except ExistsError as error:
            found, remedy = "was written by another pack meanwhile", "Run the command again to see how they differ."
            raise OutputError(self.out / NAME, found, "no other pack to the same --out", remedy) from error

    def read_build(self) -> dict[str, Any]:
        """Return the build.json of the dataset; empty if there is none."""
        content = _parse(read_if_there(self.out / BUILD_NAME, MAX_BYTES))
        return content if isinstance(content, dict) else {}

    def _noted(self, name: str) -> Address:
        return self.out / FOLDER / name

    def _unfinished(self) -> dict[str, Any] | None:
        """Return the options of an unfinished pack; None if there is none. Raises OutputError for another's object."""
        data = read_if_there(self._noted(OPTIONS), MAX_BYTES)
        if data is None:
            return None
        content = _parse(data)
        if not data.startswith(_OPTIONS_START) or not isinstance(content, dict):
            raise in_the_way(self._noted(OPTIONS))
        return content

    def _read_own(self, name: str) -> dict[str, Any] | None:
        """Return the fields of manifest.json or build.json, {} if damaged; raise OutputError if it is not mhp's."""
        data = read_if_there(self.out / name, MAX_BYTES)
        if data is None:
            return None
        if MARKS[name].search(data[:_MARKED]) is None:
            raise in_the_way(self.out / name)
        content = _parse(data)
        return content if isinstance(content, dict) else {}

    def _is_shard(self, name: str, version: Version) -> bool:
        """Return whether an object begins as a file of a shard that mhp wrote."""
        size = min(version.size, _HEAD_OF_SHARD)
        path = self.folder / f"seen-{name}"
        with open_file(path, "wb") as file:
            file.write(read_range(self.out / name, 0, size, version) if size else b"")
        try:
            return begins_a_shard(path)
        finally:
            path.unlink()


AnyOutput = Output | BucketOutput
"""Place of a pack."""


def _delete(addresses: Sequence[Address]) -> None:
    for task in [submit(delete, address, stopped) for address in addresses]:
        task.result()


def _parse(data: bytes | None) -> Any:
    """Return the content of a JSON object; None if it is missing or damaged."""
    try:
        return None if data is None else parse_json(data.decode())
    except (ValueError, RecursionError):
        return None
