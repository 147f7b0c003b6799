"""The released network's convolutions: ResNet-50 for one grey channel, normalisation frozen.

He et al., Deep residual learning (CVPR 2016), with the stride in the 3 x 3 convolution. Module
names are torchvision's, as in the released checkpoint; the last two layers of the classifier are
not there.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

DEPTHS = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
LEVELS = (64, 256, 512, 1024, 2048)  # channels at strides 2, 4, 8, 16, 32


class Levels(NamedTuple):
    """Feature maps ``(B, C, side / stride, side / stride)``; channels as in ``LEVELS``."""

    s2: Tensor
    s4: Tensor
    s8: Tensor
    s16: Tensor
    s32: Tensor


class FrozenBatchNorm2d(nn.Module):
    """DETR's batch normalisation with fixed statistics: four buffers, no parameters."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1, beside a short cut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = FrozenBatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = FrozenBatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = FrozenBatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), FrozenBatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNetBody(nn.Module):
    """Five levels of features from ``(B, 1, side, side)``; side divisible by 32."""

    levels = LEVELS

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTHS[0], 7, 2, 3, bias=False)
        self.bn1 = FrozenBatchNorm2d(WIDTHS[0])
        inputs, layers = WIDTHS[0], []
        for number, (depth, width) in enumerate(zip(DEPTHS, WIDTHS, strict=True)):
            blocks = []
            for index in range(depth):
                stride = 2 if index == 0 and number > 0 else 1
                blocks.append(Bottleneck(inputs, width, stride))
                inputs = width * EXPANSION
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, x: Tensor) -> Levels:
        """(B, 1, side, side) -> the five levels."""
        s2 = functional.relu(self.bn1(self.conv1(x)))
        s4 = self.layer1(functional.max_pool2d(s2, 3, 2, 1))
        s8 = self.layer2(s4)
        s16 = self.layer3(s8)
        return Levels(s2, s4, s8, s16, self.layer4(s16))
