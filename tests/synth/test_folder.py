"""The synthetic folder: form, statistics, determinism, and the defects that other tests use."""

from __future__ import annotations

import errno
import hashlib
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from mhpdata.errors import OptionError, OutputError
from mhpdata.labels import MHP_V1
from mhpdata.synth.painting.figure import figure
from mhpdata.synth.painting.scene import paint
from mhpdata.synth.planning.person import Person
from mhpdata.synth.planning.plan import LARGEST, Plan, plan, source
from mhpdata.synth.planning.skeleton import INDEX, joints
from mhpdata.synth.writing.annotation import annotate
from mhpdata.synth.writing.defects import DEFECTS
from mhpdata.synth.writing.folder import synthesize
from mhpdata.synth.writing.forms import FORMS
from mhpdata.synth.writing.unfinished import MARKER
from mhptools.synth import main

SEED = 7


def tree(folder: Path) -> dict[str, str]:
    """Return the hash of every file of a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make forty small images with their masks; read-only."""
    return synthesize(tmp_path_factory.mktemp("synth") / "MHP_v1", 40, SEED, workers=1, scale=0.25).folder


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [plan(SEED, index) for index in range(1, 801)]


@pytest.fixture(scope="module")
def people(plans: list[Plan]) -> list[Person]:
    return [person for p in plans for person in p.persons]


# The form of the folder.


def test_lists_images_and_masks_are_those_of_mhp_v1(small: Path) -> None:
    assert sorted(p.name for p in small.iterdir()) == [
        "SYNTHETIC.txt", "annotations", "images", "test_list.txt", "train_list.txt",
    ]  # fmt: skip
    train, test = ((small / f"{name}_list.txt").read_bytes() for name in ("train", "test"))
    assert train + test == b"".join(b"%04d.jpg\n" % i for i in range(1, 41))
    assert train.count(b"\n") == 32
    assert sorted(p.name for p in (small / "images").iterdir()) == [f"{i:04d}.jpg" for i in range(1, 41)]
    for i in range(1, 41):
        image = cv2.imread(str(small / "images" / f"{i:04d}.jpg"), cv2.IMREAD_UNCHANGED)
        masks = sorted((small / "annotations").glob(f"{i:04d}_*.png"))
        assert [m.name for m in masks] == [f"{i:04d}_{len(masks):02d}_{k:02d}.png" for k in range(1, len(masks) + 1)]
        assert 2 <= len(masks) <= 16
        for mask in masks:
            header = mask.read_bytes()[16:33]
            assert header[8:10] == bytes((8, 0)), "8 bits, gray, no palette"
            labels = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
            assert labels.shape == image.shape[:2]
            assert 0 < labels.max() < len(MHP_V1)


def test_split_point_keeps_the_ratio_of_the_release() -> None:
    counts = [
        {name: len(r) for name, r in FORMS["mhp-v1"].split(n).items()}["train_list"] for n in (4980, 240, 1, 2, 3)
    ]
    assert counts == [4000, 193, 1, 1, 2]
    for form in FORMS.values():
        assert [len(r) for r in form.split(sum(form.shares.values())).values()] == list(form.shares.values())
        for images in range(1, 30):
            ranges = list(form.split(images).values())
            assert [i for r in ranges for i in r] == list(range(1, images + 1))
            assert images < len(ranges) or all(ranges)


def test_bytes_do_not_depend_on_workers_or_on_how_many_images(small: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "two", 9, SEED, workers=2, scale=0.25)
    two, one = tree(tmp_path / "two"), tree(small)
    shared = [name for name in two if "list" not in name]
    assert len(shared) > 9
    assert [two[name] for name in shared] == [one[name] for name in shared]
    synthesize(tmp_path / "other", 2, SEED + 1, workers=1, scale=0.25)
    assert tree(tmp_path / "other")["images/0001.jpg"] != one["images/0001.jpg"]


def test_twins_have_the_same_photo_and_other_masks(tmp_path: Path) -> None:
    twin = next(i for i in range(2, 200) if source(SEED, i) != i)
    first, second = plan(SEED, twin, 0.25), plan(SEED, source(SEED, twin), 0.25)
    assert first == second
    masks = [annotate(first, np.random.default_rng([SEED, i, 3])) for i in (twin, source(SEED, twin))]
    assert any(not np.array_equal(a, b) for a, b in zip(*masks, strict=True))
    share = np.mean([source(SEED, i) != i for i in range(1, 4981)])
    assert 0.045 < share < 0.063  # 268 of 4980


# Statistics, on plans only.


