"""Downloads from servers that drop, truncate, lie about sizes or change the file: right bytes or one error."""

from __future__ import annotations

import random
import re

import pytest
from scripted_server import Reply, cut, header, scripted, status

from mhpdata.errors import ArchiveError, OptionError, OutputError, RemoteError
from mhpdata.fetching import web
from mhpdata.fetching.connection import check_url
from mhpdata.fetching.staging import staging
from mhpdata.fetching.web import Download

CONTENT = b"PK\x03\x04" + random.Random(0).randbytes(600_000)
OTHER = b"PK\x03\x04" + random.Random(1).randbytes(500_000)
MOST = 1 << 20


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Return the pauses that were asked for, and take none."""
    asked = []
    monkeypatch.setattr(web.time, "sleep", asked.append)
    return asked


@pytest.fixture
def to(tmp_path):
    with staging(tmp_path / "out") as folder:
        folder.create()
        yield folder


def get(script, to, most=MOST):
    Download(script.url, to, most).run()
    assert not to.part.exists() and not to.notes.exists()
    return to.archive.read_bytes()


def ranges(script):
    return [request.get("Range") for request in script.requests]


def test_an_honest_server(to, waits):
    with scripted(CONTENT) as script:
        assert get(script, to) == CONTENT
    assert ranges(script) == [None] and waits == []
    assert script.requests[0]["Accept-Encoding"] == "identity"


def test_dropped_connections_are_resumed_with_the_rest(to, waits):
    with scripted(CONTENT, changes={0: cut(200_000), 1: cut(200_000), 2: cut(3)}) as script:
        assert get(script, to) == CONTENT
    assert ranges(script) == [None, "bytes=200000-", "bytes=400000-", "bytes=400003-"]
    assert [request.get("If-Range") for request in script.requests] == [None, *['"one"'] * 3]
    assert waits == [0.5, 0.5, 1.0], "longer without progress"


@pytest.mark.parametrize("fields", [{"ranges": False}, {"tag": ""}, {"tag": 'W/"weak"'}])
def test_without_ranges_or_a_strong_tag_it_starts_again(to, fields):
    with scripted(CONTENT, changes={0: cut(200_000)}, **fields) as script:
        assert get(script, to) == CONTENT
    assert len(script.requests) == 2


def test_a_date_is_a_condition_too(to):
    date = "Sun, 29 Nov 2026 08:00:00 GMT"
    with scripted(CONTENT, tag="", modified=date, changes={0: cut(200_000)}) as script:
        assert get(script, to) == CONTENT
    assert script.requests[1]["If-Range"] == date and script.requests[1]["Range"] == "bytes=200000-"


def test_a_file_that_changes_is_downloaded_from_its_start(to):
    with scripted(CONTENT) as script:

        def change(reply):
            script.content, script.tag = OTHER, '"two"'
            return Reply(reply.status, reply.headers, reply.body, 100_000)

        script.changes = {0: change}
        assert get(script, to) == OTHER
    assert ranges(script) == [None, "bytes=100000-"], "If-Range gives the whole new file at once"


def test_a_server_that_ignores_if_range_gives_no_mixture(to):
    def other(reply):
        headers = {**reply.headers, "ETag": '"two"', "Content-Range": f"bytes 100000-{len(OTHER) - 1}/{len(OTHER)}"}
        script.content, script.tag = OTHER, '"two"'
        return Reply(206, {**headers, "Content-Length": str(len(OTHER) - 100_000)}, OTHER[100_000:])

    with scripted(CONTENT, changes={0: cut(100_000), 1: other}) as script:
        assert get(script, to) == OTHER
    assert ranges(script) == [None, "bytes=100000-", None]


def test_a_file_that_keeps_changing_is_one_error(to):
    with scripted(CONTENT) as script:

        def change(reply):
            script.tag = f'"{len(script.requests)}"'
            return Reply(reply.status, reply.headers, reply.body, 200_000)

        script.always = change
        with pytest.raises(RemoteError, match="the file on the server changed 3 times during the download"):
            get(script, to)
    assert len(script.requests) <= 5


def test_a_size_that_is_too_large_is_not_believed(to):
    """The header promises more bytes than the server ever sends."""
    with (
        scripted(CONTENT, always=lambda reply: _with_length(reply, 700_000)) as script,
        pytest.raises(RemoteError, match=r"\(.*, 8 times in a row\)"),
    ):
        get(script, to)
    assert not to.archive.exists() and len(script.requests) < 25


def _with_length(reply, total):
    if reply.status != 200:
        return reply
    return Reply(200, {**reply.headers, "Content-Length": str(total)}, reply.body, len(reply.body))


def test_a_size_that_is_too_small_gives_what_was_promised(to):
    """The hashes of the archive's files tell that something is missing."""
    with scripted(CONTENT, always=lambda reply: _with_length(reply, 300_000)) as script:
        assert get(script, to) == CONTENT[:300_000]


