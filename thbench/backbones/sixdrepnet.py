"""6DRepNet: head pose as a rotation matrix, from six numbers of a RepVGG-B1g2.

A RepVGG block is trained with three branches and published merged into one convolution; both forms load strictly, and
`merge_branches` makes the second of the first. Source: thohemp/6DRepNet, sixdrepnet/model.py, backbone/repvgg.py and
utils.py; Hempel et al., "6D Rotation Representation for Unconstrained Head Pose Estimation", ICIP 2022; Ding et al.,
"RepVGG", CVPR 2021.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thbench.backbones.folding import affine

STAGES = ((1, 64), (4, 128), (6, 256), (16, 512), (1, 2048))
"""Blocks and channels of layer0 to layer4 of RepVGG-B1g2; each stage halves the resolution."""


class Branch(nn.Module):
    """Convolution without bias and batch normalisation."""

    FOLDS: ClassVar = (("conv", "bn"),)

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.bn(self.conv(x))
        return y


class TrainingBlock(nn.Module):
    """The sum of a 3x3, a 1x1 and, where shapes allow, an identity branch, then ReLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, groups: int) -> None:
        super().__init__()
        self.rbr_identity = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None
        self.rbr_dense = Branch(inputs, outputs, 3, stride=stride, groups=groups)
        self.rbr_1x1 = Branch(inputs, outputs, 1, stride=stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = self.rbr_dense(x) + self.rbr_1x1(x)
        return F.relu(y if self.rbr_identity is None else y + self.rbr_identity(x), inplace=True)


class MergedBlock(nn.Module):
    """The same function as one 3x3 convolution with bias, then ReLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, groups: int) -> None:
        super().__init__()
        self.rbr_reparam = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return F.relu(self.rbr_reparam(x), inplace=True)


class SixDRepNet(nn.Module):
    """RepVGG-B1g2 with a linear layer of six outputs."""

    INPUT_SIZE: ClassVar = 224

    def __init__(self, *, deploy: bool = True) -> None:
        super().__init__()
        block = MergedBlock if deploy else TrainingBlock
        inputs, count = 3, 0
        for number, (blocks, outputs) in enumerate(STAGES):
            stage = []
            for index in range(blocks):
                # Every second block after the first layer has two groups.
                groups = 2 if count and count % 2 == 0 else 1
                stage.append(block(inputs, outputs, stride=1 if index else 2, groups=groups))
                inputs, count = outputs, count + 1
            self.add_module(f"layer{number}", stage[0] if number == 0 else nn.Sequential(*stage))
        self.linear_reg = nn.Linear(inputs, 6)

    def forward(self, images: Tensor) -> Tensor:
        """Return the six numbers of each head.

        Args:
            images: Shape (N, 3, 224, 224), RGB in [0, 1] after ImageNet normalisation.

        Returns:
            Shape (N, 6); `rotation_from_six` makes rotations of them.
        """
        x = images
        for number in range(len(STAGES)):
            x = getattr(self, f"layer{number}")(x)
        numbers: Tensor = self.linear_reg(x.mean(dim=(2, 3)))
        return numbers


def merge_branches(network: SixDRepNet) -> SixDRepNet:
    """Return the merged (deploy) form of a network in training form; the argument is left as it is.

    Both compute the same function in evaluation mode, up to rounding. A network that is merged already is copied.
    """
    merged = SixDRepNet(deploy=True)
    state = {key: value.clone() for key, value in network.state_dict().items() if "rbr_" not in key or "reparam" in key}
    for name, block in network.named_modules():
        if isinstance(block, TrainingBlock):
            weight, bias = _merged(block)
            state[f"{name}.rbr_reparam.weight"], state[f"{name}.rbr_reparam.bias"] = weight, bias
    merged.load_state_dict(state)
    return merged.train(network.training)


def _merged(block: TrainingBlock) -> tuple[Tensor, Tensor]:
    dense, point = block.rbr_dense, block.rbr_1x1
    factor, bias = affine(dense.bn)
    weight = dense.conv.weight.detach().double() * factor[:, None, None, None]
    factor, offset = affine(point.bn)
    weight += F.pad(point.conv.weight.detach().double() * factor[:, None, None, None], (1, 1, 1, 1))
    bias += offset
    if block.rbr_identity is not None:
        factor, offset = affine(block.rbr_identity)
        outputs, per_group = weight.shape[:2]
        rows = torch.arange(outputs)
        weight[rows, rows % per_group, 1, 1] += factor
        bias += offset
    return weight.to(dense.conv.weight.dtype), bias.to(dense.conv.weight.dtype)


def rotation_from_six(numbers: Tensor) -> Tensor:
    """Turn six numbers into a rotation by Gram and Schmidt's method.

    The first column is the first three numbers at unit length, the third is perpendicular to it and to the last three
    numbers, the second completes the right-handed frame.

    Args:
        numbers: Shape (N, 6).

    Returns:
        Shape (N, 3, 3), columns x, y, z.
    """
    x = _unit(numbers[:, :3])
    z = _unit(torch.linalg.cross(x, numbers[:, 3:]))
    return torch.stack((x, torch.linalg.cross(z, x), z), dim=2)


def _unit(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / lengths.clamp_min(1e-8)


def euler_degrees(rotations: Tensor) -> Tensor:
    """Return pitch, yaw and roll in degrees, as 6DRepNet defines them.

    Args:
        rotations: Shape (N, 3, 3).

    Returns:
        Shape (N, 3): angles about x, y, z for R = Rz Ry Rx; roll is zero where yaw is +-90 degrees.
    """
    length = torch.hypot(rotations[:, 0, 0], rotations[:, 1, 0])
    locked = length < 1e-6
    pitch = torch.where(
        locked,
        torch.atan2(-rotations[:, 1, 2], rotations[:, 1, 1]),
        torch.atan2(rotations[:, 2, 1], rotations[:, 2, 2]),
    )
    yaw = torch.atan2(-rotations[:, 2, 0], length)
    roll = torch.where(locked, torch.zeros_like(yaw), torch.atan2(rotations[:, 1, 0], rotations[:, 0, 0]))
    return torch.rad2deg(torch.stack((pitch, yaw, roll), dim=1))
