"""User-defined networks for ``--model own_networks:FUNCTION``."""

from __future__ import annotations

import torch

from mhpmodels.networks.pspnet import Pyramid


def with_pyramid(config):
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2), Pyramid(8), torch.nn.Conv2d(16, config.network.classes, 1)
    )


def convolution(config):
    return torch.nn.Conv2d(3, config.network.classes, 1)


def no_network(config):
    return 3


def of_two(config, channels):
    return torch.nn.Conv2d(channels, config.network.classes, 1)


def of_classes(classes):
    return torch.nn.Conv2d(3, classes, 1)


def of_wrong_classes(config):
    return torch.nn.Conv2d(3, config.network.classes + 1, 1)


def of_wrong_channels(config):
    return torch.nn.Conv2d(4, config.network.classes, 1)


class _Named(torch.nn.Conv2d):
    def forward(self, images):
        return {"out": super().forward(images)}


def of_named_outputs(config):
    return _Named(3, config.network.classes, 1)
