"""Export all samples of a plan: in blocks, on threads, resumable.

::

    records ──threads──> View ─Form.piece─> files (written at once), rows ──in order──> a block's sink ──> its note
    all notes there ──> Form.joined, Form.finish, README.txt ──> export.json

A finished block is not made again; export.json comes last. Bytes depend on records and options only, not on threads,
interruptions, time or place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from mhpdata.exporting.form import Form, Piece
from mhpdata.exporting.output import NAME, Output, dump, read_object
from mhpdata.exporting.rows import Block, Sink, blocks, join
from mhpdata.exporting.view import View
from mhpdata.filesystem.atomic import replacing, write_atomically
from mhpdata.filesystem.ours import create
from mhpdata.processes.threads import crew
from mhpdata.storage.split import Split
from mhpdata.terms import SYNTHETIC, SYNTHETIC_NAME, licence_line

README = "README.txt"


class _Job(NamedTuple):
    split: str
    block: Block
    at: int


class Run:
    """One export.

    Args:
        form: Its form.
        output: Its folder, prepared and locked.
        about: Description for export.json.
        opened: The splits to export, by name, in order.
    """

    def __init__(self, form: Form, output: Output, about: dict[str, Any], opened: dict[str, Split]) -> None:
        self._form, self._output, self._about, self._opened = form, output, about, opened
        self._blocks = {name: blocks(len(split), form.block) for name, split in opened.items()}
        self._sizes: dict[tuple[str, int], dict[str, int]] = {}

    def export(self, workers: int | None, progress: bool) -> dict[str, Any]:
        """Export what is missing; return the content of export.json, which is written last."""
        notes = {
            (split, block.number): note
            for split, all_blocks in self._blocks.items()
            for block in all_blocks
            if (note := self._note(split, block)) is not None
        }
        total = sum(map(len, self._opened.values()))
        kept = sum(len(self._blocks[split][number].indices) for split, number in notes)
        with crew(total, "images", workers, progress) as threads:
            threads.skip(kept)
            jobs = [
                _Job(split, block, at)
                for split, all_blocks in self._blocks.items()
                for block in all_blocks
                if (split, block.number) not in notes
                for at in block.indices
            ]
            self._collect(jobs, threads.each(self._make, jobs), notes)
        return self._finish(notes)

    def _make(self, job: _Job) -> tuple[Piece, dict[str, int]]:
        """Make a sample's piece and write its files; return it without them, and their sizes."""
        view = View(self._opened[job.split], job.at, self._form.plan.at)
        piece = self._form.piece(job.split, view)
        for name, data in piece.files:
            self._output.write(name, data)
        return piece._replace(files=()), {name: len(data) for name, data in piece.files}

    def _collect(
        self,
        jobs: list[_Job],
        made: Iterator[tuple[Piece, dict[str, int]]],
        notes: dict[tuple[str, int], dict[str, Any]],
    ) -> None:
        """Pass the pieces to the sinks of their blocks, in order, and write the note of each finished block."""
        sink: Sink | None = None
        files: dict[str, int] = {}
        persons = 0
        try:
            for job, (piece, sizes) in zip(jobs, made, strict=True):
                if sink is None:
                    sink, files, persons = self._form.sink(self._output, job.split, job.block), {}, 0
                sink.add(piece.rows, piece.values)
                files.update(sizes)
                persons += piece.persons
                if job.at == job.block.indices[-1]:
                    closing, sink = sink, None
                    extent = [job.block.indices.start, job.block.indices.stop]
                    note = {"samples": extent, "files": files, "rows": closing.close(True), "persons": persons}
                    self._write_note(job, note)
                    notes[job.split, job.block.number] = note
        finally:
            if sink is not None:
                with suppress(OSError):
                    sink.close(False)

    def _stem(self, split: str, block: Block) -> str:
        return f"{split}-{block.number:05d}"

    def _write_note(self, job: _Job, note: dict[str, Any]) -> None:
        path = self._output.work / f"{self._stem(job.split, job.block)}.json"
        write_atomically(path, dump(note), sync=False)

    def _note(self, split: str, block: Block) -> dict[str, Any] | None:
        """Return the note on a finished block whose files are all there; None for a block to be made."""
        note = read_object(self._output.work / f"{self._stem(split, block)}.json")
        if note is None or note.get("samples") != [block.indices.start, block.indices.stop]:
            return None  # also where another version of mhp has made other blocks
        rows = {self._form.place_of_rows(name): size for name, size in note["rows"].items()}
        return note if self._output.has({**note["files"], **rows}) else None

    def _finish(self, notes: dict[tuple[str, int], dict[str, Any]]) -> dict[str, Any]:
        """Write the files of the whole export, export.json last; return its content."""
        sizes = [size for note in notes.values() for size in note["files"].values()]
        sizes += [size for note in notes.values() for size in self._form.kept_rows(note["rows"]).values()]
        for joined in self._form.joined():
            written = [notes[joined.split, block.number]["rows"] for block in self._blocks[joined.split]]
            paths = [self._output.work / name for names in written for name in names]
            with replacing(self._output.path(joined.path)) as part, create(part) as file:
                join(joined.parts, paths, file)
                sizes.append(file.tell())
        licence = self._about["licence"]
        texts = [*self._form.finish(), (README, self._readme().encode())]
        if licence == SYNTHETIC:
            texts.append((SYNTHETIC_NAME, f"{SYNTHETIC}\n".encode()))
        for name, data in texts:
            self._output.write(name, data)
            sizes.append(len(data))
        splits = {}
        for name, split in self._opened.items():
            persons = sum(notes[name, block.number]["persons"] for block in self._blocks[name])
            splits[name] = {"images": len(split), "persons": persons}
        content = {**self._about, "splits": splits, "files": len(sizes), "bytes": sum(sizes)}
        write_atomically(self._output.path(NAME), dump(content))
        self._output.end()
        return content

    def _readme(self) -> str:
        """Return README.txt: what the folder holds, how to read it, licence and citation."""
        about, form = self._about, self._form
        images = "" if form.plan.images else " Images are not included."
        text = f"""Human-parsing dataset in the form "{form.name}", exported by mhp export from a packed folder.

Layout of the packed folder: {about["layout"]}
Content of the packed folder: {about["content"] or "unknown (format 1)"}
Size of images and labels: as {"packed" if form.plan.at == "packed" else "annotated (source)"}.{images}
{form.reader}
What is lost in this form, and how to read it back: docs/export.md of mhp.

{licence_line(about["licence"])}
"""
        return text + (f"Cite: {about['citation']}\n" if about["citation"] else "")
