"""A small S3 service for tests: what range_server has, and PUT, multipart uploads, lists and deletion.

Objects are files below the folder: bucket/key. A bucket that does not exist is the error NoSuchBucket. Signatures are
not checked. Faults (status 500) can be injected into writes, before or after the object was stored, as when an answer
is lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from range_server import RangeServer, _Handler

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEDUMMY",
    "AWS_SECRET_ACCESS_KEY": "DummySecretThatNobodyMaySee",
    "AWS_SESSION_TOKEN": "DummyTokenThatNobodyMaySee",
    "AWS_REGION": "us-east-1",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
}
"""Environment of a client, without AWS_ENDPOINT_URL."""
PAGE = 7
"""Maximum number of names in an answer to a list; small, so that lists have several pages."""


class BucketServer(RangeServer):
    """A running server; see RangeServer.

    Attributes:
        uploads: Pieces of unfinished multipart uploads: {upload id: {number: bytes}}.
        lose: Number of coming writes whose answer is status 500 although the object is stored.
        refuse: Number of coming writes whose answer is status 500, and that store nothing.
        refuse_path: Path whose GET is always answered with status 500.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.lose = self.refuse = 0
        self.refuse_path = ""
        super().__init__(folder, **options)

    def tag(self, path: str) -> str:
        """Return the ETag of an object: its MD5, as in S3."""
        file = self.folder / path.lstrip("/")
        return f'"{hashlib.md5(file.read_bytes()).hexdigest()}"' if file.is_file() else '"-"'

    def names(self, bucket: str) -> list[str]:
        """Return the names of all objects of a bucket."""
        base = self.folder / bucket
        return sorted(path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file())

    def handler_class(self) -> type:
        """Return the class that answers."""
        return _BucketHandler


