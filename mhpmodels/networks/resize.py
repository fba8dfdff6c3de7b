"""Resize bilinearly, with aligned corner pixels as MXNet's BilinearResize2D, or without as Hugging Face's networks.

Uses torch's own function, except on a GPU when both sides grow more than twofold, as for the pyramid and the logits:
there torch's backward pass adds gradients one by one in memory, in an order that differs between runs (7.8 ms on an
H100 for 16 maps of 19 classes from 96 x 96 to 768 x 768). Two matrix products with the weights of rows and columns
always add in the same order.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def resize(x: Tensor, size: tuple[int, int], aligned: bool = True) -> Tensor:
    """Resize a floating-point tensor (N, C, h, w) to ``size``, (height, width); ``aligned`` aligns the corner pixels.

    Returns:
        (N, C, height, width) of x's dtype or float32, in x's memory format.
    """
    if x.device.type == "cuda" and size[0] > 2 * x.shape[2] and size[1] > 2 * x.shape[3]:
        return resize_by_products(x, size, aligned)
    return F.interpolate(x, size, mode="bilinear", align_corners=aligned)


def resize_by_products(x: Tensor, size: tuple[int, int], aligned: bool = True) -> Tensor:
    """Resize as ``resize`` on any device, by the product rows (height, h) @ x (h, w) @ columns (w, width) per channel.

    Returns:
        float32 (N, C, height, width). An x of one pixel, which has both memory formats, becomes channels-last.
    """
    (count, channels, h, w), (height, width) = x.shape, size
    with torch.autocast(x.device.type, enabled=False):
        x, rows, columns = x.float(), _weights(h, height, x.device, aligned), _weights(w, width, x.device, aligned)
        if x.is_contiguous(memory_format=torch.channels_last):
            y = _each(columns, x.permute(0, 2, 3, 1).reshape(count * h, w, channels))
            y = _each(rows, y.view(count, h, width * channels))
            return y.view(count, height, width, channels).permute(0, 3, 1, 2)
        y = _each(rows, x.reshape(count * channels, h, w))
        return (y.view(-1, w) @ columns.T).view(count, channels, height, width)


def _weights(old: int, new: int, device: torch.device, aligned: bool) -> Tensor:
    """Return the weight of each old pixel in each new one, float32 (new, old)."""
    pixels = torch.arange(new, device=device, dtype=torch.float64)
    squares = ((pixels + 0.5) * (old / new) - 0.5).clamp(0, old - 1)  # the outer ones extend beyond their centres
    at = pixels * ((old - 1) / max(new - 1, 1)) if aligned else squares
    distance = (at[:, None] - torch.arange(old, device=device)).abs()
    return (1 - distance).clamp(min=0).float()


def _each(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply a matrix (a, b) with each matrix of x (N, b, c)."""
    return torch.bmm(matrix.expand(len(x), -1, -1), x)
