"""PSPNet and ICNet in plain PyTorch: the same layers, strides and heads as ``mhpmodels.networks``, and nothing else.

The rule: this module imports torch only, and uses it as its tutorials do: ``nn.BatchNorm2d``, ``F.interpolate``,
``F.cross_entropy``, ``torch.optim`` with default arguments, one ``.item()`` per step. Layers have GluonCV's names, so
``train_step.py`` copies weights between the networks and compares their losses. Zhao et al., "Pyramid scene parsing
network", CVPR 2017, and "ICNet for real-time semantic segmentation on high-resolution images", ECCV 2018.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
"""{backbone: number of blocks per stage}."""
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """Return a convolution and its normalisation."""
    padding = kernel // 2 * dilation
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bilinearly with aligned corners, as GluonCV does."""
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


class Block(nn.Module):
    """A residual block: two 3 x 3 convolutions, or 1 x 1, 3 x 3 and 1 x 1 if ``wide``."""

    def __init__(self, inputs: int, planes: int, stride: int, dilations: tuple[int, int], wide: bool) -> None:
        super().__init__()
        first, later = dilations
        outputs = planes * 4 if wide else planes
        if wide:
            self.conv1, self.bn1 = conv_norm(inputs, planes, 1)
            self.conv2, self.bn2 = conv_norm(planes, planes, 3, stride, first)
            self.conv3, self.bn3 = conv_norm(planes, outputs, 1)
        else:
            self.conv1, self.bn1 = conv_norm(inputs, planes, 3, stride, first)
            self.conv2, self.bn2 = conv_norm(planes, planes, 3, 1, later)
        self.wide, self.relu, self.downsample = wide, nn.ReLU(inplace=True), None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(*conv_norm(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.wide:
            out = self.bn3(self.conv3(self.relu(out)))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Backbone(nn.Module):
    """A residual network whose last two stages dilate: GluonCV's v1b (resnet18), or v1s with a stem of three layers."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        wide = backbone != "resnet18"
        inputs = 128 if wide else 64
        self.conv1: nn.Module = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        if wide:
            first, second = conv_norm(3, 64, 3, 2), conv_norm(64, 64, 3)
            relus = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
            self.conv1 = nn.Sequential(
                *first, relus[0], *second, relus[1], nn.Conv2d(64, 128, 3, padding=1, bias=False)
            )
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        for stage, (planes, stride, dilation) in enumerate(((64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4)), 1):
            blocks: list[nn.Module] = []
            for number in range(BLOCKS[backbone][stage - 1]):
                dilations = (max(1, dilation // 2), dilation) if number == 0 else (dilation, dilation)
                blocks.append(Block(inputs, planes, stride if number == 0 else 1, dilations, wide))
                inputs = planes * 4 if wide else planes
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.width = inputs

    def stem(self, x: Tensor) -> Tensor:
        """Return the input of layer1."""
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))


class Pyramid(nn.Module):
    """The features and their means over 1, 4, 9 and 36 bins."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        for number in range(1, 5):
            layers = nn.Sequential(*conv_norm(inputs, inputs // 4, 1), nn.ReLU(inplace=True))
            self.add_module(f"conv{number}", layers)

    def forward(self, x: Tensor) -> Tensor:
        convs = (self.conv1, self.conv2, self.conv3, self.conv4)
        pooled = [conv(F.adaptive_avg_pool2d(x, bins)) for conv, bins in zip(convs, (1, 2, 3, 6), strict=True)]
        return torch.cat([x, *(resize(features, x.shape[2:]) for features in pooled)], 1)


class PyramidHead(nn.Module):
    """The pyramid, a convolution over it, and for PSPNet the last convolution."""

    def __init__(self, inputs: int, classes: int | None = None) -> None:
        super().__init__()
        self.psp = Pyramid(inputs)
        layers = [*conv_norm(2 * inputs, 512, 3), nn.ReLU(inplace=True), nn.Dropout(0.1)]
        self.block = nn.Sequential(*layers, *([] if classes is None else [nn.Conv2d(512, classes, 1)]))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.psp(x))


class PSPNet(Backbone):
    """Map float32 (N, 3, H, W) to logits (N, classes, H, W), in a tuple."""

    weights = (1.0,)

    def __init__(self, backbone: str, classes: int) -> None:
        super().__init__(backbone)
        self.head = PyramidHead(self.width, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return (resize(self.head(features), x.shape[2:]),)


class ConvNormRelu(nn.Module):
    """A convolution, its normalisation and a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv, self.bn = conv_norm(inputs, outputs, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Fusion(nn.Module):
    """Add a coarse branch, resized, to a fine one; also return the coarse branch's logits."""

    def __init__(self, low: int, high: int, classes: int) -> None:
        super().__init__()
        self.conv_low = nn.Sequential(*conv_norm(low, 128, 3, dilation=2))
        self.conv_hign = nn.Sequential(*conv_norm(high, 128, 1))  # GluonCV's spelling
        self.conv_low_cls = nn.Conv2d(128, classes, 1, bias=False)

    def forward(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        low = self.conv_low(resize(low, high.shape[2:]))
        return F.relu(low + self.conv_hign(high)), self.conv_low_cls(low)


class Cascade(nn.Module):
    """Fuse three branches; return logits at 1/4, 1/8 and 1/16."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.cff_12, self.cff_24 = Fusion(128, 64, classes), Fusion(256, 256, classes)
        self.conv_cls = nn.Conv2d(128, classes, 1, bias=False)

    def forward(self, large: Tensor, middle: Tensor, small: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fused, sixteenth = self.cff_24(small, middle)
        fused, eighth = self.cff_12(fused, large)
        return self.conv_cls(resize(fused, (2 * fused.shape[2], 2 * fused.shape[3]))), eighth, sixteenth


class ICNet(Backbone):
    """Map float32 (N, 3, H, W) to logits (N, classes, H, W) and, in training, to those at 1/4, 1/8 and 1/16."""

    weights = (1.0, 0.4, 0.4, 1.0)

    def __init__(self, backbone: str, classes: int) -> None:
        super().__init__(backbone)
        first, second = ConvNormRelu(3, 32, 3, 2), ConvNormRelu(32, 32, 3, 2)
        self.conv_sub1 = nn.Sequential(first, second, ConvNormRelu(32, 64, 3, 2))
        self.psp_head = PyramidHead(self.width)
        self.head = Cascade(classes)
        self.conv_sub4 = ConvNormRelu(512, 256, 1)
        self.conv_sub2 = ConvNormRelu(self.width // 4, 256, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        height, width = x.shape[2:]
        large = self.conv_sub1(x)
        middle = self.layer2(self.layer1(self.stem(resize(x, (height // 2, width // 2)))))
        small = self.layer4(self.layer3(resize(middle, (height // 32, width // 32))))
        quarter, *others = self.head(large, self.conv_sub2(middle), self.conv_sub4(self.psp_head(small)))
        main = resize(quarter, (height, width))
        return (main, quarter, *others) if self.training else (main,)


def to_input(images: np.ndarray) -> Tensor:
    """Return uint8 images (N, H, W, 3) as float32 (N, 3, H, W), normalised."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float().div_(255)
    return x.sub_(MEAN[:, None, None]).div_(DEVIATION[:, None, None])


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, images: np.ndarray, labels: np.ndarray) -> float:
    """Run a step of the mean cross-entropy over labelled pixels, weighted over the outputs; return the loss."""
    y = torch.from_numpy(labels).long()
    optimizer.zero_grad()
    loss = torch.zeros(())
    for logits, weight in zip(network(to_input(images)), network.weights, strict=True):
        loss = loss + weight * F.cross_entropy(resize(logits, y.shape[1:]), y, ignore_index=255)
    loss.backward()
    optimizer.step()
    return loss.item()


def predict(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the logits of images, float32 (N, classes, H, W)."""
    with torch.inference_mode():
        return network(to_input(images))[0].numpy()
