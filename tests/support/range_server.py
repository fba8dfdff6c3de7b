"""An HTTP server for tests of object storage: GET and HEAD of a folder's files, with ranges, ETags, faults and counts.

It cannot list. As S3 with path-style addresses, ``bucket/key`` is the path below the folder, so one server serves both
``http://`` and ``s3://``. A fault is chosen by a hash of (seed, path, range), and never for the same range twice in
succession, so a client that asks again succeeds.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

FAULTS = ("500", "429", "truncated", "short", "stalled", "wrong")
"""Status 500 or 429; a body that ends early; a 206 that is short by its own length; a pause; a changed byte."""
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class RangeServer:
    """A running server.

    Args:
        folder: Folder to serve.
        faults: Kinds of faults to inject, of FAULTS; empty for none.
        share: Share of the answers to GET that are faulty, 0 to 1.
        seed: Seed of the choice.
        stall_s: Pause of a stalled answer in its middle, in seconds.

    Attributes:
        url: Address of the server, without a slash at the end.
        requests: (method, path, range) of each request so far; the range is None for a whole object.
        injected: Number of faults of each kind so far.
        delay_s: Pause before each answer, in seconds; may be changed.
        authorizations: Values of the header Authorization that were received.
    """

    def __init__(
        self, folder: Path, faults: tuple[str, ...] = (), share: float = 0.05, seed: int = 0, stall_s: float = 2.0
    ) -> None:
        self.folder, self.faults, self.share, self.seed, self.stall_s = folder, faults, share, seed, stall_s
        self.requests: list[tuple[str, str, tuple[int, int] | None]] = []
        self.injected: Counter[str] = Counter()
        self.authorizations: set[str] = set()
        self.delay_s = 0.0
        self._spared: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        handler = type("Handler", (self.handler_class(),), {"owner": self})
        self._server = _Quiet(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        for connection in self._server.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def handler_class(self) -> type:
        """Return the class that answers."""
        return _Handler

    def length(self, path: str) -> int | None:
        """Return the size of an object; None if it does not exist."""
        file = self.folder / path.lstrip("/")
        return file.stat().st_size if ".." not in path and file.is_file() else None

    def content(self, path: str, first: int, end: int) -> bytes:
        """Return a range of an object."""
        with (self.folder / path.lstrip("/")).open("rb") as file:
            file.seek(first)
            return file.read(end - first)

    def tag(self, path: str) -> str:
        """Return the ETag of an object."""
        file = self.folder / path.lstrip("/")
        return f'"{file.stat().st_size}-{file.stat().st_mtime_ns}"' if file.is_file() else '"-"'

    def count(self, method: str = "", end: str = "") -> int:
        """Return the number of requests of a method, for paths that end with ``end``."""
        return sum(one.startswith(method) and path.endswith(end) for one, path, _ in self.requests)

    def fault(self, path: str, asked: str) -> str:
        """Return the fault of the next answer to a GET; "" for none."""
        key = (path, asked.rpartition("-")[2])  # a client may ask for the rest of a range
        with self._lock:
            if not self.faults or key in self._spared:
                self._spared.discard(key)
                return ""
            digest = hashlib.sha256(f"{self.seed} {path} {asked} {len(self.requests) // 64}".encode()).digest()
            if int.from_bytes(digest[:4], "little") >= self.share * 2**32:
                return ""
            kind = self.faults[digest[4] % len(self.faults)]
            self._spared.add(key)
            self.injected[kind] += 1
            return kind


class _Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection: a client keeps it open, and would get answers after ``close``."""
        self.open.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that went away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: RangeServer

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _answer(self, body: bool) -> None:
        owner, path = self.owner, unquote(urlsplit(self.path).path)
        asked = self.headers.get("Range", "")
        match = _RANGE.fullmatch(asked)
        with owner._lock:
            span = (int(match[1]), int(match[2]) + 1) if match else None
            owner.requests.append((self.command, path, span))
            owner.authorizations |= {self.headers["Authorization"]} if "Authorization" in self.headers else set()
        if owner.delay_s:
            time.sleep(owner.delay_s)
        kind = owner.fault(path, asked) if body else ""
        if kind in ("500", "429"):
            self._send(int(kind), {}, b"")
            return
        size = owner.length(path)
        if size is None:
            self._send(404, {}, b"")
            return
        first, end = (min(span[0], size), min(span[1], size)) if span else (0, size)
        data = bytearray(owner.content(path, first, end) if body else b"")
        headers = {"ETag": owner.tag(path), "Last-Modified": "Sun, 29 Nov 2026 08:00:00 GMT"}
        if not body:
            headers["Content-Length"] = str(size)
        if kind == "wrong" and data:
            data[len(data) // 2] ^= 0x10
        if kind == "short" and len(data) > 1:
            del data[len(data) // 2 :]
        if span:
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        self._send(206 if span else 200, headers, bytes(data), kind)

    def _send(self, status: int, headers: dict[str, str], data: bytes, kind: str = "") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        half = len(data) // 2 if kind in ("truncated", "stalled") else len(data)
        self.wfile.write(data[:half])
        if kind == "stalled":
            self.wfile.flush()
            time.sleep(self.owner.stall_s)
        if kind == "truncated":
            self.close_connection = True
            return
        self.wfile.write(data[half:])


@contextlib.contextmanager
def serving(folder: Path, **options: object) -> Iterator[RangeServer]:
    """Yield a server of a folder; options as for RangeServer."""
    server = RangeServer(folder, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.close()
