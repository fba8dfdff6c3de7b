"""A web server of one file that misbehaves as a script says, for tests of downloads.

It answers honestly, with ETag, If-Range and ranges, unless a change is given for the number of the request (from 0).
"""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Reply:
    """An answer: ``cut`` is the number of bytes of the body after which the connection is closed; None for none."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None


@dataclass
class Script:
    """Content and behaviour of the server; all fields may be changed while it runs.

    ``tag``: ETag with quotes, or "". ``ranges``: whether it answers ranges. ``changes``: by number of the request, a
    function that changes the honest reply. ``requests``: header fields of each request so far.
    """

    content: bytes
    tag: str = '"one"'
    modified: str = ""
    ranges: bool = True
    changes: dict[int, Callable[[Reply], Reply]] = field(default_factory=dict)
    always: Callable[[Reply], Reply] | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def reply(self, asked: dict[str, str]) -> Reply:
        """Return the honest answer."""
        size = len(self.content)
        headers = {name: text for name, text in (("ETag", self.tag), ("Last-Modified", self.modified)) if text}
        match = _RANGE.fullmatch(asked.get("Range", ""))
        if self.ranges and match and asked.get("If-Range", self.tag) in (self.tag, self.modified):
            start = int(match[1])
            if start >= size:
                return Reply(416, {**headers, "Content-Range": f"bytes */{size}", "Content-Length": "0"}, b"")
            headers |= {"Content-Range": f"bytes {start}-{size - 1}/{size}", "Content-Length": str(size - start)}
            return Reply(206, headers, self.content[start:])
        return Reply(200, {**headers, "Content-Length": str(size)}, self.content)


def cut(count: int) -> Callable[[Reply], Reply]:
    """Return the change that closes the connection after ``count`` bytes of the body."""
    return lambda reply: Reply(reply.status, reply.headers, reply.body, count)


def status(code: int, **headers: str) -> Callable[[Reply], Reply]:
    """Return the change that answers with a status and no body."""
    return lambda reply: Reply(code, {"Content-Length": "0", **headers}, b"")


def header(**fields: str) -> Callable[[Reply], Reply]:
    """Return the change that sets header fields; _ stands for -."""
    given = {name.replace("_", "-"): text for name, text in fields.items()}
    return lambda reply: Reply(reply.status, {**reply.headers, **given}, reply.body, reply.cut)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def do_GET(self) -> None:
        script = self.script
        number = len(script.requests)
        script.requests.append(dict(self.headers))
        reply = script.reply(dict(self.headers))
        reply = script.always(reply) if script.always else reply
        reply = script.changes[number](reply) if number in script.changes else reply
        self.send_response(reply.status)
        for name, text in reply.headers.items():
            if text:
                self.send_header(name, text)
        self.end_headers()
        self.close_connection = reply.cut is not None or "Content-Length" not in reply.headers
        with contextlib.suppress(OSError):
            self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def scripted(content: bytes, **fields: object) -> Iterator[Script]:
    """Yield the script of a running server; ``url`` is the address of its file."""
    script = Script(content, **fields)  # type: ignore[arg-type]
    handler = type("Handler", (_Handler,), {"script": script})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_address[1]}/LV-MHP-v1.zip?signature=secret"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
