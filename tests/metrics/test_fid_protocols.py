"""FID by tool: preparations, features, the protocol string."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from thbench.errors import MediaError, UsageError
from thbench.metrics.fid import PREPARATIONS, features, prepare, protocol_text, resized
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.moments import moments

if TYPE_CHECKING:
    from collections.abc import Callable


def frames(count: int, size: tuple[int, int] = (90, 120), seed: int = 0) -> torch.Tensor:
    """Smooth coloured noise."""
    small = torch.rand(count, 3, 6, 8, generator=torch.Generator().manual_seed(seed)) * 255
    large = torch.nn.functional.interpolate(small, size=size, mode="bilinear")
    return large.permute(0, 2, 3, 1).to(torch.uint8)


def colours(images: torch.Tensor) -> torch.Tensor:
    """A network: means over a grid of places."""
    return torch.nn.functional.adaptive_avg_pool2d(images, (2, 2)).flatten(1)


@pytest.mark.parametrize("tool", PREPARATIONS)
def test_black_and_white_reach_the_ends_of_the_range(tool: str) -> None:
    images = torch.stack((torch.zeros(40, 50, 3), torch.full((40, 50, 3), 255))).to(torch.uint8)
    black, white = prepare(images, tool)
    ends = (-1.0, 1.0) if tool == "pytorch-fid" else (-1.0, 127 / 128)
    for image, expected in zip((black, white), ends, strict=True):
        assert image.shape == (3, 299, 299)
        assert torch.allclose(image, torch.tensor(expected), atol=1e-5)


def test_tools_differ_by_their_resize_and_agree_without_one() -> None:
    noise = torch.randint(0, 256, (1, 600, 500, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    spread = {tool: float(resized(noise, tool).std()) for tool in PREPARATIONS}
    assert spread["torch-fidelity"] > 1.2 * spread["clean-fid"] > 1.2 * spread["torchmetrics"]
    same = torch.randint(0, 256, (1, 299, 299, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    for tool in PREPARATIONS:
        assert torch.allclose(resized(same, tool)[0], same[0].permute(2, 0, 1).float(), atol=1e-4)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_distance_does_not_depend_on_order_or_shards(batch: int) -> None:
    real, fake = frames(40), frames(30, seed=1)
    whole = frechet_distance(
        moments(features(colours, real, "clean-fid")), moments(features(colours, fake, "clean-fid")), ddof=1
    )
    turned = features(colours, reversed(list(real)), "clean-fid", batch)
    other = frechet_distance(moments(turned), moments(features(colours, fake, "clean-fid", batch)), ddof=1)
    assert other.value == pytest.approx(whole.value, rel=1e-9)


def test_frames_may_differ_in_size() -> None:
    mixed = [frames(1)[0], frames(1, (200, 150))[0]]
    assert features(colours, mixed, "pytorch-fid").shape == (2, 12)


def test_no_frame_and_no_tool_are_refused() -> None:
    with pytest.raises(MediaError, match="no frame"):
        features(colours, [], "pytorch-fid")
    with pytest.raises(UsageError, match="did you mean 'clean-fid'"):
        prepare(frames(1), "cleanfid")


def test_each_tool_has_its_own_protocol() -> None:
    texts = {protocol_text(tool) for tool in PREPARATIONS}
    assert len(texts) == 4 and all("inception-2015-12-05/pool3/" in text and "ddof1" in text for text in texts)


def test_a_network_may_be_any_callable() -> None:
    network: Callable[[torch.Tensor], torch.Tensor] = colours
    assert torch.equal(features(network, frames(3), "pytorch-fid"), colours(prepare(frames(3), "pytorch-fid")))
