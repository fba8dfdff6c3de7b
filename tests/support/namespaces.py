"""Machines of a small network on this one: network namespaces on a bridge, each with an address of its own.

It needs root and iproute2. A link may be cut and joined while processes run.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Node:
    """A namespace.

    Attributes:
        name: Name of the namespace.
        address: Its IP address, on the interface eth0.
    """

    name: str
    address: str

    @property
    def prefix(self) -> list[str]:
        """The beginning of a command that runs there."""
        return ["ip", "netns", "exec", self.name]

    def kill(self) -> None:
        """End all processes of the node at once, as if it lost its power (unless its link is up: peers are told)."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        for process in map(int, found.stdout.split()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def link(self, state: str) -> None:
        """Cut the node's link ("down") or join it again ("up"), as if its cable were unplugged."""
        _ip("link", "set", f"{self.name}h", state)


def missing() -> str:
    """Return why there can be no namespaces here; "" if there can."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    if os.geteuid():
        return "network namespaces need root"
    name = f"mhpt{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "network namespaces are not allowed here"
    _ip("netns", "del", name)
    return ""


@contextmanager
def namespaces(count: int) -> Iterator[tuple[str, list[Node]]]:
    """Yield the address of this machine on the bridge, and the nodes."""
    number = next(free for free in itertools.count() if not Path("/sys/class/net", f"mhpt{free}").exists())
    bridge, net = f"mhpt{number}", f"10.{78 + number}.0"
    nodes = [Node(f"{bridge}n{i}", f"{net}.{i + 10}") for i in range(1, count + 1)]
    _ip("link", "add", bridge, "type", "bridge")
    try:
        _ip("addr", "add", f"{net}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for node in nodes:
            _ip("netns", "add", node.name)
            _ip("link", "add", f"{node.name}h", "type", "veth", "peer", "name", "eth0", "netns", node.name)
            _ip("link", "set", f"{node.name}h", "master", bridge, "up")
            _ip("-n", node.name, "addr", "add", f"{node.address}/24", "dev", "eth0")
            _ip("-n", node.name, "link", "set", "eth0", "up")
            _ip("-n", node.name, "link", "set", "lo", "up")
        yield f"{net}.1", nodes
    finally:
        for node in nodes:  # the link, too: the kernel deletes it only when the last process there has ended
            for what in (["link", "del", f"{node.name}h"], ["netns", "del", node.name]):
                subprocess.run(["ip", *what], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", bridge], check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