def test_sizes_and_counts_follow_the_release(plans: list[Plan]) -> None:
    heights, widths = np.array([p.height for p in plans]), np.array([p.width for p in plans])
    assert abs(np.median(heights) - 634) < 60
    assert abs(np.median(widths) - 626) < 60
    low, high = np.percentile(np.concatenate([heights, widths]), [5, 95])
    assert 310 < low < 390
    assert 1350 < high < 1750
    assert heights.max() <= LARGEST[0]
    assert widths.max() <= LARGEST[1]
    counts = Counter(len(p.persons) for p in plans)
    assert min(counts) == 2
    assert max(counts) <= 16
    for number, share in ((2, 0.619), (3, 0.114), (4, 0.082), (5, 0.109)):
        assert abs(counts[number] / len(plans) - share) < 0.05
    assert abs(np.mean([len(p.persons) for p in plans]) - 3.0) < 0.25
    assert 0.005 < np.mean([p.gray for p in plans]) < 0.045


def test_parts_follow_the_release(people: list[Person]) -> None:
    people = people[:1000]
    shares = Counter(label for p in people for label in {shape.label for shape in figure(p)})
    expected = {"hat": 0.11, "hair": 0.96, "sunglasses": 0.09, "upper clothes": 0.82, "skirt": 0.10, "pants": 0.67,
                "dress": 0.20, "belt": 0.09, "face": 0.997, "bag": 0.09, "scarf": 0.02, "torso skin": 0.29}  # fmt: skip
    for name, share in expected.items():
        assert abs(shares[MHP_V1.names.index(name)] / len(people) - share) < 0.05, name
    assert set(shares) == set(range(1, 19))


def test_left_and_right_are_the_persons_own(people: list[Person]) -> None:
    for person in people:
        columns = joints(person)[:, 0]
        left_first = columns[INDEX["shoulder_l"]] < columns[INDEX["shoulder_r"]]
        assert left_first == person.pose.behind


# Rendering.


@pytest.mark.parametrize("yaw", [0.0, 180.0])
def test_the_left_arm_lies_on_the_right_of_a_frontal_picture(yaw: float, people: list[Person]) -> None:
    person = next(p for p in people if p.pose.kind == "stand" and p.outfit.sleeve == 0)
    turned = replace(person, pose=replace(person.pose, yaw=yaw), x=200.0, ground=380.0, stature=350.0)
    scene = replace(plan(SEED, 1), height=400, width=400, persons=(turned,))
    (labels,) = annotate(scene, np.random.default_rng(SEED))
    left, right = ((labels == MHP_V1.names.index(name)).nonzero()[1].mean() for name in ("left arm", "right arm"))
    assert (left > right) == (yaw == 0)
    assert ((labels == MHP_V1.names.index("face")).sum() > 800) == (yaw == 0)


def test_persons_overlap_and_their_masks_rarely_disagree(small: Path) -> None:
    contested = conflicting = pixels = overlapping = 0
    seen: set[int] = set()
    for i in range(1, 41):
        paths = sorted((small / "annotations").glob(f"{i:04d}_*.png"))
        masks = np.stack([cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in paths])
        seen |= set(np.unique(masks).tolist())
        several = (masks > 0).sum(axis=0) > 1
        contested += int(several.sum())
        conflicting += int((several & (np.where(masks > 0, masks, 255).min(axis=0) != masks.max(axis=0))).sum())
        pixels += masks[0].size
        left, _, wide, _ = np.array([cv2.boundingRect(m) for m in masks]).T
        order = np.argsort(left)
        overlapping += bool((left[order][1:] < (left + wide)[order][:-1]).any())
    assert 0 < conflicting < 0.4 * contested
    assert 1e-5 < contested / pixels < 4e-3
    assert overlapping >= 0.8 * 40
    assert seen == set(range(19))


def test_a_photo_is_neither_flat_nor_noise(plans: list[Plan]) -> None:
    photo = paint(replace(plan(SEED, 1, 0.5), gray=False), np.random.default_rng(SEED)).astype(np.float32)
    coarse = cv2.resize(cv2.resize(photo, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA), photo.shape[1::-1])
    assert photo.std() > 25
    assert 1.5 < (photo - coarse).std() < 0.7 * photo.std()
    assert paint(replace(plan(SEED, 1, 0.1), gray=True), np.random.default_rng(SEED)).ndim == 2


# Defects.


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_changes_one_entry(name: str, tmp_path: Path) -> None:
    folder = synthesize(tmp_path / "set", 3, SEED, workers=1, scale=0.1).folder
    before = tree(folder)
    DEFECTS[name](folder, 2, np.random.default_rng(0))
    after = tree(folder)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    (path,) = changed
    assert path.startswith(("images/0002", "annotations/0002")) or path == "train_list.txt"


def test_the_folder_of_defects_names_each(tmp_path: Path) -> None:
    good = synthesize(tmp_path / "good", 5, SEED, workers=1, scale=0.1).folder
    bad = synthesize(tmp_path / "bad", 5, SEED, workers=1, scale=0.1, defects=True).folder
    named = dict(line.split() for line in (bad / "DEFECTS.txt").read_text().splitlines())
    assert list(named) == list(DEFECTS)
    listed = (bad / "train_list.txt").read_text()
    assert all(f"{i}.jpg\n" in listed for name, i in named.items() if name != "list-crlf")
    assert (bad / "test_list.txt").read_bytes() == b"0005.jpg\r\n"
    same = tree(bad)
    assert all(same[name] == digest for name, digest in tree(good).items() if "list" not in name)


