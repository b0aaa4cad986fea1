"""LPIPS between the frames of two videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thbench.backbones.batches import FixedBatches, batch_for
from thbench.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

SMALLEST_SIDE = 64
"""Pixels: below that the last maps of the trunks have only a few places, or none."""


def prepare(frames: NDArray[np.uint8]) -> torch.Tensor:
    """Return frames (N, H, W, 3), uint8 RGB, as LPIPS takes them: shape (N, 3, H, W), range [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def distances(
    network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    generated: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    batch: int | None = None,
) -> torch.Tensor:
    """Return the distance of each pair of frames; the value of a video is their mean.

    Args:
        network: LPIPS in evaluation mode.
        generated: Shape (N, H, W, 3), RGB, N at least 1.
        reference: The same shape.
        batch: Pairs prepared at a time, None for as many as the network runs on; these depend on the size of the frames
            alone, so that no digit depends on `batch`.

    Returns:
        Shape (N,).

    Raises:
        MediaError: The frames differ in size or are too small.
    """
    if generated.shape != reference.shape:
        raise MediaError(
            f"LPIPS compares frames of equal size and number; these have shapes {generated.shape} and {reference.shape}"
        )
    if min(generated.shape[1:3]) < SMALLEST_SIDE:
        raise MediaError(
            f"LPIPS needs frames of at least {SMALLEST_SIDE}x{SMALLEST_SIDE}; "
            f"these are {generated.shape[2]}x{generated.shape[1]}"
        )
    together = batch_for(*generated.shape[1:3])
    batch = batch or together
    batches = FixedBatches(lambda pairs: network(pairs[:, 0], pairs[:, 1]), together)
    for start in range(0, len(generated), batch):
        part = slice(start, start + batch)
        batches.add(torch.stack((prepare(generated[part]), prepare(reference[part])), dim=1))
    return batches.finish()
