"""mhp fetch: licence first, exit status, output."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from released import pretend, tree, zipped
from verified import build

from mhpdata.fetching.published import WEIGHTS
from mhpdata.terms import TERMS
from mhptools.fetch import main


@pytest.fixture
def archive(tmp_path, monkeypatch):
    pretend(monkeypatch, build(tmp_path / "LV-MHP-v1"))
    return zipped(tmp_path / "LV-MHP-v1", tmp_path / "LV-MHP-v1.zip")


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_licence_and_citation_come_first(archive, tmp_path):
    done = run("mhp-v1", "--out", tmp_path / "out", "--zip", archive)
    assert done.exit_code == 2 and not (tmp_path / "out").exists()
    head, _, usage = done.stderr.partition("Usage:")
    assert TERMS["mhp-v1"].licence in head and TERMS["mhp-v1"].citation in head
    assert "Pass --accept-licence if you accept it." in usage
    done = run("mhp-v1", "-q", "--accept-licence", "--out", tmp_path / "out", "--zip", archive)
    assert done.exit_code == 0 and TERMS["mhp-v1"].licence in done.stderr
    assert tree(tmp_path / "out") == tree(tmp_path / "LV-MHP-v1")
    assert done.stdout.endswith("files are those of the LV-MHP v1 release.\n")


def test_json_and_problems(archive, tmp_path):
    raw = bytearray(archive.read_bytes())
    raw[len(raw) // 3] ^= 4
    archive.write_bytes(bytes(raw))
    done = run("mhp-v1", "--accept-licence", "-o", tmp_path / "out", "--zip", archive)
    assert done.exit_code == 1 and "1 problem:" in done.stdout
    done = run("mhp-v1", "--accept-licence", "-o", tmp_path / "out", "--zip", archive, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 1 and found["complete"] is False and len(found["problems"]) == 1 and found["written"] == 0


def test_invalid_usage_and_files_in_the_way(archive, tmp_path):
    given = ("mhp-v1", "--accept-licence", "-o", tmp_path / "out")
    assert run(*given, "--zip", tmp_path / "none.zip").exit_code == 2
    assert run(*given, "--zip", archive, "--url", "http://127.0.0.1/x").exit_code == 2
    refused = run(*given, "--url", "ftp://127.0.0.1/x")
    assert refused.exit_code == 2 and "--url: a URL that mhp cannot download from" in refused.stderr
    assert run("cihp", "--accept-licence", "-o", tmp_path / "out").exit_code == 2
    (tmp_path / "out").mkdir()
    (tmp_path / "out/train_list.txt").write_text("mine")
    refused = run(*given, "--zip", archive)
    assert refused.exit_code == 3 and "mhp does not replace what it has not written" in refused.stderr


def test_weights_have_terms_and_no_archive(tmp_path):
    given = ("icnet_resnet50_mhpv1", "--out", tmp_path / "out")
    done = run(*given)
    assert done.exit_code == 2 and "non-commercial research only" in done.stderr and not (tmp_path / "out").exists()
    (tmp_path / "some.zip").write_bytes(b"PK")
    done = run(*given, "--accept-licence", "--zip", tmp_path / "some.zip")
    assert done.exit_code == 2 and "--zip and --all are for datasets" in done.stderr
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / WEIGHTS["icnet_resnet50_mhpv1"].files[0].name
    file.write_bytes(b"mine")
    done = run(*given, "--accept-licence")
    assert done.exit_code == 3 and "mhp does not replace" in done.stderr and file.read_bytes() == b"mine"
