"""Preview a pack without writing anything: images per split, entries that would be skipped, estimated bytes.

::

    scan ──entries──> some entries of each split, evenly spread ──convert──> mean bytes of a record, times the entries

Lists, names and missing masks are checked for every entry. Images and masks are decoded for the sampled ones only, so a
damaged file among the others is not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mhpdata.errors import SourceError
from mhpdata.options import Folder, PackOptions
from mhpdata.packing.convert import convert
from mhpdata.packing.pack import Choices, Chosen, below, open_source, refuse_empty
from mhpdata.packing.summary import SHOWN
from mhpdata.processes.threads import crew
from mhpdata.source.entry import Entry
from mhpdata.source.remote import Root, held, open_root
from mhpdata.wording import counted, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

SAMPLES = 8
"""Entries per split that are converted for the estimate."""


@dataclass(frozen=True)
class Preview:
    """Preview of a pack.

    Attributes:
        src: Path or address of the source folder.
        layout: Its layout.
        images: {split: number of entries that would be packed}.
        size: {split: estimated bytes of its records}.
        skipped: Split, name and error of each entry that would be skipped, as far as checked.
        skip: Whether the pack skips such entries; otherwise it stops at the first.
    """

    src: str
    layout: str
    images: dict[str, int]
    size: dict[str, int]
    skipped: list[tuple[str, str, SourceError]]
    skip: bool

    @property
    def stops(self) -> bool:
        """Whether the pack would stop with an error."""
        return bool(self.skipped) and not self.skip

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON types; bytes are estimates."""
        left_out = [{"split": split, "name": name, "message": str(error)} for split, name, error in self.skipped]
        splits = {name: {"images": count, "bytes": self.size[name]} for name, count in self.images.items()}
        return {"source": self.src, "layout": self.layout, "splits": splits, "skipped": left_out}

    def text(self) -> str:
        """Return a table of splits, and the first SHOWN entries that would be skipped."""
        lines = [
            f"{self.src}: {self.layout}; nothing was written",
            "",
            f"{'split':8}{'images':>9}{'MB (estimate)':>16}",
        ]
        rows = [*((name, count, self.size[name]) for name, count in self.images.items())]
        rows.append(("all", sum(self.images.values()), sum(self.size.values())))
        lines += [f"{name:8}{count:9}{size / 2**20:16.1f}" for name, count, size in rows]
        if not self.skipped:
            return "\n".join(map(printable, [*lines, "", "No problems in lists, file names and the sampled entries."]))
        what = "would be skipped" if self.skip else "would stop the pack; pass --on-error skip to leave them out"
        lines += ["", f"{counted(len(self.skipped), 'problem')} {what}:"]
        lines += [f"  {split or 'all splits'}/{name}: {error}" for split, name, error in self.skipped[:SHOWN]]
        if len(self.skipped) > SHOWN:
            lines.append(f"  ... and {len(self.skipped) - SHOWN} more")
        return "\n".join(map(printable, lines))


def preview(src: str | Folder, **choices: Unpack[Choices]) -> Preview:
    """Preview ``mhpdata.pack`` with these arguments, which are described there.

    Raises:
        FolderError: The folder is not a dataset of this layout, or a split is empty.
        OptionError: An argument is invalid.
    """
    chosen = Chosen.of(choices)
    root = open_root("src", src)
    with below(root):
        source = open_source(root, chosen)
        if not chosen.allow_empty and (chosen.skip or not source.problems):
            refuse_empty(source)
    entries = {split: source.listing.entries[split] for split in source.splits}
    sampled = [entry for split in source.splits for entry in _spread(entries[split])]
    skipped = [(problem.split, problem.name, problem.error.below(root)) for problem in source.problems]
    sizes: dict[str, list[int]] = {split: [] for split in source.splits}
    with (
        crew(len(sampled), "sampled images", chosen.workers, chosen.progress) as threads,
        source.fetching(sampled) as some,
    ):
        measured = threads.each(partial(_measure, root, source.listing.labels, chosen.options), some)
        for entry, measure in zip(sampled, measured, strict=True):
            if isinstance(measure, SourceError):
                skipped.append((entry.split, entry.name, measure.below(root)))
            else:
                sizes[entry.split].append(measure)
    refused = {split: sum(one[0] == split for one in skipped[len(source.problems) :]) for split in source.splits}
    images = {split: len(entries[split]) - refused[split] for split in source.splits}
    means = {split: sum(some) / max(1, len(some)) for split, some in sizes.items()}
    estimates = {split: round(images[split] * means[split]) for split in images}
    return Preview(str(root), source.listing.layout, images, estimates, skipped, chosen.skip)


def _spread(entries: Sequence[Entry]) -> list[Entry]:
    """Return at most SAMPLES entries, evenly spread."""
    count = min(SAMPLES, len(entries))
    return [entries[i * len(entries) // count] for i in range(count)]


def _measure(root: Root, labels: Any, options: PackOptions, entry: Entry) -> int | SourceError:
    """Return the bytes of an entry's record, or the error for which it would be skipped."""
    with held(root, entry.files):
        try:
            return len(convert(root, entry, labels, options).data)
        except SourceError as error:
            return error
