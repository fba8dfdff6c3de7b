"""Provenance of weights: the data, commands and earlier weights that they come from, oldest first.

::

    [{"mhp": "0.1.0", "command": "mhp train --data rec/ --weights icnet.params", "step": 0,
      "weights": {"name": "icnet.params", "bytes": 189, "sha256": "..."}, "backbone": null,
      "data": [{"folder": "rec/", "split": "train", "layout": "mhp-v1", "content": "...", "licence": "...",
                "citation": "..."}]}]

A run adds one origin when it begins, and another when it resumes with other data or another version of mhp. A run that
begins with --weights keeps the origins of these weights. A checkpoint's JSON file has them under "provenance", and an
ONNX file as metadata (mhpmodels.files.onnx_names); for converted weights they are in a file beside
(mhpmodels.files.origins).

The rule: the same command on the same data gives the same text: no time, machine or absolute path that nobody typed.
Credentials in an address of the command line are left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from mhpdata.fields import count_at, digest_at, field_of, list_at, object_at, text_at
from mhpdata.storage.manifest import Manifest
from mhpdata.wording import counted, printable

MAX_ORIGINS = 1 << 10
"""Maximum number of origins, and of packed folders of one of them, that are read from a file."""
HIDDEN = "***"
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^?#\s]*@")  # a secret key may contain slashes
_QUERY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^?#\s]*[?#])\S+")


@dataclass(frozen=True)
class TrainingData:
    """A split of a packed folder that a run trained on.

    Attributes:
        folder: path or address of the folder, as the run was given it.
        split: name of the split.
        layout: layout of the download that was packed, from its manifest like the rest.
        content: content id of the folder; None for format 1.
        licence: licence of the data; None if unknown.
        citation: how to cite them; None if unknown.
    """

    folder: str
    split: str
    layout: str
    content: str | None
    licence: str | None
    citation: str | None

    @property
    def in_words(self) -> str:
        """Folder, split, content and licence, in one line."""
        content = self.content or "unknown (format 1)"
        return f"{self.folder}, split {self.split}: content {content}; licence: {self.licence or 'unknown to mhp'}"

    @staticmethod
    def of(folder: str, split: str, manifest: Manifest) -> TrainingData:
        """Return the description of a split, given the folder's manifest."""
        content, terms = manifest.content_id, (manifest.licence, manifest.citation)
        return TrainingData(folder, split, manifest.layout, content, *terms)

    def is_same(self, other: TrainingData) -> bool:
        """Return whether two splits have the same images and terms; a folder with a content id may have moved."""
        moved = self if self.content is None else replace(self, folder=other.folder)
        return moved == other


@dataclass(frozen=True)
class WeightFile:
    """A file of weights that a run began with: its name without its folder, bytes and SHA-256.

    The file of a folder of Hugging Face has the folder's name before its own: "mit-b0/model.safetensors". Without bytes
    and SHA-256, the name is of something that the engine finds, such as "store", or of a folder with several files.
    """

    name: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Origin:
    """One command that trained the weights.

    Attributes:
        mhp: version of mhp.
        command: the command line without credentials; None if Python code called ``train``.
        step: number of steps that the run had done before.
        weights: file that the run began with (--weights); None for random weights.
        backbone: initial weights of the backbone (--pretrained-base); None for random weights.
        data: what it trained on.
    """

    mhp: str
    command: str | None
    step: int
    weights: WeightFile | None
    backbone: WeightFile | None
    data: tuple[TrainingData, ...]


Provenance = tuple[Origin, ...]


def command_line(name: str, arguments: Sequence[str]) -> str:
    """Return a command line to record: what was typed, without user names, passwords and queries of addresses."""
    hidden = (_QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", one)) for one in arguments)
    return shlex.join([*name.split(), *hidden])


def to_fields(provenance: Provenance) -> list[dict[str, Any]]:
    """Return the JSON value of a provenance."""
    return [{**asdict(origin), "data": [asdict(data) for data in origin.data]} for origin in provenance]


def parse_provenance(value: Any) -> Provenance:
    """Return the provenance of an untrusted JSON value, ignoring unknown fields, which a newer mhp may add.

    Raises:
        ValueError: it is not what ``to_fields`` returns.
    """
    return tuple(_origin(one, f"provenance.{k}") for k, one in enumerate(_listed(value, "provenance")))


def _origin(value: Any, place: str) -> Origin:
    found = {name: field_of(value, name, place) for name in Origin.__dataclass_fields__}
    return Origin(
        text_at(found["mhp"], f"{place}.mhp"),
        _text_or_none(found["command"], f"{place}.command"),
        count_at(found["step"], f"{place}.step"),
        _file(found["weights"], f"{place}.weights"),
        _file(found["backbone"], f"{place}.backbone"),
        tuple(_data(one, f"{place}.data.{k}") for k, one in enumerate(_listed(found["data"], f"{place}.data"))),
    )


def _file(value: Any, place: str) -> WeightFile | None:
    if value is None:
        return None
    name, size, digest = (field_of(value, key, place) for key in WeightFile.__dataclass_fields__)
    if size is None and digest is None:
        return WeightFile(text_at(name, f"{place}.name"))
    return WeightFile(
        text_at(name, f"{place}.name"), count_at(size, f"{place}.bytes"), digest_at(digest, f"{place}.sha256")
    )


def _data(value: Any, place: str) -> TrainingData:
    folder, split, layout = (text_at(field_of(value, key, place), f"{place}.{key}") for key in _NAMES)
    content = field_of(value, "content", place)
    licence, citation = (_text_or_none(field_of(value, key, place), f"{place}.{key}") for key in _TERMS)
    if content is not None:
        digest_at(content, f"{place}.content")
    return TrainingData(folder, split, layout, content, licence, citation)


_NAMES, _TERMS = ("folder", "split", "layout"), ("licence", "citation")


def _text_or_none(value: Any, place: str) -> str | None:
    return None if value is None else text_at(value, place)


def _listed(value: Any, place: str) -> list[dict[str, Any]]:
    """Return a list of objects of at most MAX_ORIGINS."""
    if len(list_at(value, place)) > MAX_ORIGINS:
        raise ValueError(f"{place} has {len(value)} entries, more than {MAX_ORIGINS}")
    return [object_at(one, f"{place}.{k}") for k, one in enumerate(cast("list[Any]", value))]


def in_words(provenance: Provenance) -> str:
    """Return a provenance as lines of text."""
    if not provenance:
        return "Origin unknown: no record of data and commands."
    return "\n".join(line for k, origin in enumerate(provenance, 1) for line in _lines(k, origin))


def _lines(number: int, origin: Origin) -> list[str]:
    begun = f"after {counted(origin.step, 'step')}" if origin.step else "from random weights"
    files = [("weights of", origin.weights), ("backbone of", origin.backbone)]
    named = [f"{what} {_file_in_words(file)}" for what, file in files if file is not None]
    command = origin.command or "called from Python"
    lines = [f"{number}. mhp {origin.mhp}, {', '.join([begun] * (not named or origin.step > 0) + named)}: {command}"]
    for data in origin.data:
        lines.append(f"   trained on {data.in_words}")
        lines += [f"   cite: {data.citation}"] * (data.citation is not None)
    return [printable(line) for line in lines]


def _file_in_words(file: WeightFile) -> str:
    return file.name if file.sha256 is None else f"{file.name} (SHA-256 {file.sha256})"
