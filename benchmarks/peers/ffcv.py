"""FFCV with custom decoders, since its stock decoders draw different random numbers for an image and its labels.

Both fields, image (JPEG bytes or raw RGB) and labels (uncompressed), have the sample's draws in their metadata, so both
decoders make the same crop. FFCV's own C functions decode (libjpeg-turbo, fast DCT) and resize (area, antialiased);
normalising is fused into the decoder. One environment writes the stores (``prepare``) and reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from ffcv.fields.base import ARG_TYPE, Field
from ffcv.libffcv import imdecode, resize_crop
from ffcv.loader import Loader
from ffcv.pipeline.allocation_query import AllocationQuery
from ffcv.pipeline.compiler import Compiler
from ffcv.pipeline.operation import Operation
from ffcv.pipeline.state import State
from ffcv.traversal_order.base import TraversalOrder
from ffcv.writer import DatasetWriter

from peers.task import BATCH, DEVIATION, MEAN, SIZE, Task, draw

STORES = ("jpeg", "raw")
VERSIONS = ("ffcv", "numba", "torch", "numpy")
ABOUT = "its own threads, decoders of ours; {store} RGB + raw labels; area resize, antialiased"

_JPEG, _RAW = 0, 1
_DRAWS = ("flip", "scaled_height", "scaled_width", "top", "left")
_METADATA = np.dtype(
    [("mode", "<u1"), ("height", "<u2"), ("width", "<u2"), ("pointer", "<u8"), *((name, "<u2") for name in _DRAWS)]
)
_TABLE = ((np.arange(256, dtype=np.float32)[:, None] / 255 - MEAN) / DEVIATION).T.copy()
LONG_EPOCH = 4096
"""Minimum samples per epoch: FFCV reallocates its buffers in each, so a small set is repeated with new draws."""


class Stored(Field):
    """Field with the bytes and size of an image, and room for the draws."""

    metadata_type = _METADATA

    @staticmethod
    def from_binary(binary: np.ndarray) -> Stored:
        return Stored()

    def to_binary(self) -> np.ndarray:
        return np.zeros(1, ARG_TYPE)[0]

    def get_decoder_class(self) -> type[Operation]:
        return Operation  # unused: the pipelines name their decoders

    def encode(self, destination: np.ndarray, value: tuple[int, np.ndarray, tuple[int, int]], malloc: Callable) -> None:
        mode, data, (height, width) = value
        pointer, buffer = malloc(data.size)
        buffer[:] = data.reshape(-1)
        destination["mode"], destination["pointer"] = mode, pointer
        destination["height"], destination["width"] = height, width


class PhotoDecoder(Operation):
    """Decode an image to normalised planes, float32 (3, 768, 768), or to uint8 (768, 768, 3)."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.dtype = np.dtype(dtype)

    def declare_state_and_memory(self, previous_state: State) -> tuple[State, tuple[AllocationQuery, ...]]:
        largest = int((self.metadata["height"].astype(np.int64) * self.metadata["width"]).max())
        if (self.metadata["mode"] != _JPEG).all():
            largest = 1  # nothing to decode
        shape = (3, SIZE, SIZE) if self.dtype == np.float32 else (SIZE, SIZE, 3)
        memory = (
            AllocationQuery(shape, self.dtype),
            AllocationQuery((3 * largest,), np.dtype("u1")),
            AllocationQuery((3 * SIZE * SIZE,), np.dtype("u1")),
        )
        return replace(previous_state, jit_mode=True, shape=shape, dtype=self.dtype), memory

    def generate_code(self) -> Callable:
        read, threads = self.memory_read, Compiler.get_iterator()
        decode_jpeg, resize, part_of = map(Compiler.compile, (imdecode, resize_crop, _part))
        write = Compiler.compile(_write_planes if self.dtype == np.float32 else _write_pixels)

        def decode(batch_indices, memory, metadata, storage_state):  # type: ignore[no-untyped-def]  # numba's
            out, decoded, resized = memory
            for row in threads(len(batch_indices)):
                field = metadata[batch_indices[row]]
                data = read(field["pointer"], storage_state)
                height, width = np.int64(field["height"]), np.int64(field["width"])
                if field["mode"] == _JPEG:
                    pixels = decoded[row][: 3 * height * width]
                    decode_jpeg(data, pixels, height, width, height, width, 0, 0, 1, 1, False, False)
                else:
                    pixels = data
                first_row, last_row, first_column, last_column, shown_height, shown_width = part_of(field)
                part = resized[row][: 3 * shown_height * shown_width].reshape(shown_height, shown_width, 3)
                source = pixels.reshape(height, width, 3)
                resize(source, first_row, last_row, first_column, last_column, part)
                write(part, field["flip"] != 0, out[row])
            return out[: len(batch_indices)]

        decode.is_parallel = True  # type: ignore[attr-defined]
        return decode


class LabelDecoder(Operation):
    """Crop the labels to uint8 (768, 768)."""

    def declare_state_and_memory(self, previous_state: State) -> tuple[State, AllocationQuery]:
        shape = (SIZE, SIZE)
        return (
            replace(previous_state, jit_mode=True, shape=shape, dtype=np.dtype("u1")),
            AllocationQuery(shape, np.dtype("u1")),
        )

    def generate_code(self) -> Callable:
        read, threads = self.memory_read, Compiler.get_iterator()
        part_of, write = Compiler.compile(_part), Compiler.compile(_write_labels)

        def decode(batch_indices, out, metadata, storage_state):  # type: ignore[no-untyped-def]  # numba's
            for row in threads(len(batch_indices)):
                field = metadata[batch_indices[row]]
                labels = read(field["pointer"], storage_state).reshape(field["height"], field["width"])
                write(labels, part_of(field), field["flip"] != 0, out[row])
            return out[: len(batch_indices)]

        decode.is_parallel = True  # type: ignore[attr-defined]
        return decode


