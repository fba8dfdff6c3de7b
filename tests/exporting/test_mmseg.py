"""mmseg: the configuration names the folders that hold images and label maps, pixel by pixel."""

import pytest
from exports import read

import mhpdata
from mhpdata.synth.writing.folder import synthesize


def settings(out):
    """Return the settings of an export, evaluated as MMEngine does: with the folder in place of its variable."""
    text = (out / "dataset.py").read_text().replace("{{ fileDirname }}", str(out))
    found = {}
    exec(compile(text, "dataset.py", "exec"), found)
    return found


@pytest.mark.parametrize("packed", ["whole", "resized"])
def test_the_configuration_leads_to_the_packed_labels(packed, request, tmp_path):
    rec, out = request.getfixturevalue(packed), tmp_path / "out"
    mhpdata.export(rec, out, "mmseg")
    found = settings(out)
    assert found["train_pipeline"][4]["swap_seg_labels"] == [(9, 10), (12, 13), (14, 15)]
    for split in ("train", "val", "test"):
        dataset = found[f"{split}_dataloader"]["dataset"]
        samples = mhpdata.open(rec, split)
        assert dataset["metainfo"]["classes"] == samples.classes
        assert len(dataset["metainfo"]["palette"]) == 19
        assert f"{split}_evaluator" in found or split == "train"
        images, labels = (out / dataset["data_prefix"][key] for key in ("img_path", "seg_map_path"))
        assert (
            {path.stem for path in images.iterdir()} == {path.stem for path in labels.iterdir()} == set(samples.names)
        )
        for sample in samples:
            assert (read(labels / f"{sample.name}{dataset['seg_map_suffix']}") == sample.labels).all()
            image = images / f"{sample.name}{dataset['img_suffix']}"
            assert image.read_bytes() == bytes(sample.record.image)


def test_images_that_are_not_jpegs_and_splits_without_labels(tmp_path):
    synthesize(tmp_path / "src", images=4, workers=1, scale=0.1, layout="cihp")
    mhpdata.pack(tmp_path / "src", tmp_path / "rec", size=0, image="raw")
    mhpdata.export(tmp_path / "rec", tmp_path / "out", "mmseg", splits=["val", "test"])
    found = settings(tmp_path / "out")
    assert "train_dataloader" not in found
    test = found["test_dataloader"]["dataset"]
    assert test["img_suffix"] == ".png" and "seg_map_path" not in test["data_prefix"]
    assert "LoadAnnotations" not in [one["type"] for one in test["pipeline"]]
    for split in ("val", "test"):
        for sample in mhpdata.open(tmp_path / "rec", split):
            assert (read(tmp_path / f"out/img_dir/{split}/{sample.name}.png") == sample.image).all()
