"""FID's four preparations of a frame, each as the tool of that name does it.

"FID" is one formula over one network, but every tool resizes its images differently, which moves the value by up to
several points. A protocol here is a resize and a normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from thbench.backbones import resize
from thbench.backbones.batches import BATCH, FixedBatches
from thbench.backbones.inception import InceptionFID
from thbench.errors import MediaError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SIZE = (InceptionFID.INPUT_SIZE, InceptionFID.INPUT_SIZE)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a tool turns a frame into the network's input."""

    resize: Callable[[torch.Tensor, resize.Size], torch.Tensor]
    """Applied to float images (N, 3, H, W)."""
    unit: bool
    """Divide by 255 before the resize and map [0, 1] to [-1, 1] after it; otherwise (v - 128) / 128 after it."""
    text: str
    """The resize and the normalisation, as they stand in a protocol string."""


PREPARATIONS: Mapping[str, Preparation] = MappingProxyType(
    {
        "pytorch-fid": Preparation(resize.bilinear, unit=True, text="torch-bilinear/2x-1"),
        "clean-fid": Preparation(resize.bicubic_antialias, unit=False, text="pil-bicubic/(v-128)/128"),
        "torch-fidelity": Preparation(resize.bilinear_tf1, unit=False, text="tf1-bilinear/(v-128)/128"),
        "torchmetrics": Preparation(resize.bilinear_antialias, unit=False, text="torch-bilinear-antialias/(v-128)/128"),
    }
)
"""Tool to its preparation. Sources: pytorch-fid 0.3.0, clean-fid 0.1.35, torch-fidelity 0.4.0, torchmetrics 1.9.0."""


def resized(frames: torch.Tensor, tool: str) -> torch.Tensor:
    """Return frames at the network's size, on the scale 0..255.

    Args:
        frames: Shape (N, H, W, 3), uint8 RGB.
        tool: A name of `PREPARATIONS`.

    Returns:
        Shape (N, 3, 299, 299), float32, not rounded.
    """
    chosen = preparation(tool)
    images = frames.permute(0, 3, 1, 2).float()
    return chosen.resize(images / 255, SIZE) * 255 if chosen.unit else chosen.resize(images, SIZE)


def prepare(frames: torch.Tensor, tool: str) -> torch.Tensor:
    """Return the network's input for frames (N, H, W, 3), uint8 RGB: shape (N, 3, 299, 299), about [-1, 1]."""
    chosen = preparation(tool)
    images = frames.permute(0, 3, 1, 2).float()
    if chosen.unit:
        return chosen.resize(images.div_(255), SIZE).mul_(2).sub_(1)
    return chosen.resize(images, SIZE).sub_(128).div_(128)


def features(
    network: Callable[[torch.Tensor], torch.Tensor], frames: Iterable[torch.Tensor], tool: str, batch: int = BATCH
) -> torch.Tensor:
    """Return pool3 features of frames, the same for any order and batch.

    Args:
        network: InceptionFID in evaluation mode.
        frames: Each of shape (H, W, 3), uint8 RGB; sizes may differ.
        tool: A name of `PREPARATIONS`.
        batch: Frames prepared at a time; the network always runs on as many, so that no digit depends on it.

    Returns:
        Shape (frames, 2048), float32.

    Raises:
        MediaError: There is no frame.
        UsageError: No tool has this name.
    """
    batches, waiting = FixedBatches(network), []
    for frame in frames:
        waiting.append(prepare(frame[None], tool))
        if len(waiting) == batch:
            batches.add(torch.cat(waiting))
            waiting = []
    if waiting:
        batches.add(torch.cat(waiting))
    if not batches.count:
        raise MediaError("there is no frame to compute FID features from")
    return batches.finish()


def protocol_text(tool: str) -> str:
    """Return the protocol string of a tool's FID over frames."""
    return f"inception-2015-12-05/pool3/{preparation(tool).text}/all-frames/ddof1"


def preparation(tool: str) -> Preparation:
    """Return the preparation of a tool.

    Raises:
        UsageError: No tool has this name.
    """
    if tool not in PREPARATIONS:
        raise UsageError(f"no FID preparation is called {tool!r}{did_you_mean(tool, PREPARATIONS)}")
    return PREPARATIONS[tool]
