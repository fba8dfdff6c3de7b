"""Pack a download again after some of its files changed: convert only the changed entries.

The records of the other entries come from an earlier pack. An entry counts as unchanged if the content of all its files
is (mhpdata.packing.sources), so every file is read, but only changed ones are decoded. The result is byte-identical to
a pack of the whole download, because records are only taken from a pack with the same options and libraries.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mhpdata.editing.packs import Pack, fixed_options, read_build, refuse_same
from mhpdata.editing.reused import Reused
from mhpdata.errors import OptionError
from mhpdata.options import Folder, differences
from mhpdata.packing.convert import Converted, Refused
from mhpdata.packing.pack import Choices, begin, open_run
from mhpdata.packing.run import Run
from mhpdata.packing.sources import source_digest
from mhpdata.packing.tasks.maker import describe_maker, other_libraries
from mhpdata.source.entry import Entry
from mhpdata.source.remote import Root, held, open_place
from mhpdata.storage.manifest import BUILD_NAME, Manifest

if TYPE_CHECKING:
    import os

    from typing_extensions import Unpack

    from mhpdata.address import Address

_WHOLE = "Pack without --from: all images are converted again."


class Updated(NamedTuple):
    """The result of an update.

    Attributes:
        manifest: The manifest that was written.
        kept: Number of records that were taken from the earlier pack by this run.
    """

    manifest: Manifest
    kept: int


def update(
    src: str | Folder,
    earlier: str | os.PathLike[str] | Address,
    out: str | Folder,
    *,
    overwrite: bool = False,
    **choices: Unpack[Choices],
) -> Updated:
    """Pack a download, and take the records of unchanged entries from an earlier pack of it.

    Args:
        src: Download, as for ``mhpdata.pack``.
        earlier: Earlier pack, or its address.
        out: Packed folder to write, or its address: another one than ``earlier``.
        overwrite: Replace another packed dataset in ``out``, which stays until the new one is complete; at an address,
            it is deleted first.
        choices: Further arguments of ``mhpdata.pack``.

    Returns:
        The manifest that was written, and the number of records that were taken from the earlier pack.

    Raises:
        OptionError: The earlier pack has another layout, other options, or was made with other libraries.
        SourceError, PackedError, OutputError: As for ``mhpdata.pack``; the earlier pack is damaged.
    """
    with ExitStack() as stack:
        pack = Pack(earlier)
        stack.callback(pack.close)
        refuse_same(pack.folder, open_place("out", out))
        run = stack.enter_context(open_run(src, out, choices))
        _check(pack, run)
        started = _Update(**vars(run), earlier=_Earlier(pack))
        manifest = None if overwrite else started.already_done(refuse=True)
        if manifest is None:
            begin(run, overwrite)
            manifest = started.pack()
        run.output.end(manifest)
        return Updated(manifest, len(started.kept))


def _check(pack: Pack, run: Run) -> None:
    """Raise OptionError unless the earlier pack holds the bytes that this run would make of unchanged entries."""
    listing, manifest = run.source.listing, pack.manifest
    ours, theirs = (
        (listing.layout, listing.labels.names, listing.labels.flip_pairs),
        (manifest.layout, manifest.classes),
    )
    if ours != (*theirs, manifest.flip_pairs):
        raise OptionError(
            "from", f"{pack.folder} is a pack of {manifest.layout}", f"a pack of {listing.layout}", _WHOLE
        )
    options: dict[str, Any] = {name: run.options.as_dict()[name] for name in fixed_options(manifest)}
    if options != fixed_options(manifest):
        found = f"{pack.folder} was packed with other options ({differences(fixed_options(manifest), options)})"
        raise OptionError("from", found, "a pack with the same options", "Pass its options, or pack without --from.")
    maker = read_build(pack.folder).get("maker")
    others = other_libraries(maker, describe_maker()) if isinstance(maker, dict) else f"no maker in its {BUILD_NAME}"
    if others:
        found = f"{pack.folder} was packed with other libraries ({others})"
        raise OptionError("from", found, "a pack made with the same libraries", _WHOLE)


class _Earlier:
    """The records of an earlier pack by the name of their entry."""

    def __init__(self, pack: Pack) -> None:
        self._reused = Reused(pack)
        self._found = {
            name: (split, index) for split, opened in pack.splits.items() for index, name in enumerate(opened.names)
        }
        self._labelled = {split: packed.labelled for split, packed in pack.manifest.splits.items()}

    def take(self, root: Root, entry: Entry) -> Converted | None:
        """Return the record of an entry; None if there is none, or the entry has changed."""
        split, index = self._found.get(entry.name, ("", 0))
        if not split or self._labelled[split] != (entry.masks is not None):
            return None
        if source_digest(root, entry) != self._reused.source(split, index):
            return None
        return self._reused.read(split, index)


@dataclass(frozen=True)
class _Update(Run):
    """A run that takes unchanged records from an earlier pack.

    Attributes:
        earlier: Records of the earlier pack.
        kept: Names of the entries whose records were taken.
    """

    earlier: _Earlier
    kept: list[str] = field(default_factory=list)

    def convert(self, entry: Entry) -> Converted | Refused:
        """Return the earlier record of an unchanged entry, and convert any other."""
        with held(self.source.root, entry.files):
            taken = self.earlier.take(self.source.root, entry)
            if taken is None:
                return super().convert(entry)
        self.kept.append(entry.name)
        return taken
