"""Make examples/tour.ipynb from the cells below, and run it.

python tests/support/tour.py [OUT]          write the notebook without outputs
python tests/support/tour.py --run [OUT]    run it in a temporary folder, and write it with its outputs;
                                            needs nbclient, ipykernel and torch: .venv/notebook (make slow)
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

PATH = Path(__file__).parents[2] / "examples" / "tour.ipynb"

CELLS = """
# From a download to what a network says about an image

A synthetic dataset in the form of LV-MHP v1 takes the place of the download, so this runs in a few minutes on the CPU.
Install it in the repository with `pip install ".[torch]" notebook`. Everything is written below `tour/`; delete that
folder to run the notebook again. Results on synthetic images say nothing about accuracy on the real dataset.
=====
from mhpdata.synth.writing.folder import synthesize

download = synthesize("tour/MHP_v1", images=48, seed=0, workers=1, scale=0.5).folder
=====
## Pack

`mhpdata.pack` converts the download into shards and returns the manifest, which says what they hold.
=====
import mhpdata

manifest = mhpdata.pack(download, "tour/rec", size=192)
manifest
=====
## Open

A split is a sequence of samples. In a notebook it shows the first ones, each with its labels below it.
=====
train = mhpdata.open("tour/rec", "train")
train
=====
sample = max(train, key=lambda one: one.record.contested)
print(sample)
print(sample.record.contested, "pixels of the source have labels from several persons")
=====
## Look

The image, its labels in GluonCV's palette, the labels laid over the image, and the persons.
=====
import numpy as np
from IPython.display import Image, display

from mhpdata.labels import voc_color
from mhpdata.opencv import cv2
from mhpmodels.figures.overlay import lay_over

palette = train.manifest.labels.palette
person_colours = np.array([voc_color(person) for person in range(256)], np.uint8)


def show(*images):
    rows = np.hstack(images)
    return Image(cv2.imencode(".jpg", rows[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes())


labels = palette[sample.labels]
show(sample.image, labels, lay_over(sample.image, sample.labels, palette), person_colours[sample.persons])
=====
## Load

The loader crops, scales and flips in threads. The same seed gives the same batches.
=====
loader = mhpdata.Loader("tour/rec", "train", batch_size=8, view=mhpdata.TrainCrop(96, base_size=96), seed=0)
batch = next(iter(loader))
loader.close()
batch
=====
## Train

Train a small ICNet for 16 epochs, enough to see it learn. The library prints nothing itself: the lines of its
log go to Python's `logging`. `examples/own_loop.py` has a loop and a network of your own.
=====
import logging
import sys

from mhpmodels.config import TrainConfig
from mhpmodels.training.train import train as train_network

logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

config = TrainConfig.of(
    data="tour/rec",
    engine="torch",
    model="icnet",
    backbone="resnet18",
    ngpus=0,
    base_size=96,
    crop_size=96,
    batch_size=8,
    test_batch_size=4,
    optimizer="adam",
    lr=0.0005,
    epochs=16,
    log_interval=100,
)
run = train_network(config, "tour/run")
=====
## Predict and score

Write the labels of images that the network has not seen, as PNGs at the size of the source, and compare them with the
annotations. Predictions of other programs are scored in the same way.
=====
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_split
from mhpmodels.prediction.trained import inference_of, open_trained
from mhpmodels.scoring.report import table
from mhpmodels.scoring.score import score

network = open_trained("tour/run", {"ngpus": 0}, len(manifest.classes))
inference = inference_of(network, manifest.flip_pairs)
predicted = predict_split(inference, "tour/rec", "test", "tour/pred", None, Options(size=96))
network.close()
print(table(score("tour/rec", "tour/pred", "test")))
=====
## See

Image, annotation, prediction, at the packed size.
=====
from mhpdata.images.label_png import read_values

test = mhpdata.open("tour/rec", "test")
rows = []
for sample, path in zip(test[:2], predicted.labels, strict=False):
    found = read_values(path.read_bytes(), len(manifest.classes))
    small = cv2.resize(found, sample.labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    overlays = [lay_over(sample.image, labels, palette) for labels in (sample.labels, small)]
    rows.append(show(sample.image, *overlays))
display(*rows)
"""


def notebook() -> dict:
    """Return the notebook without outputs, in the form of nbformat 4.5."""
    cells = []
    for number, text in enumerate(CELLS.strip("\n").split("\n=====\n")):
        kind = "markdown" if text.startswith("#") else "code"
        outputs = {} if kind == "markdown" else {"execution_count": None, "outputs": []}
        source = text.splitlines(keepends=True)
        cells.append({"cell_type": kind, "id": f"cell-{number}", "metadata": {}, **outputs, "source": source})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def text_of(content: dict) -> str:
    """Return the file's text: plain JSON, with one line for each line of source."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def run(folder: Path) -> dict:
    """Run the notebook in ``folder``, and return it with its outputs; raises nbclient's error if a cell fails."""
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.reads(json.dumps(notebook()), as_version=4)
    NotebookClient(
        content, timeout=1800, coalesce_streams=True, resources={"metadata": {"path": str(folder)}}
    ).execute()
    for cell in content.cells:
        cell.metadata = {}  # the times
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if output.get("name") != "stderr"
            ]  # progress, and only that
    content.metadata.language_info = {"name": "python"}
    return json.loads(nbformat.writes(content))


if __name__ == "__main__":
    made, arguments = notebook(), [one for one in sys.argv[1:] if one != "--run"]
    if "--run" in sys.argv:
        with tempfile.TemporaryDirectory() as temporary:
            made = run(Path(temporary))
    (Path(arguments[0]) if arguments else PATH).write_text(text_of(made), encoding="utf-8")
