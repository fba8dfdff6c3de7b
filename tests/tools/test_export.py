"""mhp export: its result as text and JSON, and invalid usage."""

import json

from click.testing import CliRunner

from mhptools.export import main


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_it_exports_and_reports(small, tmp_path):
    found = run(small, "--to", "coco", "-o", tmp_path / "out", "--split", "val", "-j", 2)
    assert found.exit_code == 0, found.output
    assert "coco, at packed size, 4 files" in found.stdout and "val             1 images" in found.stdout
    assert "non-commercial research only" in found.stdout
    again = run("--data", small, "--to", "coco", "-o", tmp_path / "out", "--split", "val", "--json")
    content = json.loads(again.stdout)
    assert content["splits"] == {"val": {"images": 1, "persons": 3}} and content["files"] == 4
    assert content["written"] is False
    text = run(small, "--to", "coco", "-o", tmp_path / "out", "--split", "val").stdout.splitlines()
    assert text[0] == f"{tmp_path / 'out'}: already complete; nothing was written. It holds:"
    assert text[1].startswith("coco, at packed size, 4 files")
    assert not list(tmp_path.glob("out/.*"))


def test_invalid_usage_is_status_2(small, tmp_path):
    assert "Give the packed folder" in run("--to", "coco", "-o", tmp_path / "out").stderr
    assert run(small, "--data", small, "--to", "coco", "-o", tmp_path / "out").exit_code == 2
    assert run(small, "-o", tmp_path / "out").exit_code == 2
    assert run(small, "--to", "voc", "-o", tmp_path / "out").exit_code == 2
    found = run(small, "--to", "coco", "--at", "source", "-o", tmp_path / "out")
    assert found.exit_code == 2 and "Pass --at packed, or --no-images" in found.stderr


def test_output_in_the_way_is_status_3(small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").touch()
    found = run(small, "--to", "coco", "-o", tmp_path / "out")
    assert found.exit_code == 3 and "mine.txt" in str(found.stderr)