class _BucketHandler(_Handler):
    owner: BucketServer

    def do_GET(self) -> None:  # noqa: N802
        if self._path() == self.owner.refuse_path:
            self._error(500, "InternalError")
        elif not self._has_bucket():
            return
        elif "list-type" in self._query():
            self._note()
            self._list()
        else:
            super().do_GET()

    def do_PUT(self) -> None:  # noqa: N802
        self._note()
        data, query, path = self._body(), self._query(), self._path()
        if self._fails("refuse") or not self._has_bucket():
            return
        if "partNumber" in query:
            self.owner.uploads[query["uploadId"]][int(query["partNumber"])] = data
            self._send(200, {"ETag": f'"{hashlib.md5(data).hexdigest()}"'}, b"")
            return
        with self.owner._lock:
            if self.headers.get("If-None-Match") == "*" and (self.owner.folder / path[1:]).is_file():
                self._error(412, "PreconditionFailed")
                return
            self._store(path, data)
        if not self._fails("lose"):
            self._send(200, {"ETag": self.owner.tag(path)}, b"")

    def do_POST(self) -> None:  # noqa: N802
        self._note()
        body, query, path = self._body(), self._query(), self._path()
        if self._fails("refuse") or not self._has_bucket():
            return
        if "uploads" in query:
            upload = f"upload-{len(self.owner.requests)}"
            self.owner.uploads[upload] = {}
            text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            self._send(200, {}, text.encode())
        elif "uploadId" in query:
            pieces = self.owner.uploads.pop(query["uploadId"])
            with self.owner._lock:
                self._store(path, b"".join(pieces[number] for number in sorted(pieces)))
            if not self._fails("lose"):
                tag = escape(self.owner.tag(path))
                text = f"<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
                self._send(200, {}, text.encode())
        else:
            self._delete_many(path, body)

    def do_DELETE(self) -> None:  # noqa: N802
        self._note()
        query, path = self._query(), self._path()
        if "uploadId" in query:
            self.owner.uploads.pop(query["uploadId"], None)
        else:
            (self.owner.folder / path[1:]).unlink(missing_ok=True)
        self._send(204, {}, b"")

    def _delete_many(self, path: str, body: bytes) -> None:
        deleted = []
        for key in ElementTree.fromstring(re.sub(rb' xmlns="[^"]*"', b"", body)).iter("Key"):
            (self.owner.folder / path.strip("/") / str(key.text)).unlink(missing_ok=True)
            deleted.append(f"<Deleted><Key>{escape(str(key.text))}</Key></Deleted>")
        self._send(200, {}, f"<DeleteResult>{''.join(deleted)}</DeleteResult>".encode())

    def _list(self) -> None:
        query = self._query()
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token", query.get("start-after", ""))
        rows: list[str] = []
        last, more = "", False
        seen: set[str] = set()
        bucket = self._path().strip("/")
        for name in self.owner.names(bucket):
            if not name.startswith(prefix):
                continue
            rest = name[len(prefix) :]
            folder = prefix + rest.partition(delimiter)[0] + delimiter if delimiter and delimiter in rest else ""
            if (folder or name) <= after or folder in seen:
                continue
            if len(rows) == PAGE:
                more = True
                break
            last = folder or name
            if folder:
                seen.add(folder)
                rows.append(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>")
                continue
            path = f"/{bucket}/{name}"
            rows.append(
                f"<Contents><Key>{escape(name)}</Key><LastModified>2026-11-29T08:00:00.000Z</LastModified>"
                f"<ETag>{escape(self.owner.tag(path))}</ETag><Size>{self.owner.length(path) or 0}</Size></Contents>"
            )
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        text = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(rows)}"
        self._send(200, {}, f"{text}</ListBucketResult>".encode())

    def _store(self, path: str, data: bytes) -> None:
        file = self.owner.folder / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def _has_bucket(self) -> bool:
        """Return whether the bucket exists; if not, answer so."""
        exists = (self.owner.folder / self._path().split("/")[1]).is_dir()
        if not exists:
            self._error(404, "NoSuchBucket")
        return exists

    def _fails(self, kind: str) -> bool:
        with self.owner._lock:
            left = getattr(self.owner, kind)
            setattr(self.owner, kind, max(left - 1, 0))
        if left:
            self._error(500, "InternalError")
        return left > 0

    def _error(self, status: int, code: str) -> None:
        self._send(status, {}, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _note(self) -> None:
        with self.owner._lock:
            self.owner.requests.append((self.command, self._path(), None))
            self.owner.authorizations |= {self.headers["Authorization"]} if "Authorization" in self.headers else set()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _query(self) -> dict[str, str]:
        return {name: one[0] for name, one in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}


@contextmanager
def bucket(folder: Path, monkeypatch: Any, **options: Any) -> Iterator[BucketServer]:
    """Yield a service of a folder's buckets, to which s3:// addresses of this process lead."""
    from mhpdata.remote import store

    server = BucketServer(folder, **options)
    for name, value in {**SETTINGS, "AWS_ENDPOINT_URL": server.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(store, "_state", store._State())
    try:
        yield server
    finally:
        server.close()


class Killed(BaseException):
    """A process was killed."""


@contextmanager
def killed_at(step: int, monkeypatch: Any, after: bool) -> Iterator[list[int]]:
    """Let the ``step``-th write or deletion of an object, and all later ones, raise Killed.

    Args:
        step: Number of the write, from 1.
        monkeypatch: Patches mhp.
        after: Whether the step itself still reaches the service.

    Yields:
        A list whose only item counts the writes so far.
    """
    from mhpdata.remote import writing

    count, attempt = [0], writing.attempt

    def watched(address: Any, once: Any, *rest: Any) -> Any:
        count[0] += 1
        if count[0] > step or (count[0] == step and not after):
            raise Killed
        result = attempt(address, once, *rest)
        if count[0] == step:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(writing, "attempt", watched)
        yield count


def contents(server: BucketServer, bucket: str, prefix: str) -> dict[str, str]:
    """Return the SHA-256 of every object below a prefix except build.json, the only one that may differ."""
    found = {}
    for name in server.names(bucket):
        if name.startswith(f"{prefix}/") and not name.endswith("/build.json"):
            data = (server.folder / bucket / name).read_bytes()
            found[name[len(prefix) + 1 :]] = hashlib.sha256(data).hexdigest()
    return found
