"""PoseTalk's CoarseNet, RefineNet and Portrait Enhancer, and their losses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from thbench_methods.posetalk import objective
from thbench_methods.posetalk.config import PAPER, VideoSizes
from thbench_methods.posetalk.video import CoarseNet, Guess, PortraitEnhancer, Refined, RefineNet, around, warp
from torch import Tensor

SMALL = VideoSizes(
    audio=6, audio_width=4, radius=9, descriptor=16, mapping_layers=1, coarse_width=4, coarse_encoder=4,
    coarse_decoder=2, refine_width=4, refine_levels=3, enhance_width=4, enhance_levels=2, widest=16,
)  # fmt: skip


@pytest.fixture(scope="module")
def portrait() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def driving() -> Tensor:
    """Windows around five frames of each of two clips."""
    draw = torch.Generator().manual_seed(1)
    return around(torch.randn(2, 5, 8 + 6, generator=draw), SMALL.radius)


def test_windows_lie_around_their_frame_and_repeat_the_ends() -> None:
    track = torch.arange(6.0).view(1, 3, 2).repeat(2, 1, 1)
    windows = around(track, 2)
    assert windows.shape == (6, 2, 5)
    assert windows[0, 0].tolist() == [0, 0, 0, 2, 4] and windows[5, 1].tolist() == [1, 3, 5, 5, 5]


def test_frames_of_a_batch_are_made_by_themselves(portrait: Tensor, driving: Tensor) -> None:
    torch.manual_seed(0)
    coarse, refine, enhance = CoarseNet(SMALL).eval(), RefineNet(SMALL).eval(), PortraitEnhancer(SMALL).eval()
    torch.nn.init.normal_(enhance.out.weight, std=0.1)
    portraits = portrait.repeat_interleave(5, dim=0)

    def frames(rows: slice) -> Tensor:
        part, windows = portraits[rows], driving[rows]
        return enhance(refine(coarse(part, windows).image, windows)[-1].image, part)

    with torch.inference_mode():
        together = frames(slice(None))
        assert together.shape == (10, 3, 32, 32)
        apart = torch.cat((frames(slice(0, 4)), frames(slice(4, 10))))
        torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)


def test_enhancement_starts_from_the_refined_frame(portrait: Tensor) -> None:
    with torch.no_grad():
        assert torch.equal(PortraitEnhancer(SMALL)(portrait, portrait.flip(0)), portrait)


def test_paper_sizes(portrait: Tensor) -> None:
    with torch.device("meta"):
        coarse, refine, enhance = CoarseNet(PAPER.video), RefineNet(PAPER.video), PortraitEnhancer(PAPER.video)
        image, windows = torch.empty(2, 3, 256, 256), torch.empty(2, 8 + 1024, 27)
        flow, moved = coarse(image, windows)
        sizes = [level.image.shape[-1] for level in refine(moved, windows)]
        assert flow.shape == (2, 2, 64, 64) and sizes == [32, 64, 128, 256]
        assert enhance(moved, image).shape == (2, 3, 256, 256)


def test_small_networks_start_from_the_flow_that_is_given(portrait: Tensor, driving: Tensor) -> None:
    torch.manual_seed(0)
    net = CoarseNet(replace(SMALL, places=2)).eval()
    places = torch.rand(2, 2, 8, 8) * 2 - 1
    to_the_right = torch.zeros(2, 2, 8, 8)
    to_the_right[:, 0] = 2 * 4 / 32  # four pixels of the image
    with torch.no_grad():
        made = net(portrait, driving[:2], Guess(places, to_the_right))
        torch.testing.assert_close(made.image[..., :-4], portrait[..., 4:], atol=1e-4, rtol=0)
        assert made.flow[:, 0].unique().tolist() == [1.0] and made.flow[:, 1].abs().max() == 0
        last = net.warping.flow_out[-1]
        torch.nn.init.normal_(last.weight, std=0.1)
        one = net(portrait, driving[:2], Guess(places, to_the_right)).flow
        other = net(portrait, driving[:2], Guess(-places, to_the_right)).flow
    assert (one - other).abs().max() > 1e-3


def test_refinement_starts_from_the_coarse_frame_and_follows_sound(portrait: Tensor, driving: Tensor) -> None:
    torch.manual_seed(0)
    net = RefineNet(SMALL).eval()
    deaf = torch.cat((driving[:, :8], -driving[:, 8:]), dim=1)
    coarse = portrait.repeat_interleave(5, dim=0)
    with torch.no_grad():
        levels = net(coarse, driving)
        assert [level.image.shape[-1] for level in levels] == [8, 16, 32]
        assert all(level.flow.abs().max() == 0 for level in levels)
        torch.testing.assert_close(levels[-1].image, coarse, atol=1e-5, rtol=0)
        for stage in net.stages:
            torch.nn.init.normal_(stage.out.weight, std=0.1)
        heard, other = net(coarse, driving), net(coarse, deaf)
    assert all((a.flow - b.flow).abs().max() > 1e-3 for a, b in zip(heard, other, strict=True))


def test_small_refinement_starts_from_the_motion_that_is_given(portrait: Tensor, driving: Tensor) -> None:
    torch.manual_seed(0)
    net = RefineNet(replace(SMALL, places=2)).eval()
    places, up = torch.rand(2, 2, 16, 16) * 2 - 1, torch.zeros(2, 2, 16, 16)
    up[:, 1] = 2 * 4 / 32  # four pixels of the image
    with torch.no_grad():
        levels = net(portrait, driving[:2], Guess(places, up))
        for level, step in zip(levels, (1, 2, 4), strict=True):
            small = F.interpolate(portrait, size=level.image.shape[2:], mode="area")
            torch.testing.assert_close(level.image[:, :, :-step], small[:, :, step:], atol=1e-4, rtol=0)
            assert level.flow.abs().max() == 0
        for stage in net.stages:
            torch.nn.init.normal_(stage.out.weight, std=0.1)
        one, other = (net(portrait, driving[:2], Guess(where, up))[-1].flow for where in (places, -places))
    assert (one - other).abs().max() > 1e-3


def test_flow_is_carried_up_in_the_pixels_of_each_level(portrait: Tensor, driving: Tensor) -> None:
    net = RefineNet(SMALL).eval()
    with torch.no_grad():
        net.stages[0].out.bias[0] = 0.5  # half a pixel to the right at the lowest level
        levels = net(portrait[:1].repeat_interleave(5, dim=0), driving[:5])
    assert [float(level.flow[:, 0].mean()) for level in levels] == pytest.approx([0.5, 1.0, 2.0])


def test_refinement_learns_what_the_coarse_frame_lacks() -> None:
    """A mouth that opens with the sound, in front of a still face: RefineNet alone has to make it."""
    torch.manual_seed(0)
    net = RefineNet(SMALL).train()
    audio = torch.rand(1, 8, 1).repeat(1, 1, 6)
    windows = around(torch.cat((torch.zeros(1, 8, 8), audio), dim=2), SMALL.radius)
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    lips = ((rows - 24).abs() < 4) & ((columns - 16).abs() < 5)
    coarse = torch.zeros(8, 3, 32, 32)
    target = coarse - 0.9 * audio[0, :, 0].view(8, 1, 1, 1) * lips
    mask = lips.float().expand(8, 1, 32, 32)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    before = objective.lip_loss(net(coarse, windows)[-1].image, target, mask).item()
    for _ in range(60):
        loss = objective.refine_loss(net(coarse, windows), target, mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert objective.lip_loss(net(coarse, windows)[-1].image, target, mask).item() < 0.5 * before


def test_coarse_motion_is_learned_from_the_track() -> None:
    torch.manual_seed(0)
    net = CoarseNet(SMALL).train()
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    portrait = F.interpolate(coarse, size=(32, 32), mode="bicubic").expand(8, -1, -1, -1)
    track = torch.zeros(1, 8, 8 + 6)
    track[0, :, 0] = torch.linspace(-1, 1, 8)
    windows = around(track, SMALL.radius)
    to_the_side = torch.zeros(8, 2, 8, 8)
    to_the_side[:, 0] = track[0, :, :1, None].expand(-1, 8, 8)
    target = warp(portrait, to_the_side)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    before = (portrait - target).abs().mean()
    for _ in range(60):
        loss = (net(portrait, windows).image - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.6 * before


def test_lips_have_the_share_of_the_plain_loss_that_they_have() -> None:
    target, lips = torch.zeros(1, 3, 10, 10), torch.zeros(1, 1, 10, 10)
    lips[:, :, 7:9, 3:8] = 1
    everywhere = torch.full((1, 3, 10, 10), 0.2)
    assert objective.lip_share(everywhere, target, lips) == pytest.approx(0.1)
    assert objective.lip_share(everywhere * lips, target, lips) == 1
    assert objective.lip_share(target, target, lips) == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8])
def test_lips_get_their_share_of_the_refinement_loss(share: float) -> None:
    draw = torch.Generator().manual_seed(0)
    image, target = torch.rand(2, 2, 3, 8, 8, generator=draw).unbind()
    lips = torch.zeros(2, 1, 8, 8)
    lips[..., 4:6, 2:6] = 1
    level = Refined(torch.zeros(2, 2, 8, 8), image)
    plain = objective.image_loss(image, target)
    total = objective.refine_loss([level], target, lips, share=share)
    assert total == pytest.approx(float(plain / (1 - share)), rel=1e-5)
    assert objective.refine_loss([Refined(level.flow, target)], target, lips) == 0


def test_features_judge_too() -> None:
    image, target = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    assert objective.image_loss(image, target, lambda x: [2 * x, 3 * x[..., ::2]]) == 1 + 2 + 3
