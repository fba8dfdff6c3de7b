"""Batches as torch tensors on a device, for your own training loop.

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

from mhpdata.errors import MissingError, OptionError
from mhpdata.loading.loader import Loader
from mhpdata.options import in_words
from mhpmodels.engines.engine import install

if TYPE_CHECKING:
    from mhpmodels.engines.torch.copies import Copies


def to_torch(loader: Loader, device: Any = "cpu") -> Copies:
    """Wrap a loader so that its batches are torch tensors on a device.

    The result has the loader's interface: iterate, ``len``, ``set_epoch``, ``state_dict``, ``load_state_dict``,
    ``close``. The state is that after the last batch that the loop has received, also on the loader itself. For a GPU,
    the next batch is copied through pinned memory on a stream of its own while the current one is in use; the current
    stream waits for the copy when the batch is requested. On the CPU nothing is copied: tensors share the loader's
    memory, which is reused once the last tensor is gone.

    Args:
        loader: loader with any output dtype. "uint8" is a quarter of the bytes to copy and is normalised on the
            device.
        device: device as torch takes it, such as "cuda", "cuda:1" or "cpu".

    Returns:
        An iterable of ``TensorBatch``: images float32 (N, 3, H, W), normalised, or float16 if the loader's are; labels
        uint8 (N, H, W), 255 for unlabelled pixels; indices, persons, boxes and counts as in ``mhpdata.Batch``. All are
        tensors on the device. Lightning and Accelerate accept it as a data loader (docs/loader.md).

    Raises:
        MissingError: torch is not installed.
        OptionError: ``loader`` is not a loader, or torch knows no such device.
        EngineError: torch does not see this GPU.
    """
    if not isinstance(loader, Loader):
        remedy = 'Pass, for example, mhpdata.Loader("rec", "train", batch_size=4).'
        raise OptionError("loader", in_words(loader), "a mhpdata.Loader", remedy)
    try:
        from mhpmodels.engines.torch.copies import Copies, find_device
    except ImportError as error:
        raise MissingError("torch", f"cannot be imported ({error})", "", f"{install('torch')}.") from error
    return Copies(loader, find_device(device))