def _part(field):  # type: ignore[no-untyped-def]  # numba's
    """Return first and last row and column of the source region that the crop shows, and the shown height and width."""
    height, width = np.int64(field["height"]), np.int64(field["width"])
    scaled_height, scaled_width = np.int64(field["scaled_height"]), np.int64(field["scaled_width"])
    top, left = np.int64(field["top"]), np.int64(field["left"])
    shown_height, shown_width = min(SIZE, scaled_height - top), min(SIZE, scaled_width - left)
    if field["flip"]:
        left = scaled_width - left - shown_width
    first_row, last_row = top * height // scaled_height, (top + shown_height) * height // scaled_height
    first_column, last_column = left * width // scaled_width, (left + shown_width) * width // scaled_width
    return first_row, last_row, first_column, last_column, shown_height, shown_width


def _write_planes(part, flip, out):  # type: ignore[no-untyped-def]  # numba's
    height, width = part.shape[0], part.shape[1]
    step, start = (-1, width - 1) if flip else (1, 0)
    for channel in range(3):
        table = _TABLE[channel]
        for row in range(height):
            for column in range(width):
                out[channel, row, column] = table[part[row, start + step * column, channel]]
            out[channel, row, width:] = table[0]
        out[channel, height:] = table[0]


def _write_pixels(part, flip, out):  # type: ignore[no-untyped-def]  # numba's
    height, width = part.shape[0], part.shape[1]
    step, start = (-1, width - 1) if flip else (1, 0)
    for row in range(height):
        for column in range(width):
            for channel in range(3):
                out[row, column, channel] = part[row, start + step * column, channel]
        out[row, width:] = 0
    out[height:] = 0


def _write_labels(labels, part, flip, out):  # type: ignore[no-untyped-def]  # numba's
    first_row, last_row, first_column, last_column, height, width = part
    columns = np.empty(width, np.int64)
    for column in range(width):
        seen = width - 1 - column if flip else column
        columns[column] = first_column + (2 * seen + 1) * (last_column - first_column) // (2 * width)
    for row in range(height):
        line = labels[first_row + (2 * row + 1) * (last_row - first_row) // (2 * height)]
        for column in range(width):
            out[row, column] = line[columns[column]]
        out[row, width:] = 0
    out[height:] = 0


def batches(task: Task) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches endlessly."""
    sizes, rng = task.sizes, np.random.default_rng(task.seed)
    passes = _passes(len(sizes))
    loader = Loader(
        str(task.data / f"{task.store}.beton"),
        batch_size=BATCH,
        num_workers=task.workers,
        os_cache=True,
        seed=task.seed,
        drop_last=True,
        batches_ahead=1,
        custom_fields={"photo": Stored, "labels": Stored},
        pipelines={"photo": [PhotoDecoder(task.dtype)], "labels": [LabelDecoder()]},
    )
    metadata = np.tile(loader.reader.metadata, passes)
    writable = metadata.view()
    metadata.setflags(write=False)  # FFCV compiles for read-only metadata
    loader.reader.metadata = metadata
    loader.traversal_order = Passes(loader)  # the argument ``order`` rejects classes (1.0.2)
    loader.first_traversal_order = loader.next_traversal_order()
    while True:
        crops = [draw(rng, (height, width)) for _ in range(passes) for height, width in sizes.tolist()]
        drawn = np.array([(crop.flip, *crop.scaled, crop.top, crop.left) for crop in crops])
        for field in writable.dtype.names:
            for column, name in enumerate(_DRAWS):
                writable[field][name] = drawn[:, column]
        yield from loader


class Passes(TraversalOrder):
    """Shuffled passes in sequence, one per copy of the metadata."""

    def sample_order(self, epoch: int) -> np.ndarray:
        rng, count = np.random.default_rng([self.seed, epoch]), len(self.indices)
        return np.concatenate([start * count + rng.permutation(self.indices) for start in range(_passes(count))])


def _passes(count: int) -> int:
    return -(-LONG_EPOCH // count)


class _Files:
    """Samples in the form that FFCV's writer expects."""

    def __init__(self, data: Path, store: str) -> None:
        self.data, self.store, self.names = data, store, Task(data).names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[tuple, tuple]:
        photo = np.fromfile(self.data / "jpeg" / f"{self.names[index]}.jpg", np.uint8)
        labels = cv2.imread(str(self.data / "png" / f"{self.names[index]}.png"), cv2.IMREAD_UNCHANGED)
        size, mode = labels.shape, _JPEG
        if self.store == "raw":
            photo, mode = cv2.cvtColor(cv2.imdecode(photo, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), _RAW
        return (mode, photo, size), (_RAW, labels, size)


def prepare(data: Path) -> None:
    """Write the .beton files beside the JPEG and PNG files, unless they exist."""
    for store in STORES:
        out = data / f"{store}.beton"
        if out.exists():
            continue
        partial = out.with_suffix(".partial")
        writer = DatasetWriter(str(partial), {"photo": Stored(), "labels": Stored()}, page_size=1 << 25, num_workers=1)
        writer.from_indexed_dataset(_Files(data, store), shuffle_indices=False)
        partial.replace(out)
