"""mmseg: folders of images and label maps, and a configuration that MMEngine parses, for MMSegmentation 1.x.

::

    img_dir/<split>/<name>.jpg      as stored
    ann_dir/<split>/<name>.png      8-bit gray: the label of each pixel, 255 is ignored
    dataset.py                      classes, palette, pipelines and data loaders, to be used as a _base_

The configuration finds the folder by its own place. Its pipeline swaps left and right labels of mirrored images.
"""

from __future__ import annotations

import pprint
from collections.abc import Iterable, Iterator

from mhpdata.exporting.form import Form, Piece
from mhpdata.exporting.view import View
from mhpdata.images.encode import encode_png

IMAGES, LABELS, CONFIG = "img_dir", "ann_dir", "dataset.py"
_HEAD = '''"""Dataset settings for MMSegmentation 1.x. Adapt scale, crop_size and batch_size."""

dataset_type = "BaseSegDataset"
data_root = "{{{{ fileDirname }}}}"
metainfo = dict(
    classes={classes},
    palette={palette},
)
crop_size = (512, 512)
scale = (2048, 768)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5, swap_seg_labels={pairs}),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=scale, keep_ratio=True),
    dict(type="LoadAnnotations"),  # after the resize: labels keep their size
    dict(type="PackSegInputs"),
]
'''
_LOADER = """{name}_dataloader = dict(
    batch_size={batch},
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type={sampler}, shuffle={shuffle}),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix={prefix},
        img_suffix="{ending}",
        seg_map_suffix=".png",
        metainfo=metainfo,
        pipeline={pipeline},
        test_mode={test_mode},
    ),
)
"""
_EVALUATOR = '{name}_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])\n'
_UNLABELLED = '{name}_evaluator = dict(type="IoUMetric", format_only=True, output_dir="predictions")\n'


class Exporter(Form):
    """See Form."""

    name = "mmseg"
    reader = "dataset.py is a configuration for MMSegmentation 1.x, to be used as a _base_."

    def folders(self) -> Iterable[str]:
        """See Form."""
        yield LABELS
        yield from (f"{LABELS}/{split}" for split in self.plan.splits if self.plan.labelled(split))
        if self.plan.images:
            yield from (f"{IMAGES}/{split}" for split in self.plan.splits)

    def piece(self, split: str, view: View) -> Piece:
        """See Form."""
        files = self.image(f"{IMAGES}/{split}", view)
        if not self.plan.labelled(split):
            return Piece(files)
        files.append((f"{LABELS}/{split}/{view.name}.png", encode_png(view.maps()[0])))
        return Piece(files, persons=view.persons)

    def finish(self) -> Iterator[tuple[str, bytes]]:
        """See Form."""
        labels = self.plan.labels
        palette = [list(one.color) for one in labels.classes]
        texts = [
            _HEAD.format(
                classes=_indented(labels.names),
                palette=_indented(palette),
                pairs=[tuple(pair) for pair in labels.flip_pairs] or None,
            )
        ]
        texts += [self._loader(split) for split in self.plan.splits if split in ("train", "val", "test")]
        yield CONFIG, "".join(texts).encode()

    def _loader(self, split: str) -> str:
        """Return the settings of one split."""
        training, labelled = split == "train", self.plan.labelled(split)
        prefix = f'dict(img_path="{IMAGES}/{split}"'
        prefix += f', seg_map_path="{LABELS}/{split}")' if labelled else ")"
        pipeline = "train_pipeline" if training else "test_pipeline"
        if not labelled:
            pipeline = '[one for one in test_pipeline if one["type"] != "LoadAnnotations"]'
        text = _LOADER.format(
            name=split,
            batch=4 if training else 1,
            sampler='"InfiniteSampler"' if training else '"DefaultSampler"',
            shuffle=training,
            prefix=prefix,
            ending=self.plan.ending,
            pipeline=pipeline,
            test_mode=not training,
        )
        return text if training else text + (_EVALUATOR if labelled else _UNLABELLED).format(name=split)


def _indented(value: object) -> str:
    """Return a value as Python code, indented by four spaces."""
    return pprint.pformat(value, width=110, compact=True).replace("\n", "\n    ")