@pytest.mark.parametrize(
    "fields",
    [
        {"Content_Range": "bytes 7-600003/600004"},
        {"Content_Range": "bytes 100000-600003/999999"},
        {"Content_Range": "bytes 100000-600002/600003", "Content_Length": "500003"},
        {"Content_Range": "lines 1-2/3"},
        {"Content_Range": ""},
    ],
)
def test_a_part_that_is_not_the_rest_is_not_used(to, fields):
    with scripted(CONTENT, changes={0: cut(100_000), 1: header(**fields)}) as script:
        assert get(script, to) == CONTENT
    assert ranges(script)[:2] == [None, "bytes=100000-"] and ranges(script)[-1] is None


def test_a_file_that_became_shorter(to):
    with scripted(CONTENT) as script:

        def shorten(reply):
            script.content = CONTENT[:50_000]
            return Reply(reply.status, reply.headers, reply.body, 100_000)

        script.changes = {0: shorten}
        assert get(script, to) == CONTENT[:50_000]
    assert len(script.requests) == 3, "status 416 in between"


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_passing_errors_are_tried_again(to, code, waits):
    with scripted(
        CONTENT, changes={0: status(code, Retry_After="7"), 1: status(code, **{"Retry-After": "7"})}
    ) as script:
        assert get(script, to) == CONTENT
    assert 7.0 in waits and max(waits) <= 7


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_final_errors_are_not(to, code):
    with (
        scripted(CONTENT, always=status(code)) as script,
        pytest.raises(RemoteError, match=rf"cannot be downloaded \(status {code}\)\. Check the URL") as error,
    ):
        get(script, to)
    assert len(script.requests) == 1
    assert "secret" not in str(error.value), "a signature in the URL"


def test_a_server_that_stays_down(to, waits, caplog):
    caplog.set_level("INFO", "mhpdata")
    with (
        scripted(CONTENT, always=status(503)) as script,
        pytest.raises(RemoteError, match=r"status 503, 8 times in a row"),
    ):
        get(script, to)
    assert len(script.requests) == 8 and waits == [0.5, 1, 2, 4, 8, 16, 30]
    assert len(caplog.messages) == 7 and not any("secret" in text for text in caplog.messages)
    place = script.url.partition("?")[0]
    assert caplog.messages[0] == f"{place}: status 503. Request 2 of 8 in 0.5 s."
    assert caplog.messages[-1] == f"{place}: status 503. Request 8 of 8 in 30 s."


def test_nobody_answers(to):
    with scripted(CONTENT) as script:
        pass
    with pytest.raises(RemoteError, match="Connection refused, 8 times in a row"):
        get(script, to)


def test_an_answer_that_is_not_http(to):
    with (
        scripted(CONTENT, always=lambda reply: Reply(200, {"Transfer-Encoding": "chunked"}, b"zz\r\n")) as script,
        pytest.raises(RemoteError, match="8 times in a row"),
    ):
        get(script, to)


def test_chunks_without_a_length(to):
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in _pieces(CONTENT)) + b"0\r\n\r\n"
    chunked = {"ETag": '"one"', "Transfer-Encoding": "chunked"}
    with scripted(CONTENT, ranges=False) as script:
        script.changes = {0: lambda reply: Reply(200, chunked, body, 300_000)}
        script.always = lambda reply: Reply(200, chunked, body)
        assert get(script, to) == CONTENT
    assert len(script.requests) == 2


def _pieces(data, size=50_000):
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_a_body_without_a_length_ends_with_the_connection(to):
    with scripted(CONTENT, always=lambda reply: Reply(200, {}, CONTENT)) as script:
        assert get(script, to) == CONTENT
    with scripted(CONTENT, always=lambda reply: Reply(200, {}, b"")) as script:
        to.archive.unlink()
        with pytest.raises(RemoteError, match="the connection ended after 0 bytes"):
            get(script, to)


