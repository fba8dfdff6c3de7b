"""Augment packed samples with albumentations in torch's workers.

``python examples/albumentations_dataset.py --help`` shows the arguments.

albumentations depends on opencv-python-headless, which installs into the same folder, cv2, as mhp's opencv-python; with
both, uninstalling or updating either breaks the other. Install it alone first, then its other dependencies:

    pip install ".[torch]"    # in this repository; brings opencv-python
    pip install --no-deps albumentations==2.0.8 albucore==0.0.24
    pip install pydantic scipy PyYAML stringzilla simsimd

`make .venv/albumentations/.ready` creates such an environment. mhpdata.Loader is faster, and gives the same results on
any number of threads; use albumentations for transforms that mhpdata.Loader does not have.
"""

import argparse
import os

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else the import queries the network for a newer version

import albumentations
import torch
from torch.utils.data import DataLoader, Dataset

import mhpdata
from mhpdata.imagenet import DEVIATION, MEAN


class Mirror(albumentations.HorizontalFlip):
    """Mirror an image, and swap its left and right labels."""

    def __init__(self, table, p=0.5):
        super().__init__(p=p)
        self.table = table  # uint8 (256,): each label's counterpart

    def apply_to_mask(self, mask, **params):
        return self.table[super().apply_to_mask(mask, **params)]


class Augmented(Dataset):
    """Crops of one split: images float32 (3, crop, crop), normalised; labels int64 (crop, crop), 255 is ignored."""

    def __init__(self, folder, split, crop):
        self.samples = mhpdata.open(folder, split)  # each worker opens the shards again
        transforms = [
            Mirror(self.samples.manifest.labels.mirrored),
            albumentations.PadIfNeeded(crop, crop, border_mode=0, fill_mask=255),
            albumentations.RandomCrop(crop, crop),
            albumentations.RandomBrightnessContrast(),
            albumentations.Normalize(MEAN, DEVIATION),
        ]
        self.transform = albumentations.Compose(transforms)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        sample = self.samples[index]
        # torch seeds each worker again in each epoch; without this, albumentations repeats the first epoch's draws
        self.transform.set_random_seed(int(torch.randint(1 << 31, ())))
        done = self.transform(image=sample.image, mask=sample.labels)
        return torch.from_numpy(done["image"]).permute(2, 0, 1), torch.from_numpy(done["mask"]).long()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Augment packed samples with albumentations in torch's workers.")
    parser.add_argument("rec", help="packed folder")
    parser.add_argument("crop", nargs="?", type=int, default=256, help="side of the crops, in pixels (default: 256)")
    args = parser.parse_args()
    for images, labels in DataLoader(
        Augmented(args.rec, "train", args.crop), batch_size=4, shuffle=True, num_workers=2
    ):
        print(tuple(images.shape), tuple(labels.shape), f"{(labels != 255).float().mean():.0%} labelled")
