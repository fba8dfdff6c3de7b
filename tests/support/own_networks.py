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