@pytest.mark.parametrize("declared", [True, False])
def test_more_than_an_archive_of_the_release_can_have_is_not_stored(to, declared):
    with scripted(CONTENT) as script:
        if not declared:
            script.always = lambda reply: Reply(200, {}, CONTENT)
        with pytest.raises(ArchiveError, match="expected at most 300000"):
            get(script, to, 300_000)
    assert not to.part.exists() or to.part.stat().st_size <= 300_000


@pytest.mark.parametrize(("kind", "found"), [("text/html", "is a web page"), ("image/png", "is not a zip archive")])
def test_a_page_in_place_of_the_archive(to, kind, found):
    with (
        scripted(b"<!doctype html>" * 9, always=header(Content_Type=kind)) as script,
        pytest.raises(ArchiveError, match=found),
    ):
        get(script, to)
    assert len(script.requests) == 1


def test_a_compressed_answer_is_refused(to):
    with (
        scripted(CONTENT, always=header(Content_Encoding="gzip")) as script,
        pytest.raises(RemoteError, match="the server compresses the file"),
    ):
        get(script, to)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x.zip", "file:///etc/passwd", "data:text/plain,x"])
def test_redirects_lead_to_web_servers_only(to, target):
    with (
        scripted(CONTENT, always=status(302, Location=target)) as script,
        pytest.raises(RemoteError, match="cannot be downloaded"),
    ):
        get(script, to)
    assert len(script.requests) == 1


def test_redirects_are_followed(to):
    with scripted(CONTENT) as target, scripted(b"", always=status(302, Location=target.url)) as script:
        assert get(script, to) == CONTENT


def test_the_next_command_goes_on_where_this_one_was_killed(to):
    class Killed(BaseException):
        pass

    with scripted(CONTENT) as script:
        download = Download(script.url, to, MOST)
        before, seen = download._bar.update, []

        def update(count):
            seen.append(count)
            if sum(seen) > 300_000:
                raise Killed
            before(count)

        download._bar.update = update
        with pytest.raises(Killed):
            download.run()
        done = to.part.stat().st_size
        assert done > 300_000 and b"secret" not in to.notes.read_bytes()
        assert get(script, to) == CONTENT
    assert ranges(script) == [None, f"bytes={done}-"]


@pytest.mark.parametrize("damage", ["other url", "notes", "no notes", "part is a link"])
def test_bytes_of_unknown_origin_are_not_continued(to, damage, tmp_path):
    with scripted(CONTENT) as script:
        script.changes = {number: cut(100) for number in range(20)}
        with pytest.raises(RemoteError):
            get(script, to)
        script.changes = {}
        if damage == "notes":
            to.notes.write_text('{"address": 1, "size": -1, "tag": "\\r\\nX: y", "modified": ""}')
        if damage == "no notes":
            to.notes.unlink()
        if damage == "other url":
            script.url = script.url.replace("secret", "another")
        if damage == "part is a link":
            (tmp_path / "mine").write_bytes(b"mine")
            to.part.unlink()
            to.part.symlink_to(tmp_path / "mine")
            with pytest.raises(OutputError, match=re.escape(str(to.part))):
                get(script, to)
            assert (tmp_path / "mine").read_bytes() == b"mine"
            return
        count = len(script.requests)
        assert get(script, to) == CONTENT
    assert "Range" not in script.requests[count]


def test_random_faults_give_the_right_bytes(to):
    """Every answer is cut, refused, without a range, or of another range, at random; only every fourth is honest."""
    for seed in range(12):
        chance = random.Random(seed)
        faults = [cut(90_000), cut(1), status(503), header(Content_Range="bytes 1-2/3"), cut(250_000), lambda r: r]
        with scripted(CONTENT) as script:
            script.changes = {n: chance.choice(faults) for n in range(400) if n % 4}
            assert get(script, to) == CONTENT
        to.archive.unlink()


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "/tmp/x.zip", "ftp://host/x", "file:///x", "http://", "http:///x", "http://user:pass@host/x"),
        *(
            "http://host/x#y",
            "http://host/a b",
            "http://host/\r\nX: y",
            "http://h\u00f6st/x",
            "http://[::1/x",
            "http://h:x/",
        ),
    ],
)
def test_other_urls_are_refused(url):
    with pytest.raises(OptionError, match="a URL that mhp cannot download from") as error:
        check_url(url)
    assert "pass" not in str(error.value).replace("password", "")


def test_a_full_disk_is_no_error_of_the_network(to, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with scripted(CONTENT) as script:
        monkeypatch.setattr(web, "write_notes", full)
        with pytest.raises(OutputError, match="No space left on device"):
            get(script, to)
    assert len(script.requests) == 1
