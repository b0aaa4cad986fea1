"""DAWN's networks and sampler: sizes, invariants, degenerate cases; test_dawn_parity checks what they compute."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.dawn import lfg, schedule
from thbench_methods.dawn.attention import RelativePositionBias, Rotary, attend, distance_buckets
from thbench_methods.dawn.checkpoints import load_diffusion, load_flow_generator, load_pbnet
from thbench_methods.dawn.config import JOINT, PAPER, Diffusion, PBNetSizes, UNetSizes
from thbench_methods.dawn.diffusion import A2VFDM, flow_of, motion_of
from thbench_methods.dawn.face_mask import face_mask, published_encoder
from thbench_methods.dawn.lfg.blocks import coordinate_grid, gaussian_kernel, warp
from thbench_methods.dawn.lfg.flow import candidate_motions, heat_maps
from thbench_methods.dawn.lfg.regions import regions_of
from thbench_methods.dawn.pbnet import LatentPrior, PBNet, normalised_pose, pose_of
from thbench_methods.dawn.unet import Condition, UNet
from thbench_methods.dawn.unet_blocks import ConditionAttention
from thbench_methods.nets.embeddings import rotate
from thbench_methods.nets.sampling import sample
from thbench_methods.nets.unet3d.guidance import Guided
from torch import nn

from thbench.errors import UsageError, WeightsMismatchError

SMALL = UNetSizes(width=16, multipliers=(1, 2, 2), still=12, audio=5, heads=2, head_width=8, groups=4, window=2)


def small_condition(clips: int = 1, frames: int = 5, size: int = 8) -> Condition:
    draw = torch.Generator().manual_seed(3)
    shapes = (8, size, size), (4, size, size), (frames, 5), (frames, 6), (frames, 2)
    return Condition(*(torch.randn(clips, *shape, generator=draw) for shape in shapes))


def small_motion(clips: int = 1, frames: int = 5, size: int = 8) -> torch.Tensor:
    return torch.randn(clips, 3, frames, size, size, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def small_unet() -> UNet:
    torch.manual_seed(0)
    return UNet(SMALL).eval()


@pytest.mark.parametrize(
    ("factory", "keys", "parameters", "tables"),
    [
        (lambda: lfg.Generator(), 196, 45_575_391, 0),
        (lambda: lfg.RegionPredictor(), 73, 14_146_728, 0),
        (lambda: lfg.BackgroundPredictor(), 37, 6_282_438, 0),
        # Rotary frequencies, which the published code counts as parameters that are not trained.
        (lambda: A2VFDM(PAPER.unet), 912, 49_857_555, 16),
        (lambda: PBNet(PAPER.pose), 88, 2_347_018, 4),
        (lambda: PBNet(PAPER.blink), 88, 2_345_990, 4),
        (lambda: PBNet(JOINT), 88, 2_347_532, 4),
    ],
)
def test_sizes_are_the_published_ones(
    factory: Callable[[], nn.Module], keys: int, parameters: int, tables: int
) -> None:
    with torch.device("meta"):
        net = factory()
    assert len(net.state_dict()) == keys
    assert sum(p.numel() for p in net.parameters()) == parameters - tables


def test_masks_include_their_borders_and_swap_height_and_width() -> None:
    boxes = torch.tensor(
        [[2.0, 3.9, 0.0, 1.0, 8.0, 8.0], [4.0, 7.0, 0.0, 2.0, 16.0, 8.0], [-3.0, 99.0, -3.0, 99.0, 8.0, 8.0]]
    )
    masks = face_mask(boxes, 8)
    assert masks.shape == (3, 1, 8, 8)
    assert masks[0, 0].nonzero().tolist() == [[y, x] for y in (0, 1, 2) for x in (2, 3, 4)]
    assert masks[1, 0].nonzero().tolist() == [[y, x] for y in (0, 1, 2, 3) for x in (2, 3, 4)]
    assert masks[2].all()


@pytest.mark.parametrize(
    ("seed", "digest"),
    [
        (1234, "f672b953bf08013967d7d75e4a5e1f40801fdc195b8ce2ace68fa395aa9c56de"),
        (2345, "b2786a7c0c4bcfb3cfa6941e3f1d595db848650d4d53f26e3cb086aab8db52ef"),
    ],
)
def test_the_mask_encoder_of_a_seed_is_found_again(seed: int, digest: str) -> None:
    before = torch.random.get_rng_state()
    encoder = published_encoder(seed)
    numbers = [p.detach().numpy().astype("<f4").ravel() for p in encoder.parameters()]
    assert hashlib.sha256(np.concatenate(numbers).tobytes()).hexdigest() == digest
    assert torch.equal(before, torch.random.get_rng_state())


def test_regions_are_the_moments_of_their_heat_maps() -> None:
    grid = coordinate_grid(torch.empty(1, 1, 64, 96))
    centre, deviations = torch.tensor([0.2, -0.3]), torch.tensor([0.15, 0.05])
    bell = (-0.5 * ((grid - centre) / deviations).square().sum(dim=-1)).exp()
    regions = regions_of((bell / bell.sum())[None, None])
    torch.testing.assert_close(regions.shift[0, 0], centre, atol=1e-4, rtol=0)
    torch.testing.assert_close(regions.covar[0, 0], deviations.square().diag(), atol=1e-4, rtol=0)
    torch.testing.assert_close(regions.affine[0, 0].abs(), deviations.diag(), atol=1e-4, rtol=0)


def test_nothing_moves_between_an_image_and_itself() -> None:
    heat = torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(1)).flatten(2).softmax(dim=2)
    regions = regions_of(heat.view(2, 3, 12, 10))
    grid = coordinate_grid(heat.view(2, 3, 12, 10))
    motions = candidate_motions(grid, regions, regions, torch.eye(3).expand(2, 3, 3))
    torch.testing.assert_close(motions, grid.expand(2, 4, 12, 10, 2), atol=1e-5, rtol=0)
    assert heat_maps(grid, regions, regions).abs().max() == 0


def test_a_shifted_region_is_read_where_it_was() -> None:
    image = torch.empty(1, 1, 9, 9)
    grid = coordinate_grid(image)
    bells = [(-20 * (grid - torch.tensor(c)).square().sum(dim=-1)).exp() for c in ((-0.25, 0.0), (0.25, 0.0))]
    source, driving = (regions_of((bell / bell.sum())[None, None]) for bell in bells)
    motions = candidate_motions(grid, source, driving, torch.eye(3)[None])
    torch.testing.assert_close(motions[0, 1, 4, 5], grid[4, 3], atol=1e-2, rtol=0)


def test_the_blur_keeps_brightness_and_a_warp_to_nowhere_is_black() -> None:
    kernel = gaussian_kernel(4)
    assert kernel.shape == (1, 1, 13, 13) and kernel.sum() == pytest.approx(1)
    image = torch.rand(1, 3, 8, 8)
    assert warp(image, torch.full((1, 4, 4, 2), 3.0)).abs().max() == 0


def test_frames_of_one_portrait_can_be_painted_together() -> None:
    torch.manual_seed(0)
    net = lfg.Generator(block_expansion=4, num_bottleneck_blocks=1, flow_predictor=None).eval()
    flow = lfg.Flow(torch.rand(3, 8, 8, 2) * 2 - 1, torch.rand(3, 1, 8, 8))
    with torch.inference_mode():
        portrait = net.encode(torch.rand(1, 3, 32, 32))
        together = net.decode(
            lfg.Portrait(portrait.image.expand(3, -1, -1, -1), tuple(m.expand(3, -1, -1, -1) for m in portrait.maps)),
            flow,
        )
        alone = [net.decode(portrait, lfg.Flow(*(part[n : n + 1] for part in flow))).prediction for n in range(3)]
    torch.testing.assert_close(together.prediction, torch.cat(alone))


def test_buckets_are_exact_near_and_shared_far_away() -> None:
    buckets = distance_buckets(torch.arange(-300, 301), 128, 128)
    before, after = buckets[:300].flip(0), buckets[301:]
    assert torch.equal(after, before + 64)
    assert before[:31].tolist() == list(range(1, 32)) and buckets[300] == 0
    assert before.diff().min() >= 0 and before[126:].unique().tolist() == [63]
    assert distance_buckets(torch.tensor([16, -16]), 32, 32).tolist() == [28, 12]


@pytest.mark.parametrize("frames", [1, 5, 16, 47, 90])
@pytest.mark.parametrize("window", [0, 3, 20, 200])
def test_local_attention_is_the_whole_attention_behind_a_mask(frames: int, window: int) -> None:
    torch.manual_seed(frames)
    bias = RelativePositionBias(2)
    q, k, v = torch.randn(3, 4, 2, frames, 8, dtype=torch.float64)
    with torch.no_grad():
        table = bias(frames).double()
        ours = attend(q, k, v, bias(frames, window).double(), window)
        distances = torch.arange(frames)[None] - torch.arange(frames)[:, None]
        mask = table[:, distances + frames - 1].masked_fill(distances.abs() > window, -1e8)
        whole = (q @ k.mT / math.sqrt(8) + mask).softmax(dim=-1) @ v
    torch.testing.assert_close(ours, whole)


def test_rotary_depends_on_distance_alone() -> None:
    q, k = torch.randn(2, 1, 1, 8).double()
    for features in (4, 8):
        rotary = Rotary(features).double()
        turned = [rotary(x.expand(1, 12, 8)) for x in (q, k)]
        scores = (turned[0] @ turned[1].mT)[0]
        torch.testing.assert_close(scores[3, 1], scores[11, 9])
        assert (scores[3, 1] - scores[3, 3]).abs() > 1e-6
        torch.testing.assert_close(turned[0][..., features:], q.expand(1, 12, 8)[..., features:])
        plain = rotate(q.expand(1, 12, 8), torch.arange(12.0)[:, None].double() * rotary.freqs)
        torch.testing.assert_close(turned[0], plain)


def test_attention_to_one_token_is_a_softmax_with_the_null_token() -> None:
    torch.manual_seed(0)
    net = ConditionAttention(inputs=6, outputs=5, token=7, heads=2, head_width=4).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    pixels, token = torch.randn(3, 9, 6).double(), torch.randn(3, 7).double()
    with torch.no_grad():
        q = net.to_q(net.norm(pixels)).view(3, 9, 2, 4).transpose(1, 2)
        k, v = (
            torch.cat((null.expand(3, 2, 1, 4), part.view(3, 2, 1, 4)), dim=2)
            for null, part in zip(net.null_kv, net.to_kv(token).chunk(2, dim=-1), strict=True)
        )
        q, k = nn.functional.normalize(q, dim=-1) * net.q_scale, nn.functional.normalize(k, dim=-1) * net.k_scale
        whole = ((8 * q @ k.mT).softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
        torch.testing.assert_close(net(nn.functional.layer_norm(pixels, (6,)), token), net.to_out(whole))


def test_the_shallow_pass_continues_from_the_full_one(small_unet: UNet) -> None:
    motion, condition = small_motion(), small_condition()
    with torch.inference_mode():
        prediction, deep = small_unet.full(motion, torch.tensor([500]), condition)
        again = small_unet.shallow(motion, torch.tensor([500]), condition, deep)
        later = small_unet.shallow(motion, torch.tensor([400]), condition, deep)
    assert deep.shape == (1, 16, 5, 8, 8)
    assert torch.equal(again, prediction) and not torch.equal(later, prediction)


def test_clips_of_a_batch_do_not_meet(small_unet: UNet) -> None:
    motion, condition, time = small_motion(clips=2), small_condition(clips=2), torch.tensor([900, 30])
    with torch.inference_mode():
        together = small_unet(motion, time, condition)
        alone = [
            small_unet(motion[n : n + 1], time[n : n + 1], Condition(*(part[n : n + 1] for part in condition)))
            for n in range(2)
        ]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("frames", [1, 2, 33])
def test_any_length_is_denoised_in_one_pass(small_unet: UNet, frames: int) -> None:
    with torch.inference_mode():
        prediction = small_unet(small_motion(frames=frames), torch.tensor([7]), small_condition(frames=frames))
    assert prediction.shape == (1, 3, frames, 8, 8) and prediction.isfinite().all()


def test_guidance_goes_from_the_null_condition_through_the_prediction(small_unet: UNet) -> None:
    inputs = small_motion(), torch.tensor([300]), small_condition()
    with torch.inference_mode():
        plain, null = small_unet(*inputs), small_unet(*inputs[:2], inputs[2].null())
        for scale, expected in ((0.0, null), (1.0, plain), (2.0, 2 * plain - null)):
            guided, _ = Guided(small_unet, scale).full(*inputs[:2], inputs[2].paired())
            torch.testing.assert_close(guided, expected)
    assert (plain - null).abs().max() > 1e-3


@pytest.mark.parametrize("view", [lambda net: net, lambda net: net.cut(2), lambda net: net.cut(3), UNet.decoder])
def test_a_shallow_pass_on_its_own_full_pass_is_the_full_pass(small_unet: UNet, view: Callable[[UNet], UNet]) -> None:
    inputs = small_motion(), torch.tensor([300]), small_condition()
    with torch.inference_mode():
        whole, deep = view(small_unet).full(*inputs)
        assert torch.equal(whole, small_unet(*inputs))
        assert torch.equal(view(small_unet).shallow(*inputs, deep), whole)
        other = view(small_unet).shallow(inputs[0], torch.tensor([700]), inputs[2], deep)
        assert (other - whole).abs().max() > 1e-4
    with pytest.raises(UsageError, match="has 3 of them"):
        small_unet.cut(4)


def test_the_decoder_alone_does_not_read_the_motion(small_unet: UNet) -> None:
    inputs = small_motion(), torch.tensor([300]), small_condition()
    with torch.inference_mode():
        whole, deep = small_unet.decoder().full(*inputs)
        assert torch.equal(small_unet.decoder().shallow(inputs[0] + 1, *inputs[1:], deep), whole)


def test_the_schedule_adds_and_takes_off_noise() -> None:
    tables = schedule.cosine_schedule()
    clean, noise = torch.randn(2, 6, 3, 4, 5, 5).unbind()
    time = torch.tensor([0, 47, 333, 714, 904, 952])
    noisy = tables.noisy(clean, time, noise)
    torch.testing.assert_close(tables.clean(noisy, time, noise), clean, atol=1e-4, rtol=0)
    torch.testing.assert_close(tables.noise(noisy, time, clean), noise, atol=1e-4, rtol=0)
    assert tables.alphas_cumprod_prev[0] == 1 and torch.equal(
        tables.alphas_cumprod_prev[1:], tables.alphas_cumprod[:-1]
    )
    assert tables.betas.max() == pytest.approx(0.9999) and tables.betas.dtype == torch.float32
    # The mean of the posterior lies on the clean motion when the noise is gone.
    assert tables.posterior_mean_coef1[0] == pytest.approx(1) and tables.posterior_mean_coef2[0] == 0


def test_the_published_times() -> None:
    assert schedule.ddim_times(20)[:4] == (952, 904, 857, 809) and schedule.ddim_times(20)[-3:] == (95, 47, 0)
    assert schedule.ddim_times(5) == (833, 666, 500, 333, 166, 0)
    assert schedule.ddim_times(4, trailing=True) == (999, 749, 499, 249, 0)
    assert schedule.ddim_times(1, trailing=True) == (999, 0)
    sampler = schedule.stochastic_ddim(schedule.cosine_schedule(), PAPER.diffusion, torch.empty)
    assert len(sampler.times) == 20 and sampler.next_signal[-1] == 1


@pytest.mark.parametrize("signal", ["published", "standard"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("predicts", ["noise", "motion"])
def test_a_perfect_denoiser_is_followed_to_the_clean_motion(signal: str, eta: float, predicts: str) -> None:
    tables = schedule.cosine_schedule()
    clean = torch.rand(2, 3, 4, 5, 5) * 2 - 1
    asked: list[int] = []

    def fresh(index: int) -> torch.Tensor:
        asked.append(index)
        return torch.randn(clean.shape)

    def predict(motion: torch.Tensor, time: float) -> torch.Tensor:
        if predicts == "motion":
            return clean
        return (motion - tables.sqrt_alphas_cumprod[int(time)] * clean) / tables.sqrt_one_minus_alphas_cumprod[
            int(time)
        ]

    diffusion = Diffusion(steps=7, eta=eta, quantile=None, predicts=predicts, signal=signal)  # type: ignore[arg-type]
    found = sample(schedule.stochastic_ddim(tables, diffusion, fresh), predict, torch.randn(clean.shape))
    torch.testing.assert_close(found, clean, atol=1e-4, rtol=0)
    assert asked == list(range(6))


def test_dynamic_thresholding_is_by_clip_and_leaves_small_motion_alone() -> None:
    small = torch.rand(1, 3, 4, 5, 5) * 2 - 1
    large = torch.randn(1, 3, 4, 5, 5) * 4
    both = schedule.dynamic_threshold(torch.cat((small, large)), 0.9)
    limit = torch.quantile(large.abs().flatten(), 0.9)
    assert torch.equal(both[:1], small)
    torch.testing.assert_close(both[1:], large.clamp(-limit, limit) / limit)


def test_motion_and_flow_are_two_views_of_the_same() -> None:
    motion = small_motion(clips=2, frames=4)
    flow = flow_of(motion)
    assert flow.optical_flow.shape == (8, 8, 8, 2)
    torch.testing.assert_close(flow.optical_flow[5, 2, 3], motion[1, :2, 1, 2, 3])
    torch.testing.assert_close(motion_of(flow, clips=2), motion)


def test_pbnet_hears_only_its_window_and_generates_any_length() -> None:
    torch.manual_seed(0)
    net = PBNet(PBNetSizes(audio=6, layers=1, window=2, max_frames=50)).eval()
    audio = torch.randn(1, 30, 6)
    changed = audio.clone()
    changed[:, 10] += 1
    latent, initial = torch.randn(1, 30, 256), torch.rand(1, 1, 6)
    with torch.inference_mode():
        difference = (net.generate(initial, audio, latent) - net.generate(initial, changed, latent)).abs().amax(dim=2)
        assert net.generate(initial, audio[:, :1], latent[:, :1]).shape == (1, 1, 6)
    assert (difference[0, 8:13] > 0).all() and difference[0, :8].max() == difference[0, 13:].max() == 0


def test_latents_are_drawn_as_they_were_measured() -> None:
    draw = torch.Generator().manual_seed(0)
    clips, frames, latent = 2000, 40, 3
    # One process is smooth, another is not; the third number follows the first; all follow the first state.
    initial = torch.randn(clips, 1, 2, generator=draw)
    rough = torch.randn(clips, frames + 8, 2, generator=draw)
    smooth = rough[..., :1].unfold(1, 9, 1).mean(dim=-1) * 3
    told = 3 + initial @ torch.tensor([[1.0, 0.0, -2.0], [0.0, 4.0, 0.0]])
    known = told + torch.cat((2 * smooth, 0.3 * rough[:, :frames, 1:], smooth), dim=2)
    prior = LatentPrior(frames, 2, latent)
    prior.keep(initial, known)
    drawn = prior(initial, torch.randn(clips, frames, latent, generator=draw))
    torch.testing.assert_close(drawn.mean(dim=0), known.mean(dim=0), atol=0.2, rtol=0)
    for rows in (drawn - told, known - told):
        assert rows.std(dim=(0, 1)).tolist() == pytest.approx([2.0, 0.3, 1.0], rel=0.05)
        for number, alike in ((0, 8 / 9), (1, 0.0), (2, 8 / 9)):
            found = np.corrcoef(rows[:, 20, number], rows[:, 21, number])[0, 1]
            assert found == pytest.approx(alike, abs=0.06)
        assert np.corrcoef(rows[:, 20, 0], rows[:, 20, 2])[0, 1] > 0.99
    part = torch.randn(1, 4, latent, generator=draw)
    whole = torch.cat((part, torch.randn(1, 2, latent, generator=draw)), dim=1)
    torch.testing.assert_close(prior(initial[:1], whole)[:, :4], prior(initial[:1], part))


def test_long_clips_go_on_from_where_a_stretch_ends() -> None:
    torch.manual_seed(0)
    net = PBNet(PBNetSizes(state=2, audio=6, longest=20, anchored=True, max_frames=50)).eval()
    audio, latent, initial = torch.randn(1, 47, 6), torch.randn(1, 47, 256), torch.rand(1, 1, 2)
    with torch.inference_mode():
        whole = net.generate(initial, audio, latent)
        alone = net.generate(initial, audio[:, :20], latent[:, :20])
        other = net.generate(initial, audio, torch.cat((latent[:, :30], -latent[:, 30:]), dim=1))
    assert whole.shape == (1, 47, 2) and whole.isfinite().all()
    assert whole[:, 0].abs().max() == 0
    # Stretches begin at 0, 9, 18 and 27.
    torch.testing.assert_close(whole[:, :10], alone[:, :10])
    assert not torch.allclose(whole[:, 10:20], alone[:, 10:20])
    torch.testing.assert_close(other[:, :18], whole[:, :18])
    assert (other[:, 30:] - whole[:, 30:]).abs().max() > 1e-3
    steps = whole.diff(dim=1).abs().amax(dim=(0, 2))
    assert steps[9:].max() <= 2 * alone.diff(dim=1).abs().max()


def test_pbnet_training_pass_reaches_every_weight_that_matters() -> None:
    torch.manual_seed(0)
    net = PBNet(PBNetSizes(state=2, audio=6, max_frames=50)).train()
    rebuilt, posterior = net(torch.rand(2, 12, 2), torch.randn(2, 12, 6), torch.randn(2, 12, 256))
    (rebuilt.square().sum() + posterior.mean.sum() + posterior.log_variance.sum()).backward()
    idle = {name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().max() == 0}
    # Zero times this weight is what every query starts from.
    assert idle == {"decoder.init_proj.weight"}


def test_pose_normalisation_is_undone() -> None:
    pose = torch.tensor([[-90.0, 0.0, 90.0, 0.5, 360.0, 1080.0]])
    assert normalised_pose(pose).tolist() == [[0.0, 0.5, 1.0, 0.5, 0.5, 1.0]]
    torch.testing.assert_close(pose_of(normalised_pose(pose)), pose)


def test_published_files_are_read_strictly(tmp_path: Path) -> None:
    sizes = PBNetSizes(state=2, audio=6, max_frames=50)
    net, unet = PBNet(sizes), A2VFDM(SMALL)
    torch.save(net.state_dict(), tmp_path / "pbnet.pth.tar")
    torch.save({"diffusion": unet.state_dict(), "example": 3}, tmp_path / "dawn.pth")
    assert torch.equal(
        load_pbnet(tmp_path / "pbnet.pth.tar", sizes).decoder.finallayer.bias, net.decoder.finallayer.bias
    )
    read = load_diffusion(tmp_path / "dawn.pth", SMALL)
    assert torch.equal(read.denoise_fn.init_conv.weight, unet.denoise_fn.init_conv.weight)
    assert torch.equal(read.schedule.betas, schedule.cosine_schedule().betas)
    with pytest.raises(WeightsMismatchError, match="of another shape"):
        load_diffusion(tmp_path / "dawn.pth", replace(SMALL, audio=7))
    with pytest.raises(WeightsMismatchError, match="no entry 'generator'"):
        load_flow_generator(tmp_path / "dawn.pth")
