"""LPIPS: distance between deep features, weighted by learnt heads.

Trunks have torchvision's key names (`features.*`; the classifier of those files is not used). Heads are those of
version 0.1. Source: richzhang/PerceptualSimilarity 0.1.4, lpips/lpips.py and pretrained_networks.py; Zhang et al.,
"The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn

from thbench.backbones.checkpoint import read_state_dict
from thbench.errors import MissingExtraError, UsageError, WeightsMismatchError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Images in [-1, 1] become (x - SHIFT) / SCALE."""

HEADS_FOLDERS: Mapping[str, str] = MappingProxyType(
    {"lpips": "weights/v0.1", "torchmetrics": "functional/image/lpips_models"}
)
"""Package to the folder in it that holds the heads."""
HEADS_SHA256: Mapping[str, str] = MappingProxyType(
    {
        "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        "vgg": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        "squeeze": "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
    }
)
"""Trunk to the digest of its heads."""

Convention = Literal["lpips", "torchmetrics"]
"""How features come to unit length: `lpips` adds 1e-10 to the length, `torchmetrics` 1e-8 to its square."""


class Fire(nn.Module):
    """SqueezeNet's block: 1x1 squeeze, then 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeezed: int, each: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, each, 1)
        self.expand3x3 = nn.Conv2d(squeezed, each, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 2 each, H, W)."""
        x = self.squeeze(x).relu_()
        return torch.cat((self.expand1x1(x).relu_(), self.expand3x3(x).relu_()), dim=1)


def _alex() -> Iterator[nn.Module]:
    yield from (nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2))
    yield from (nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2))
    yield from (nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True))
    yield from (nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True))
    yield from (nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True))


def _vgg() -> Iterator[nn.Module]:
    inputs = 3
    for stage, (count, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))):
        if stage:
            yield nn.MaxPool2d(2, 2)
        for _ in range(count):
            yield from (nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True))
            inputs = outputs


def _squeeze() -> Iterator[nn.Module]:
    yield from (nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True))
    yield from (Fire(64, 16, 64), Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True))
    yield from (Fire(128, 32, 128), Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True))
    yield from (Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256))


@dataclass(frozen=True, slots=True)
class Trunk:
    """A classification network whose features are compared."""

    layers: Callable[[], Iterator[nn.Module]]
    """Makes the layers, numbered as in torchvision's `features`."""
    taps: tuple[int, ...]
    """Layers after which features are read."""
    channels: tuple[int, ...]
    """Channels at each tap."""


TRUNKS: Mapping[str, Trunk] = MappingProxyType(
    {
        "alex": Trunk(_alex, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256)),
        "vgg": Trunk(_vgg, (3, 8, 15, 22, 29), (64, 128, 256, 512, 512)),
        "squeeze": Trunk(_squeeze, (1, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512)),
    }
)
"""AlexNet, VGG-16 and SqueezeNet 1.1."""


class Head(nn.Module):
    """Weights of the channels at one tap, as a 1x1 convolution."""

    IN_FLOAT32: ClassVar = ("model",)

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The published file counts a dropout layer before the convolution, which evaluation does not use.
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, 1, H, W)."""
        y: Tensor = self.model(x)
        return y


class LPIPS(nn.Module):
    """Trunk and heads."""

    def __init__(self, trunk: str = "alex") -> None:
        super().__init__()
        if trunk not in TRUNKS:
            raise UsageError(f"no LPIPS trunk is called {trunk!r}{did_you_mean(trunk, TRUNKS)}")
        chosen = TRUNKS[trunk]
        self.taps = chosen.taps
        self.features = nn.Sequential(*chosen.layers())
        for index, channels in enumerate(chosen.channels):
            self.add_module(f"lin{index}", Head(channels))

    def forward(self, first: Tensor, second: Tensor, convention: Convention = "lpips") -> Tensor:
        """Return one distance for each pair of images.

        Args:
            first: Shape (N, 3, H, W), RGB in [-1, 1].
            second: The same shape.
            convention: How features are normalised.

        Returns:
            Shape (N,).
        """
        return self.layers(first, second, convention).sum(dim=1)

    def layers(self, first: Tensor, second: Tensor, convention: Convention = "lpips") -> Tensor:
        """Return the terms (N, taps) of the distance."""
        terms = []
        pairs = zip(self._tapped(first), self._tapped(second), strict=True)
        for index, (ours, theirs) in enumerate(pairs):
            squared = (unit_channels(ours, convention) - unit_channels(theirs, convention)).square()
            terms.append(getattr(self, f"lin{index}")(squared).mean(dim=(1, 2, 3)))
        return torch.stack(terms, dim=1)

    def _tapped(self, images: Tensor) -> Iterator[Tensor]:
        shift, scale = (images.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
        x = (images - shift) / scale
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                yield x


def unit_channels(x: Tensor, convention: Convention) -> Tensor:
    """Return features (N, C, H, W) at unit length over the channels."""
    squared = x.square().sum(dim=1, keepdim=True)
    return x / (squared.sqrt() + 1e-10 if convention == "lpips" else (squared + 1e-8).sqrt())


def trunk_state(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the part of torchvision's alexnet, vgg16 or squeezenet1_1 state dict that LPIPS uses."""
    return {key: value for key, value in published.items() if key.startswith("features.")}


def published_heads(trunk: str) -> dict[str, Tensor]:
    """Return the heads of version 0.1 that the lpips package publishes (BSD-2-Clause), in its key names.

    They lie in the package `lpips` and, the same to the byte, in `torchmetrics`; neither is imported.

    Args:
        trunk: `alex`, `vgg` or `squeeze`.

    Raises:
        MissingExtraError: Neither package is installed.
        WeightsMismatchError: The file of the package that is installed is not the published one.
    """
    path = _heads_file(trunk)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != HEADS_SHA256[trunk]:
        raise WeightsMismatchError(
            f"{path} is not the published head of LPIPS 0.1: expected SHA-256 {HEADS_SHA256[trunk]}, got {digest}; "
            "install its package anew"
        )
    return read_state_dict(path)


def _heads_file(trunk: str) -> Path:
    for package, folder in HEADS_FOLDERS.items():
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec is not None else ():
            if (path := Path(root) / folder / f"{trunk}.pth").is_file():
                return path
    raise MissingExtraError("torchmetrics", "lpips", "LPIPS (its heads)")
