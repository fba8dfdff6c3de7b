"""Addresses of packed folders: what is parsed, what is rejected, and that no message repeats a secret."""

import pickle
from pathlib import Path

import pytest

import mhpdata
from mhpdata.address import Address, parse_address
from mhpdata.errors import OptionError
from mhpdata.options import check_folder, check_path, short_name


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://bucket/a/rec", Address("s3", "bucket", "a/rec")),
        ("s3://bucket", Address("s3", "bucket", "")),
        ("S3://bucket/rec/", Address("s3", "bucket", "rec")),
        ("gs://my.bucket_1/rec", Address("gs", "my.bucket_1", "rec")),
        ("http://127.0.0.1:8080/a%20b/rec/", Address("http", "127.0.0.1:8080", "a b/rec")),
        ("https://[::1]:443/rec", Address("https", "[::1]:443", "rec")),
        ("s3://bucket/100%25/rec", Address("s3", "bucket", "100%25/rec")),
    ],
)
def test_addresses_are_parsed(text, address):
    assert parse_address("folder", text) == address
    assert parse_address("folder", str(address)) == address or "%" in text
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize(
    "text", ["rec", "/data/rec", "./s3:/bucket", "a:/b", "C:/rec", "data:/x", "~/rec", Path("s3"), ""]
)
def test_paths_are_no_addresses(text):
    assert parse_address("folder", text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ftp://host/rec", "unsupported scheme ftp://"),
        ("azure://box/rec", "unsupported scheme azure://"),
        ("file:///data/rec", "unsupported scheme file://"),
        (Path("s3://bucket/rec"), "one slash is missing"),
        ("https:/host/rec", "one slash is missing"),
        ("s3:///rec", "invalid name of a bucket"),
        ("s3://-bucket/rec", "invalid name of a bucket"),
        ("http:///rec", "invalid name of a host"),
        ("http://host:port/rec", "invalid name of a host"),
        ("http://host:99999/rec", "invalid name of a host"),
        ("http://host:0/rec", "invalid name of a host"),
        ("s3://bucket/a/../b", "an empty part, . or .."),
        ("s3://bucket/a//b", "an empty part, . or .."),
        ("http://host/a/%2e%2e/b", "an empty part, . or .."),
    ],
)
def test_other_addresses_are_rejected(text, found):
    for read in (check_folder, check_path):
        with pytest.raises(OptionError, match=found):
            read("folder", text)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:SECRET@host/rec",
        "https://SECRET@host/rec",
        "s3://SECRET:key@bucket/rec",
        "https://host/rec?X-Amz-Signature=SECRET",
        "s3://bucket/rec?versionId=SECRET",
        "https://host/rec#SECRET",
        "https://host:SECRET/rec",
        "s3://SECRET SECRET/rec",
    ],
)
def test_no_message_repeats_a_secret(text):
    with pytest.raises(OptionError) as caught:
        check_folder("folder", text)
    assert "SECRET" not in repr(caught.value) + str(caught.value) + repr(pickle.dumps(caught.value))


def test_an_address_has_the_operations_of_a_path_that_readers_use():
    address = Address("s3", "bucket", "a/rec") / "train-00000.rec"
    assert str(address) == "s3://bucket/a/rec/train-00000.rec"
    assert address.name == "train-00000.rec"
    assert address.with_suffix(".idx").name == "train-00000.idx"
    assert Address("s3", "bucket", "a.b/rec").with_suffix(".idx").key == "a.b/rec.idx"
    assert short_name(Address("gs", "bucket", "")) == "bucket"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc"])
def test_an_object_stays_below_its_prefix(name):
    with pytest.raises(AssertionError):
        Address("s3", "bucket", "rec") / name


@pytest.mark.parametrize("argument", ["src", "out"])
def test_pack_does_not_take_a_web_server_for_a_folder(tmp_path, monkeypatch, source, argument):
    monkeypatch.chdir(tmp_path)
    paths = {"src": str(source), "out": "rec", argument: "https://bucket/rec"}
    with pytest.raises(OptionError, match="an address of a web server"):
        mhpdata.pack(**paths)
    assert list(tmp_path.iterdir()) == []