def test_huge_files_declare_what_they_do_not_hold(tmp_path: Path) -> None:
    folder = synthesize(tmp_path / "set", 2, SEED, workers=1, scale=0.1).folder
    DEFECTS["huge-image"](folder, 1, np.random.default_rng(0))
    DEFECTS["huge-mask"](folder, 1, np.random.default_rng(0))
    image = (folder / "images" / "0001.jpg").read_bytes()
    assert (60000).to_bytes(2, "big") * 2 in image
    assert len(image) < 2000
    masks = [p.read_bytes() for p in (folder / "annotations").glob("0001_*.png")]
    assert sum((60000).to_bytes(4, "big") * 2 == m[16:24] and len(m) < 2000 for m in masks) == 1


# The output folder.


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("keep")
    with pytest.raises(OutputError, match=r"not empty.*--out"):
        synthesize(tmp_path / "mine", 2, workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    (tmp_path / ".new.part").mkdir()
    with pytest.raises(OutputError, match=r"\.new\.part.*Move \.new\.part away"):
        synthesize(tmp_path / "new", 2, workers=1)


def test_a_rerun_starts_anew_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mhpdata.synth.writing.folder.write_image", interrupted)
        with pytest.raises(KeyboardInterrupt):
            synthesize(tmp_path / "set", 2, workers=1, scale=0.1)
    assert (tmp_path / ".set.part" / MARKER).is_file()
    assert not (tmp_path / "set").exists()
    (tmp_path / ".set.part" / "images" / "9999.jpg").write_bytes(b"left over")
    synthesize(tmp_path / "set", 2, workers=1, scale=0.1)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    assert len(list((tmp_path / "set" / "images").iterdir())) == 2


def start(out: Path) -> subprocess.Popen[str]:
    """Start a command that makes many images and return when its processes write them."""
    command = [sys.executable, "-m", "mhptools.synth", "--out", str(out), "--images", "9000", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(list(out.parent.glob(f".{out.name}.part/images/*"))) < 3:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    return process


def test_a_killed_command_leaves_no_processes(tmp_path: Path) -> None:
    with start(tmp_path / "set") as process:
        process.kill()
        process.communicate(timeout=20)  # until the last process that has its output open has ended
    synthesize(tmp_path / "set", 2, workers=1, scale=0.1)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_a_second_command_is_refused_while_another_one_writes(tmp_path: Path) -> None:
    with start(tmp_path / "set") as process:
        try:
            with pytest.raises(OutputError, match=r"set: another mhp synth is writing here\. Wait until it ends, or"):
                synthesize(tmp_path / "set", 2, workers=1, scale=0.1)
            assert process.poll() is None and (tmp_path / ".set.part" / MARKER).exists()
        finally:
            process.kill()


FULL = ("images/0001.jpg", "annotations/0002", "train_list.txt", "test_list.txt", "images/0009.jpg", "DEFECTS.txt")


@pytest.mark.parametrize("name", [*FULL, f".set.part/{MARKER}", ".set.part/annotations"])
def test_a_disk_that_is_full_at_any_file_is_one_error_and_a_rerun_starts_anew(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, mkdir, unlink = Path.open, Path.mkdir, Path.unlink

    def full(path: Path) -> None:
        if name in path.as_posix():
            raise OSError(errno.ENOSPC, "No space left on device")

    def opened(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if set(mode) & set("wa"):
            full(path)
        return written(path, mode, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        patch.setattr(Path, "mkdir", lambda path, **options: (full(path), mkdir(path, **options))[1])
        patch.setattr(Path, "unlink", lambda path, **options: (full(path), unlink(path, **options))[1])
        with pytest.raises(OutputError, match=r"set.*cannot be written \(No space left on device\)\. Free space"):
            synthesize(tmp_path / "set", 2, workers=1, scale=0.1, defects=True)
    synthesize(tmp_path / "set", 2, workers=1, scale=0.1, defects=True)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    "wrong", [{"images": 0}, {"images": 10000}, {"seed": -1}, {"workers": 0}, {"scale": 0.0}, {"layout": "coco"}]
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="expected "):
        synthesize(tmp_path / "set", **{"workers": 1, **wrong})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_it_wrote_and_how_it_failed(tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path / "set"), "--images", "3", "--scale", "0.1", "--workers", "1"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "train_list.txt      2 images" in done.output
    assert "free to use" in done.output
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 3
    assert "not empty" in again.output
    assert CliRunner().invoke(main, [*arguments, "--images", "0"]).exit_code == 2
    assert "mhp synth --out" in CliRunner().invoke(main, ["--help"]).output


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, mhpdata.synth; print([m for m in ('cv2', 'numba', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
