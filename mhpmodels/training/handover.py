"""For a training loop of one's own: the loader's batches as torch tensors on a device.

::

    loader = mhpdata.Loader("rec", "train", batch_size=16, output=mhpdata.Output(dtype="uint8"))
    batches = mhpmodels.to_torch(loader, "cuda")
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        for batch in batches:
            loss = criterion(network(batch.images), batch.labels.long())

torch is imported when ``to_torch`` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mhpdata.errors import MissingError
from mhpmodels.engines.engine import install

if TYPE_CHECKING:
    from mhpdata.loading.loader import Loader
    from mhpmodels.engines.torch.copies import Copies


def to_torch(loader: Loader, device: Any = "cpu") -> Copies:
    """The loader with batches of tensors; it is iterated, counted, resumed and closed as the loader is.

    A batch for a GPU is copied through pinned memory, on a stream of its own, while the batch before is worked on; the
    stream that is current when it is asked for waits for the copy. On the CPU nothing is copied: a tensor is the
    loader's own memory, which is used again when the last tensor is gone.

    Args:
        loader: of any dtype; "uint8" is a quarter of the bytes to copy, and is normalised on the device.
        device: as torch takes it: "cuda", "cuda:1", "cpu".

    Returns:
        An iterable of ``TensorBatch``: images float32 (N, 3, H, W), normalised, or float16 if the loader's are; labels
        uint8 (N, H, W), 255 not labelled; indices, persons, boxes and counts as of ``mhpdata.Batch``, all of them
        tensors on the device. Lightning takes it as a data loader, and Accelerate, too (docs/loader.md).

    Raises:
        MissingError: torch is not installed.
    """
    try:
        from mhpmodels.engines.torch.copies import Copies
    except ImportError as error:
        raise MissingError("torch", f"cannot be imported ({error})", "", f"{install('torch')}.") from error
    return Copies(loader, device)
