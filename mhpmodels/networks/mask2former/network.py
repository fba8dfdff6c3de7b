"""Mask2Former of transformers as a network of mhp: label scores and persons for images, its own loss for training.

::

    images ─> backbone ─> pixel decoder ─> decoder layers, Q queries each ─> classes (N, Q, C + 1), masks (N, Q, h, w)
       training:   of all layers, for ``loss``
       otherwise:  of the last layer ─scores─> label scores (N, labels, H, W), person maps (N, 2, H, W)

The classes are those of ``mhpmodels.networks.mask2former.targets``. In a checkpoint of other people's, all classes are
labels, and the class named *person*, if there is one, also finds persons.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from mhpmodels.networks.loss import LossNetwork
from mhpmodels.networks.mask2former.loss import Layer, layer_loss
from mhpmodels.networks.mask2former.scores import label_scores, person_maps
from mhpmodels.networks.mask2former.targets import targets_of


class Mask2Former(LossNetwork):
    """Map float32 (N, 3, H, W) to (label scores,), person maps; in training to the predictions of all layers.

    Args:
        config: transformers' configuration.
        labels: number of labels, the first classes.
        person: class of persons; None for none.
        class_weights: weight of each label in the cross-entropy; None for 1.
    """

    head_names = ("net.model.pixel_level_module.decoder", "net.model.transformer_module", "net.class_predictor")

    def __init__(
        self,
        config: Mask2FormerConfig,
        labels: int,
        person: int | None,
        class_weights: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.net = Mask2FormerForUniversalSegmentation(config)
        self.net.criterion = None  # its buffer would be in the file of weights
        self.labels, self.person = labels, person
        weights = [*(class_weights or [1.0] * labels), *[1.0] * (config.num_labels - labels), config.no_object_weight]
        self._weights = torch.tensor(weights)

    def forward(self, images: Tensor) -> tuple[Layer, ...] | tuple[tuple[Tensor], Tensor]:
        found = self.net(images, output_auxiliary_logits=self.training)
        if self.training:
            layers = [(each["class_queries_logits"], each["masks_queries_logits"]) for each in found.auxiliary_logits]
            return tuple(Layer(*each) for each in (*layers, (found.class_queries_logits, found.masks_queries_logits)))
        size = (images.shape[2], images.shape[3])
        scores, maps = [], []
        for classes, masks in zip(found.class_queries_logits, found.masks_queries_logits, strict=True):
            scores.append(label_scores(classes, masks, self.labels, size))
            probability = classes.float().softmax(-1)
            persons = probability.new_zeros(len(classes)) if self.person is None else probability[:, self.person]
            maps.append(person_maps(persons, masks, size))
        return (torch.stack(scores),), torch.stack(maps)

    def amounts(self, labels: Tensor, persons: Tensor | None) -> Tensor:
        """Return the number of masks, and the sum of the weights of the queries' classes: float64 (2,)."""
        weights = self._weights.to(labels.device, torch.float64)
        queries = self.net.config.num_queries * len(labels)
        classes = [targets_of(*image, self.labels).classes for image in self._images(labels, persons)]
        wanted = torch.cat(classes)
        nothing = weights[-1] * max(0, queries - len(wanted))
        return torch.stack([weights.new_tensor(float(len(wanted))), weights[wanted].sum() + nothing])

    def loss(self, outputs: tuple[Layer, ...], labels: Tensor, persons: Tensor | None, amounts: list[float]) -> Tensor:
        """Return the sum of the losses of all layers; see LossNetwork."""
        targets = [targets_of(*image, self.labels) for image in self._images(labels, persons)]
        weights = self._weights.to(labels.device)
        divisors = max(1.0, amounts[0]), max(1.0, amounts[1])
        losses = [layer_loss(Layer(*layer), targets, weights, divisors, self.net.config) for layer in outputs]
        return torch.stack(losses).sum()

    @staticmethod
    def _images(labels: Tensor, persons: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
        """Return the labels and persons of each image."""
        return list(zip(labels, [None] * len(labels) if persons is None else persons, strict=True))


def build(backbone: str, labels: int, class_weights: tuple[float, ...] | None = None) -> Mask2Former:
    """Build a Mask2Former of random weights, drawn from torch's global generator; its last class is *person*."""
    from mhpmodels.networks.mask2former.presets import described

    return Mask2Former(Mask2FormerConfig(**described(backbone, labels)), labels, labels, class_weights)
