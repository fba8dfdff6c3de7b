"""Mask2Former of transformers as a network of mhp: label scores and persons for images, its own loss for training.

::

    images ─> encoder ─> pixel decoder ─> decoder layers, Q queries each ─> classes (N, Q, C + 1), masks (N, Q, h, w)
       training:   of all layers, for ``loss``
       otherwise:  of the last layer ─scores─> label scores (N, labels, H, W), person maps (N, 2, H, W)

The classes are those of ``mhpmodels.networks.mask2former.targets``. In other people's checkpoints all classes are
labels, and the class named *person*, if there is one, also finds persons.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mhpdata.errors import CheckpointError
from mhpmodels.hub_folder import CONFIG, read_object
from mhpmodels.networks.hf.backbones import backbone_config, frozen, levels_of, load_weights
from mhpmodels.networks.hf.library import import_transformers, make_config, silent
from mhpmodels.networks.hf.pretrained import find_folder
from mhpmodels.networks.loss import LossNetwork
from mhpmodels.networks.mask2former.folder import open_inner, person_of
from mhpmodels.networks.mask2former.scores import label_scores, person_maps
from mhpmodels.networks.mask2former.sizes import SIZES
from mhpmodels.networks.mask2former.targets import Layer, targets_of


class Mask2Former(LossNetwork):
    """Map float32 (N, 3, H, W) to (label scores,), person maps; in training to the predictions of all layers.

    Args:
        inner: transformers' Mask2FormerForUniversalSegmentation, whose modules it takes.
        labels: number of labels, the first classes.
        person: class of persons; None for none.
        class_weights: weight of each label in the cross-entropy; None for 1.
    """

    base_names = ("encoder",)
    head_names = ("decoder", "transformer_module", "class_predictor")

    def __init__(
        self, inner: Any, labels: int, person: int | None, class_weights: tuple[float, ...] | None = None
    ) -> None:
        super().__init__()
        pixels = inner.model.pixel_level_module
        self.encoder, self.decoder = frozen(pixels.encoder), pixels.decoder
        self.transformer_module, self.class_predictor = inner.model.transformer_module, inner.class_predictor
        self.config, self.labels, self.person = inner.config, labels, person
        others = self.config.num_labels - labels
        weights = [*(class_weights or [1.0] * labels), *[1.0] * others, self.config.no_object_weight]
        self._weights = torch.tensor(weights)

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Names of the backbone's modules, from the stem to the last block; --layer-decay scales their rates."""
        return levels_of(self.encoder, "encoder")

    def load_base(self, source: str) -> None:
        """Load weights from a folder or OWNER/NAME: a backbone's, or all but the classes of a Mask2Former.

        Raises:
            CheckpointError: the folder cannot be read, or belongs to another backbone or another size.
        """
        folder = find_folder(source)
        content = read_object(folder / CONFIG)
        if content.get("model_type") != "mask2former":
            load_weights(self, "encoder", source)
            return
        names = content.get("id2label")
        given = open_mask2former(content, len(names) if isinstance(names, dict) else 2, folder).state_dict()
        own = {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("class_predictor.")}
        for name, tensor in own.items():
            shape = tuple(given[name].shape) if name in given else "missing"
            if shape != tuple(tensor.shape):
                remedy = "Pass the --backbone of the folder, or the folder of a network of these sizes."
                raise CheckpointError(folder, f"{name} is {shape}", f"{tuple(tensor.shape)}", remedy)
        self.load_state_dict({name: given[name] for name in own}, strict=False)

    def forward(self, images: Tensor) -> tuple[Layer, ...] | tuple[tuple[Tensor], Tensor]:
        decoded = self.decoder(self.encoder(images).feature_maps)
        found = self.transformer_module(decoded.multi_scale_features, decoded.mask_features, output_hidden_states=True)
        pairs = zip(found.intermediate_hidden_states, found.masks_queries_logits, strict=True)
        layers = tuple(Layer(self.class_predictor(queries.transpose(0, 1)), masks) for queries, masks in pairs)
        if self.training:
            return layers
        size = (images.shape[2], images.shape[3])
        scores, maps = [], []
        for classes, masks in zip(*layers[-1], strict=True):
            scores.append(label_scores(classes, masks, self.labels, size))
            probability = classes.float().softmax(-1)
            persons = probability.new_zeros(len(classes)) if self.person is None else probability[:, self.person]
            maps.append(person_maps(persons, masks, size))
        return (torch.stack(scores),), torch.stack(maps)

    def amounts(self, labels: Tensor, persons: Tensor | None) -> Tensor:
        """Return the number of masks with a query, and the sum of the weights of the queries' classes: float64 (2,).

        Of an image with more masks than queries, the masks that match best get one; the sum of the weights takes the
        mean over its masks, as the queries are matched only in the loss.
        """
        weights = self._weights.to(labels.device, torch.float64)
        total, queries = weights.new_zeros(2), self.config.num_queries
        for image in self._images(labels, persons):
            wanted = weights[targets_of(*image, self.labels).classes]
            count = min(queries, len(wanted))
            share = count / max(1, len(wanted))
            total += torch.stack(
                [weights.new_tensor(float(count)), wanted.sum() * share + weights[-1] * (queries - count)]
            )
        return total

    def loss(self, outputs: Any, labels: Tensor, persons: Tensor | None, amounts: list[float]) -> Tensor:
        """Return the sum of the losses of all layers; see LossNetwork."""
        from mhpmodels.networks.mask2former.loss import layer_loss

        targets = [targets_of(*image, self.labels) for image in self._images(labels, persons)]
        weights = self._weights.to(labels.device)
        divisors = max(1.0, amounts[0]), max(1.0, amounts[1])
        return torch.stack([layer_loss(Layer(*one), targets, weights, divisors, self.config) for one in outputs]).sum()

    @staticmethod
    def _images(labels: Tensor, persons: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
        """Return the labels and persons of each image."""
        return list(zip(labels, [None] * len(labels) if persons is None else persons, strict=True))


def build_mask2former(
    backbone: str, labels: int, class_weights: tuple[float, ...] | None = None, described: str | None = None
) -> Mask2Former:
    """Build a Mask2Former with weights drawn from torch's global generator; its last class is *person*.

    Args:
        backbone: a key of ``mhpmodels.networks.hf.presets.PRESETS``, or the path of a folder.
        labels: number of labels.
        class_weights: weight of each label in the cross-entropy; None for 1.
        described: the folder's ``config.json`` as text; None for a preset.

    Raises:
        CheckpointError: the folder describes another backbone, or one of absurd sizes.
        MissingError: transformers is not installed.
    """
    base = backbone_config(backbone, described)
    sizes = {**SIZES.get(backbone, {}), "num_labels": labels + 1}
    with silent():  # it warns about backbones that are not Swin
        config = make_config({"model_type": "mask2former", "backbone_config": base, **sizes})
        return Mask2Former(
            import_transformers().Mask2FormerForUniversalSegmentation(config), labels, labels, class_weights
        )


def open_mask2former(content: Mapping[str, Any], classes: int, folder: Path) -> Mask2Former:
    """Return the network of a folder, with its weights, on the CPU; all its classes are labels.

    Args:
        content: its config.json.
        classes: number of its classes.
        folder: the folder.

    Raises:
        CheckpointError: the architecture is unknown or absurd, a file is damaged, or the weights do not fit it.
        MissingError: transformers is not installed.
    """
    return Mask2Former(open_inner(content, classes, folder), classes, person_of(content))
