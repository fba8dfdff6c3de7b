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


class _WithPersons(torch.nn.Module):
    head_names = ("head", "persons")

    def __init__(self, classes):
        super().__init__()
        self.base = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 4, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 5, 1, 2)
        )
        self.head = torch.nn.Conv2d(8, classes, 1)
        self.persons = torch.nn.Conv2d(8, 3, 1)

    def forward(self, images):
        features = self.base(images).relu()
        return self.head(features), self.persons(features)


def with_persons(config):
    return _WithPersons(config.network.classes)
