"""Start one process per device for the torch engine, on one machine or several, by replacing the command with torchrun.

On several machines, the same command runs on each. From --rendezvous it finds what torchrun and gloo must be told: this
machine's address and interface on that network, and whether this machine is the host where all meet.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from mhpdata.errors import EngineError, OptionError
from mhpdata.filesystem.regular import read_regular
from mhpdata.options import check_range
from mhpdata.processes.threads import usable_cores
from mhpdata.wording import why
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import check_installed

PORT = 29400
"""Port of the rendezvous, which is torchrun's own default."""
WITHOUT_RANKS = 0.4
"""Part of --timeout that a machine waits for others while it has no process. Before that, its processes have waited for
those of a lost machine (mhpmodels.engines.torch.ranks)."""
SHORTEST_S = 20
"""Least --timeout of several machines: a lost machine is forgotten after three signs of life, each a second apart."""


@dataclass(frozen=True)
class Machines:
    """The machines of a run.

    Args:
        nodes: number of machines, "2", or the least and most, "1:2".
        host: name or address of the machine where all meet.
        port: its port.
        restarts: number of times that the processes are started again after one is lost.
    """

    nodes: str
    host: str
    port: int = PORT
    restarts: int = 0

    @staticmethod
    def of(nodes: str | None, rendezvous: str | None, restarts: int = 0) -> Machines | None:
        """Return the machines that the options --nodes, --rendezvous and --restarts name; None for one machine.

        Raises:
            OptionError: an option is missing or invalid.
        """
        if nodes is None and rendezvous is None and not restarts:
            return None
        if nodes is None or rendezvous is None:
            name, other = ("nodes", "rendezvous") if nodes is None else ("rendezvous", "nodes")
            remedy = "Pass --nodes 2 --rendezvous HOST on all machines, with the name or address of one of them."
            raise OptionError(name, "missing", f"with --{'restarts' if rendezvous is nodes else other}", remedy)
        numbers = re.fullmatch(r"([1-9]\d{0,3})(?::([1-9]\d{0,3}))?", nodes)
        if numbers is None or int(numbers[1]) > int(numbers[2] or numbers[1]):
            raise OptionError("nodes", repr(nodes), "a number, or MIN:MAX", "Pass, for example, --nodes 2.")
        place = re.fullmatch(r"(\[[\da-fA-F:.]+\]|[^\s:/\[\]]+)(?::(\d{1,5}))?", rendezvous)
        if place is None or not 0 < int(place[2] or PORT) < 1 << 16:
            remedy = "Pass, for example, --rendezvous 10.0.0.1:29400."
            raise OptionError("rendezvous", repr(rendezvous), "HOST or HOST:PORT", remedy)
        check_range("restarts", restarts, 0, 1_000_000)
        return Machines(nodes, place[1].strip("[]"), int(place[2] or PORT), restarts)


def launch_ranks(config: TrainConfig, module: str, arguments: Sequence[str], machines: Machines | None = None) -> None:
    """Replace this process with torchrun if ``config`` needs several processes and torchrun has not started them yet.

    Args:
        config: configuration with the engine and the number of contexts.
        module: module to run, as for ``python -m``.
        arguments: command-line arguments of the module.
        machines: the machines of the run; None for this one only.

    Raises:
        OptionError: the engine or the timeout does not suit several machines.
        EngineError: torch is not installed, GPUs are missing, or the machine where all meet cannot be found.
    """
    machine = config.machine
    if machines is not None and machine.engine != "torch":
        remedy = "Pass --engine torch, or start MXNet's processes as docs/cluster.md describes."
        raise OptionError("nodes", f"{machines.nodes} with engine {machine.engine}", "engine torch", remedy)
    if machine.engine != "torch" or "LOCAL_RANK" in os.environ or (machines is None and machine.contexts == 1):
        return
    check_installed(machine.engine)
    if machine.ngpus:  # here, where it is one error, and not one per process
        from mhpmodels.engines.torch.ranks import check_gpus

        check_gpus(machine.ngpus)
    # if unset, torchrun gives each process one thread and prints a warning
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // machine.contexts)))
    torchrun = [sys.executable, "-m", "mhpmodels.engines.torch.torchrun"]
    torchrun += ["--limit", f"{machine.timeout * WITHOUT_RANKS:g}"]
    torchrun += ["--standalone"] if machines is None else _meeting(machines, machine.timeout)
    torchrun += [f"--nproc-per-node={machine.contexts}"]
    os.execv(sys.executable, [*torchrun, "-m", module, *arguments])


def _meeting(machines: Machines, timeout: float) -> list[str]:
    """Return torchrun's options for this machine, and set the interface that gloo uses, unless it is set."""
    if timeout < SHORTEST_S:
        remedy = f"Pass --timeout {SHORTEST_S} or more."
        raise OptionError("timeout", f"{timeout:g} for several machines", f"at least {SHORTEST_S}", remedy)
    here, hosts = _own_address(machines)
    name = interface_of(here)
    if name:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    # a store of each round's own: in a shared one, restarted ranks find the addresses of those before them (torch 2.13)
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", f"{min(30, int(timeout * WITHOUT_RANKS))}")
    often = min(5, int(timeout / SHORTEST_S))  # three signs of life and the last call take 0.25 of the timeout
    settings = {
        "is_host": int(hosts),
        "keep_alive_interval": often,
        "keep_alive_max_attempt": 3,
        "last_call_timeout": max(1, min(30, int(timeout / 10))),
    }
    return [
        f"--nnodes={machines.nodes}",
        f"--max-restarts={machines.restarts}",
        "--rdzv-backend=c10d",
        "--rdzv-id=mhp",
        f"--rdzv-endpoint={machines.host}:{machines.port}",
        f"--rdzv-conf={','.join(f'{key}={value}' for key, value in settings.items())}",
        f"--local-addr={here}",
    ]


def _own_address(machines: Machines) -> tuple[str, bool]:
    """Return this machine's address on the network of the rendezvous, and whether the rendezvous is this machine."""
    try:
        found = socket.getaddrinfo(machines.host, machines.port, type=socket.SOCK_DGRAM)
        family, kind, _, _, place = found[0]
        with socket.socket(family, kind) as probe:
            probe.connect(place)  # sends nothing, but chooses the route
            here = str(probe.getsockname()[0])
    except OSError as error:
        remedy = "Pass the name or address of one of the machines, which all of them can reach."
        raise EngineError(f"--rendezvous {machines.host}", f"cannot be found ({why(error)})", "", remedy) from error
    return here, here == str(place[0])


def interface_of(address: str) -> str:
    """Return the name of the network interface that has an IP address of this machine; "" if none is found."""
    wanted = ipaddress.ip_address(address.partition("%")[0])
    if wanted.version == 6:
        with suppress(OSError):
            for line in read_regular("/proc/net/if_inet6", 1 << 20).decode().splitlines():
                digits, *_, name = line.split()
                if int(digits, 16) == int(wanted):
                    return name
        return ""
    with suppress(ImportError, OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        import fcntl

        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without an address
                answer = fcntl.ioctl(probe, 0x8915, struct.pack("256s", name.encode()[:15]))  # SIOCGIFADDR
                if answer[20:24] == wanted.packed:
                    return name
    return ""
