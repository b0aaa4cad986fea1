"""LPIPS between videos: range, batches, sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thbench.errors import MediaError
from thbench.metrics.lpips import distances, prepare


def frames(count: int, side: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def squared(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """A network: mean squared difference."""
    return (first - second).square().mean(dim=(1, 2, 3))


def test_frames_come_out_between_minus_one_and_one() -> None:
    ends = np.stack((np.zeros((64, 64, 3)), np.full((64, 64, 3), 255))).astype(np.uint8)
    assert prepare(ends).amin().item() == -1 and prepare(ends).amax().item() == 1
    assert distances(squared, ends[:1], ends[1:]).tolist() == [4]


def test_equal_frames_have_no_distance() -> None:
    assert distances(squared, frames(3), frames(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_each_pair_is_compared_with_its_own(batch: int) -> None:
    a, b = frames(10), frames(10, seed=1)
    expected = ((a / 127.5 - b / 127.5) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(distances(squared, a, b, batch).numpy(), expected, rtol=1e-5)


def test_different_or_tiny_frames_are_refused() -> None:
    with pytest.raises(MediaError, match="equal size and number"):
        distances(squared, frames(3), frames(2))
    with pytest.raises(MediaError, match="at least 64x64; these are 40x40"):
        distances(squared, frames(3, 40), frames(3, 40))
