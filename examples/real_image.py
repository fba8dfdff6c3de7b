"""Take real images through the pipeline: those of scikit-image and, where MHP_SAMPLES is set, samples of LV-MHP v1.

Run:  make real, or, in its environment,  python examples/real_image.py --work build/real

1. ImageNet's classes of four images, by EfficientNet-Lite0 as mhp's backbone and the classifier of the same weights:
   the weights are read right if the classes are.
2. The portrait of an astronaut through mhp pack, verify, predict and show. Its annotation is rough: three polygons,
   drawn by hand for this example, below. So nothing is compared with it.
3. The same for each folder mhp_v1_* of MHP_SAMPLES with an image of LV-MHP v1 and its masks, in the form of the
   release. What is made of it falls under the licence of LV-MHP v1, and stays in --work.

The network was trained on a few hundred drawn images (benchmarks/pretrained.py): do not expect good predictions.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import click
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.images.decode import decode_image
from mhpdata.images.resize import resize_image
from mhpdata.labels import MHP_V1
from mhpmodels.engines.torch.backbone import load_backbone
from mhpmodels.engines.torch.weights import read_weights
from mhpmodels.files.packaged import find_in_package
from mhpmodels.models import EFFICIENTNET
from mhpmodels.networks.architecture import Architecture, build_network
from mhpmodels.networks.backbones.efficientnet import FIRST, STEP

IMAGES = {
    "coffee.png": (967, "espresso"),
    "camera.png": (872, "tripod"),
    "chelsea.png": (282, "tiger cat"),
    "rocket.jpg": (657, "missile"),
}
"""{image of scikit-image: number and name of its class in ImageNet}."""
SIDE = 224
POLYGONS = {
    "upper clothes": (
        *(115, 190, 135, 155, 165, 148, 190, 165, 255, 178, 290, 195, 305, 240, 330, 260, 350, 290, 362, 348, 330, 365),
        *(295, 410, 280, 450, 280, 511, 100, 511, 25, 480, 22, 430, 30, 330, 45, 270, 90, 230),
    ),
    "hair": (172, 118, 155, 95, 153, 62, 178, 30, 215, 15, 258, 20, 288, 42, 300, 75, 298, 105, 280, 128, 180, 122),
    "face": (180, 105, 184, 75, 215, 66, 250, 80, 274, 92, 274, 130, 262, 165, 240, 185, 215, 185, 195, 165, 182, 130),
}
"""Rough outlines in the portrait: x, y, x, y, ... in pixels; a later one covers an earlier one."""


@click.command()
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder for everything that is made.")
@click.option("--run", type=click.Path(path_type=Path), help="Run to predict with.  [default: one in --work]")
def main(work: Path, run: Path | None) -> None:
    """Classify, pack, predict and show real images."""
    data = Path(str(files("skimage"))) / "data"
    classify(data)
    run = run or work / "imagenet-epochs-5-seed-0"
    out = work / "portrait"
    shutil.rmtree(out, ignore_errors=True)
    portrait(data / "astronaut.png", out / "source")
    through(out, run, "--labels", str(out / "source" / "labels.json"))
    for sample in sorted(Path(os.environ.get("MHP_SAMPLES", "/nonexistent")).glob("mhp_v1_*")):
        out = work / sample.name
        shutil.rmtree(out, ignore_errors=True)
        release(sample, out / "source")
        through(out, run)


def classify(data: Path) -> None:
    """Print the most likely class of each image; exit with an error if one is wrong."""
    network = build_network(Architecture("psp", EFFICIENTNET, 19), dropout=0.0).eval()
    load_backbone(network, EFFICIENTNET, "package")
    published = read_weights(find_in_package(EFFICIENTNET))
    for name, (expected, word) in IMAGES.items():
        image, _ = decode_image((data / name).read_bytes(), name)
        height, width = image.shape[:2]
        side = min(height, width) * 7 // 8
        top, left = (height - side) // 2, (width - side) // 2
        small = resize_image(image[top : top + side, left : left + side].copy(), (SIDE, SIDE))
        pixels = torch.from_numpy(small.transpose(2, 0, 1)[None] / 255).float()
        with torch.no_grad():
            chances = torch.softmax(logits(network, pixels, published), 1)[0]
        found = int(chances.argmax())
        print(f"{name}: class {found} with probability {float(chances[found]):.2f}; {word} is {expected}")
        if found != expected:
            sys.exit(1)


def logits(network: torch.nn.Module, pixels: Tensor, published: dict[str, Tensor]) -> Tensor:
    """Return ImageNet's logits of images (N, 3, 224, 224) in 0..1, by the backbone and the published classifier."""
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    features = network.stem((pixels - mean) / deviation)
    for name in ("layer1", "layer2", "layer3", "layer4"):
        features = getattr(network, name)(features)
    features = F.conv2d(features[:, :, FIRST::STEP, FIRST::STEP], published["_conv_head.weight"])
    norm = [published[f"_bn1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    features = F.batch_norm(features, *norm, eps=1e-3).clamp(0, 6).mean((2, 3))
    return features @ published["_fc.weight"].T + published["_fc.bias"]


def portrait(image: Path, folder: Path) -> None:
    """Write the portrait and its polygons as a dataset of one's own, in COCO's form, with the classes of LV-MHP v1."""
    (folder / "images").mkdir(parents=True)
    shutil.copyfile(image, folder / "images" / image.name)
    numbers = {name: number for number, name in enumerate(MHP_V1.names)}
    parts = [
        {"id": k, "image_id": 1, "category_id": numbers[name], "person": 1, "segmentation": [list(points)]}
        for k, (name, points) in enumerate(POLYGONS.items(), 1)
    ]
    content = {
        "images": [{"id": 1, "file_name": image.name, "height": 512, "width": 512}],
        "categories": [{"id": number, "name": name} for name, number in numbers.items() if number],
        "annotations": parts,
    }
    (folder / "val.json").write_text(json.dumps(content))
    about = {
        "name": "portrait",
        "classes": list(MHP_V1.names),
        "licence": "public domain (NASA, https://flic.kr/p/r9qvLn); its outlines are rough, drawn for this example",
        "folder": {"form": "coco", "images": "images", "annotations": {"val": "val.json"}, "person": "person"},
    }
    (folder / "labels.json").write_text(json.dumps(about, indent=1))


def release(sample: Path, folder: Path) -> None:
    """Write a sample of LV-MHP v1 in the form of the release."""
    for name, pattern in (("images", "*.jpg"), ("annotations", "*.png")):
        (folder / name).mkdir(parents=True)
        for path in sample.glob(pattern):
            shutil.copyfile(path, folder / name / path.name)
    names = "".join(f"{path.name}\n" for path in sorted((folder / "images").iterdir()))
    (folder / "train_list.txt").write_text("")
    (folder / "test_list.txt").write_text(names)


def through(out: Path, run: Path, *packing: str) -> None:
    """Pack, verify, predict and show the dataset in ``out/source``."""
    split = "val" if packing else "test"
    rec, image = out / "rec", next((out / "source" / "images").iterdir())
    for command in (
        ("pack", "--src", out / "source", "--out", rec, "--split", split, "--size", 0, *packing),
        ("verify", rec, "--deep"),
        (
            "predict",
            "--checkpoint",
            run,
            "--no-cuda",
            "--data",
            rec,
            "--split",
            split,
            "--overlay",
            "--out",
            out / "pred",
        ),
        ("predict", "--checkpoint", run, "--no-cuda", "--overlay", "--legend", "--out", out / "pred-image", image),
        ("show", rec, "--out", out / "sheet.png"),
    ):
        name, *arguments = (str(part) for part in command)
        print("mhp", name, *arguments, flush=True)
        subprocess.run([sys.executable, "-m", f"mhptools.{name}", *arguments], check=True)


if __name__ == "__main__":
    main()
