"""Convert the blocks of a pack on a Dask cluster, then assemble the pack here (mhp pack --dask).

::

    client ──number of a block──> scheduler ──> worker: convert, write the part ──a few numbers──> client ──> assembly

A lost worker's blocks are given to others by Dask. If the scheduler is lost, its futures are cancelled: all blocks
without a result are submitted again when it is back, and those whose part was written are done at once.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from mhpdata.errors import EngineError, MhpError, MissingError, caused
from mhpdata.options import Folder, check_folder
from mhpdata.packing.pack import Choices, open_run
from mhpdata.packing.tasks.assembly import merge_tasks
from mhpdata.packing.tasks.block import Job, Outcome, convert_block
from mhpdata.packing.tasks.plan import blocks_of
from mhpdata.packing.tasks.work import begin_parts
from mhpdata.processes.threads import hidden
from mhpdata.storage.manifest import Manifest

if TYPE_CHECKING:
    from distributed import Client
    from typing_extensions import Unpack

LOCAL = "local"
"""Address that stands for a cluster of processes on this machine."""
_CONNECT_S, _RETURN_S, _CLOSE_S = 30, 300, 5
"""Seconds to wait for a scheduler: to answer at first, to return when it is lost, and to say goodbye."""
_log = logging.getLogger(__name__)


def pack_dask(src: str | Folder, out: str | Folder, address: str, **choices: Unpack[Choices]) -> Manifest:
    """Pack on a Dask cluster. Call again with the same arguments to resume an interrupted pack.

    Args:
        src, out: As for ``mhpdata.pack``; workers must see both under the same absolute paths, or addresses.
        address: Address of the scheduler, such as tcp://10.0.0.1:8786; "local" starts processes on this machine.
        choices: Further arguments of ``mhpdata.pack``. ``workers`` is the number of processes of a local cluster, and
            of the threads that assemble the shards.

    Returns:
        The manifest that was written.

    Raises:
        SourceError: The download is damaged or incomplete.
        OutputError: ``out`` cannot be written, or holds something else.
        EngineError: The cluster does not answer, or a worker fails.
        MissingError: Dask is not installed.
        OptionError: An argument is invalid.
    """
    src, out = _everywhere("src", src), _everywhere("out", out)
    with open_run(src, out, choices, lock=False) as run:
        if (manifest := run.already_done()) is not None:
            return manifest
        blocks = blocks_of(len(run.source.entries))
        begin_parts(run, len(blocks))
        there: Choices = {**choices, "workers": 1, "progress": False}
        job = Job(uuid.uuid4().hex, src, out, there, len(blocks))
        progress = choices.get("progress", False)
        with (
            _cluster(address, min(run.source.workers, max(len(blocks), 1))) as scheduler,
            tqdm(total=len(run.source.entries), unit=" images", smoothing=0.05, disable=hidden(progress)) as bar,
        ):
            _convert(scheduler, job, bar)
    return merge_tasks(src, out, **choices)


def _everywhere(name: str, value: str | Folder) -> Folder:
    """Return a path or address as it is valid on all machines."""
    place = check_folder(name, value)
    return place.absolute() if isinstance(place, Path) else place


def _convert(address: str, job: Job, bar: tqdm) -> None:
    """Convert all blocks of a job, however often the scheduler is lost."""
    todo, timeout = set(range(job.blocks)), _CONNECT_S
    while todo:
        with _connected(address, timeout) as client:
            if not client.scheduler_info()["workers"]:
                _log.info("Waiting for a worker of the Dask scheduler at %s.", address)
            try:
                for number, entries, _ in _outcomes(client, job, sorted(todo)):
                    todo.discard(number)
                    bar.update(entries)
            except _LostError:
                _log.warning("The Dask scheduler at %s is lost; waiting up to %s s for its return.", address, _RETURN_S)
        timeout = _RETURN_S


class _LostError(Exception):
    """The scheduler was lost while blocks had no result."""


def _outcomes(client: Client, job: Job, numbers: Sequence[int]) -> Iterator[Outcome]:
    """Submit blocks, and yield the outcome of each as soon as it is there.

    Raises:
        _LostError: The scheduler was lost.
        MhpError: The error of a block.
        EngineError: A worker failed.
    """
    from distributed import as_completed

    run = uuid.uuid4().hex  # keys of its own: those of an earlier run are cancelled
    futures = [client.submit(convert_block, job, n, key=f"mhp-pack-{run}-{n}", pure=False) for n in numbers]
    for future in as_completed(futures, loop=client.loop):
        if future.status == "error":
            raise _error_of(future.exception(), client)
        if future.status != "finished":
            raise _LostError
        try:
            outcome = future.result()
        except (CancelledError, OSError) as error:
            raise _LostError from error
        future.release()
        yield Outcome(*outcome)


def _error_of(error: BaseException, client: Client) -> MhpError:
    """Return the error to raise for that of a worker."""
    if isinstance(error, MhpError):
        return error
    found = f"a worker failed ({type(error).__name__}: {str(error)[:300]})"
    remedy = "Check that all workers have the same mhp and enough memory, then run the same command again to resume."
    return caused(EngineError(client.scheduler.address, found, "", remedy), error)


@contextmanager
def _connected(address: str, timeout: float) -> Iterator[Client]:
    """Connect to a scheduler within ``timeout`` seconds; raise EngineError if none answers."""
    from distributed import Client

    try:
        client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        found = f"no Dask scheduler answers within {timeout} s ({str(error)[:300]})"
        remedy = "Correct --dask, or start the scheduler; then run the same command again."
        raise EngineError(address, found, "the address of a scheduler, or local", remedy) from error
    try:
        yield client
    finally:
        with suppress(OSError, CancelledError):  # the scheduler is lost
            client.close(timeout=_CLOSE_S)


@contextmanager
def _cluster(address: str, workers: int) -> Iterator[str]:
    """Yield the address of the scheduler; with "local", that of a cluster which ends with the context."""
    try:
        from distributed import LocalCluster
    except ImportError as error:
        raise MissingError("Dask", f"cannot be imported ({error})", "", "Run: pip install distributed.") from error
    if address != LOCAL:
        yield address
        return
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}  # the default would listen on all addresses
    with LocalCluster(n_workers=workers, threads_per_worker=1, silence_logs=logging.CRITICAL, **here) as cluster:
        yield cluster.scheduler_address
