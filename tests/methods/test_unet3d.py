"""The UNet over latent video: skeleton, reference attention, motion modules, schedule, guidance."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
from thbench_methods.nets.sampling import sample
from thbench_methods.nets.unet3d.attention import Attention
from thbench_methods.nets.unet3d.config import Sizes
from thbench_methods.nets.unet3d.guidance import Guided, is_guided, paired, with_guidance
from thbench_methods.nets.unet3d.layers import TimeEmbedding
from thbench_methods.nets.unet3d.layout import clips, frames_last, images, pixels_last, to_maps, to_tokens
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.reference import ReferenceUNet, alternating, split
from thbench_methods.nets.unet3d.schedule import TRAIN_STEPS, Diffusion, alpha_bars, sampler
from thbench_methods.nets.unet3d.transformer import SpatialTransformer
from thbench_methods.nets.unet3d.unet import Place
from torch import Tensor

from thbench.errors import MethodError, UsageError

SMALL = Sizes(channels=(8, 16, 16), layers=1, heads=2, groups=4, tokens=6, audio=5, positions=8)
PLACE = Place("here", 8, 8, 0)


@dataclass(frozen=True)
class Call:
    frames: int = 1
    tokens: Tensor | None = None
    reference: Tensor | None = None
    unconditional: int = 0
    past: dict[str, Tensor] = field(default_factory=dict)
    focus: None = None

    def reference_at(self, place: str) -> Tensor | None:
        return self.reference if place == PLACE.name else None


@pytest.fixture(autouse=True)
def _no_gradients_and_a_seed():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def test_layouts_and_their_ways_back() -> None:
    video = torch.randn(2, 3, 4, 5, 6)
    flat = images(video)
    torch.testing.assert_close(flat[1 * 4 + 2], video[1, :, 2])
    torch.testing.assert_close(clips(flat, 4), video)
    torch.testing.assert_close(to_tokens(flat)[0, 7], flat[0, :, 1, 1])
    torch.testing.assert_close(to_maps(to_tokens(flat), flat), flat)
    by_pixel = frames_last(to_tokens(flat), 4)
    torch.testing.assert_close(by_pixel[1 * 30 + 7, 2], video[1, :, 2, 1, 1])
    torch.testing.assert_close(pixels_last(by_pixel, 2), to_tokens(flat))


def test_attention_is_the_mean_of_values_where_keys_say_nothing() -> None:
    attention = Attention(4, context=3, heads=2)
    attention.to_k.weight.zero_()
    context = torch.randn(1, 5, 3)
    expected = attention.to_out[0](attention.to_v(context).mean(1))
    torch.testing.assert_close(attention(torch.randn(1, 2, 4), context), expected[:, None].expand(1, 2, 4))


def test_time_sinusoid_starts_with_the_cosine() -> None:
    embedding = TimeEmbedding(4)
    seen: list[Tensor] = []
    embedding.linear_1.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    embedding(torch.tensor([3]))
    expected = [math.cos(3), math.cos(0.03), math.sin(3), math.sin(0.03)]
    torch.testing.assert_close(seen[0], torch.tensor([expected]))


def test_reference_is_read_beside_the_own_tokens() -> None:
    transformer = SpatialTransformer(PLACE, SMALL)
    x, tokens = torch.randn(4, 8, 3, 3), torch.randn(4, 2, 6)
    alone = transformer(x, Call(tokens=tokens))
    reference = torch.randn(4, 9, 8)
    led = transformer(x, Call(tokens=tokens, reference=reference))
    assert (led - alone).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    # Own tokens a second time change nothing: the same values with the same weights.
    own = transformer.transformer_blocks[0].norm1(transformer.tokens(x))
    torch.testing.assert_close(transformer(x, Call(tokens=tokens, reference=own)), alone)


def test_unconditional_rows_read_no_reference() -> None:
    transformer = SpatialTransformer(PLACE, SMALL)
    x, reference = torch.randn(4, 8, 3, 3), torch.randn(4, 9, 8)
    alone, led = transformer(x, Call()), transformer(x, Call(reference=reference))
    half = transformer(x, Call(reference=reference, unconditional=2))
    torch.testing.assert_close(half, torch.cat((alone[:2], led[2:])))


def test_cross_attention_is_weighed() -> None:
    plain, heavy = SpatialTransformer(PLACE, SMALL), SpatialTransformer(PLACE, SMALL, cross_scale=3.0)
    heavy.load_state_dict(plain.state_dict())
    block = heavy.transformer_blocks[0]
    block.attn2.to_out[0].weight.div_(3)
    block.attn2.to_out[0].bias.div_(3)
    x, tokens = torch.randn(2, 8, 3, 3), torch.randn(2, 2, 6)
    torch.testing.assert_close(plain(x, Call(tokens=tokens)), heavy(x, Call(tokens=tokens)))


@pytest.mark.parametrize("frames", [1, 3, 4])
def test_references_alternate_over_the_frames_of_both_halves(frames: int) -> None:
    pair = torch.randn(2, 3, 4)
    torch.testing.assert_close(alternating(pair, frames), pair.repeat(frames, 1, 1))
    other = torch.randn(2, 3, 4)
    both = alternating(torch.stack((pair, other), dim=1).flatten(0, 1), frames)
    per_clip = both.reshape(2, 2, frames, 3, 4)
    torch.testing.assert_close(per_clip[:, 0].flatten(0, 1), alternating(pair, frames))
    torch.testing.assert_close(per_clip[:, 1].flatten(0, 1), alternating(other, frames))


def test_features_are_split_into_image_and_past() -> None:
    features = {"mid_block.attentions.0": torch.arange(6.0)[:, None, None].expand(6, 4, 2)}
    image, past = split(features, 2)
    assert image["mid_block.attentions.0"][:, 0, 0].tolist() == [0, 3]
    assert past["mid_block.motion_modules.0"][:, :, 0, 0].tolist() == [[1, 2], [4, 5]]
    assert split(features, 0).past == {}


@pytest.mark.parametrize("size", [(4, 4), (6, 9)])
def test_reference_network_gives_every_transformer_and_any_size(size: tuple[int, int]) -> None:
    net = ReferenceUNet(SMALL)
    features = net(torch.randn(3, 4, *size), torch.randn(2, 2, 6))
    assert {place.split(".attentions")[0] for place in features} == {
        *("down_blocks.0", "down_blocks.1", "mid_block", "up_blocks.1", "up_blocks.2")
    }
    assert features["up_blocks.2.attentions.1"].shape == (3, size[0] * size[1], 8)


def test_images_take_face_tokens_in_turn() -> None:
    net = ReferenceUNet(SMALL)
    latents, tokens = torch.randn(3, 4, 4, 4), torch.randn(2, 2, 6)
    together = net(latents, tokens)["up_blocks.2.attentions.1"]
    for index in range(3):
        alone = net(latents[index : index + 1], tokens[index % 2][None])["up_blocks.2.attentions.1"]
        torch.testing.assert_close(together[index], alone[0], atol=1e-5, rtol=1e-4)


def test_motion_module_mixes_frames_of_a_pixel_only() -> None:
    module = MotionModule(PLACE, SMALL)
    module.temporal_transformer.norm = torch.nn.Identity()
    x = torch.randn(6, 8, 2, 2)
    moved = x.clone()
    moved[4, :, 1, 0] += 1
    change = (module(moved, Call(frames=3)) - module(x, Call(frames=3))).abs().amax(1)
    assert (change[3:, 1, 0] > 1e-5).all()
    change[3:, 1, 0] = 0
    assert change.max() < 1e-6


def test_past_frames_come_before_and_are_dropped() -> None:
    module = MotionModule(PLACE, SMALL)
    before, own = torch.randn(2, 2, 8, 3, 3), torch.randn(2, 3, 8, 3, 3)
    together = module(torch.cat((before, own), dim=1).flatten(0, 1), Call(frames=5)).reshape(2, 5, 8, 3, 3)
    past = {PLACE.name: to_tokens(before.flatten(0, 1)).reshape(2, 2, 9, 8)}
    alone = module(own.flatten(0, 1), Call(frames=3, past=past)).reshape(2, 3, 8, 3, 3)
    torch.testing.assert_close(alone, together[:, 2:])


def test_too_many_frames_are_refused() -> None:
    with pytest.raises(MethodError, match=r"9 frames at once.*8 positions"):
        MotionModule(PLACE, SMALL)(torch.randn(9, 8, 2, 2), Call(frames=9))


def test_a_module_that_does_not_run_has_its_weights() -> None:
    module, idle = MotionModule(PLACE, SMALL), MotionModule(PLACE, SMALL, runs=False)
    assert idle.state_dict().keys() == module.state_dict().keys()
    x = torch.randn(2, 8, 2, 2)
    assert idle(x, Call(frames=2)) is x


def test_the_signal_ends_at_exactly_nothing() -> None:
    bars = alpha_bars(Diffusion())
    assert bars[-1] == 0
    assert bars[0].item() == pytest.approx(1 - 0.00085, rel=1e-6)
    assert (bars.diff() < 0).all()


def test_forty_steps_trail() -> None:
    steps = sampler(40, Diffusion())
    assert steps.times == tuple(range(999, 0, -25))
    assert (steps.signal[0], steps.next_signal[-1]) == (0.0, 1.0)
    assert steps.next_signal[:-1] == steps.signal[1:]


def test_six_steps_end_where_the_published_ones_do() -> None:
    steps, bars = sampler(6, Diffusion()), alpha_bars(Diffusion()).tolist()
    assert steps.times == (999, 832, 666, 499, 332, 166)
    assert steps.next_signal == tuple(bars[time] for time in (833, 666, 500, 333, 166, 0))


@pytest.mark.parametrize("steps", [1, 3, 40, 61, 999, 1000])
def test_as_many_steps_as_asked_for(steps: int) -> None:
    times = sampler(steps, Diffusion()).times
    assert len(times) == steps
    assert times[0] == TRAIN_STEPS - 1
    assert list(times) == sorted(set(times), reverse=True)
    assert times[-1] >= 0


@pytest.mark.parametrize("steps", [0, 1001])
def test_impossible_steps_are_refused(steps: int) -> None:
    with pytest.raises(UsageError, match=rf"{steps} denoising steps.*1 to 1000"):
        sampler(steps, Diffusion())


@pytest.mark.parametrize("steps", [1, 4, 40])
def test_true_velocities_lead_to_the_clean_latent(steps: int) -> None:
    clean, noise = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    ddim = sampler(steps, Diffusion())
    signal = dict(zip(ddim.times, ddim.signal, strict=True))

    def velocity(latent: Tensor, time: float) -> Tensor:
        kept, lost = math.sqrt(signal[int(time)]), math.sqrt(1 - signal[int(time)])
        torch.testing.assert_close(latent, kept * clean + lost * noise)
        return kept * noise - lost * clean

    torch.testing.assert_close(sample(ddim, velocity, noise), clean)


class Linear:
    """Predicts its input plus the condition's row; `deep` is the prediction."""

    def full(self, z: Tensor, t: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        return z + condition, z + condition

    def shallow(self, z: Tensor, t: Tensor, condition: Tensor, deep: Tensor) -> Tensor:
        return z + condition + deep


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.5])
def test_guidance_goes_from_unconditional_through_conditional(scale: float) -> None:
    guided, z, condition = Guided(Linear(), scale), torch.randn(1, 3), torch.tensor([[1.0], [3.0]])
    prediction, deep = guided.full(z, torch.tensor(0), condition)
    torch.testing.assert_close(prediction, z + 1 + scale * 2)
    assert deep.shape == (2, 3)
    torch.testing.assert_close(guided.shallow(z, torch.tensor(0), condition, deep), 2 * (z + 1 + scale * 2))


def test_each_clip_under_guidance_keeps_its_time() -> None:
    class Timed(Linear):
        def full(self, z: Tensor, t: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
            return z + t[:, None], z

    prediction, _ = Guided(Timed(), 3.5).full(torch.zeros(2, 3), torch.tensor([1.0, 2.0]), torch.empty(0))
    assert prediction[:, 0].tolist() == [1, 2]


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_scales_up_to_one_run_the_conditional_half_alone(scale: float) -> None:
    denoiser, led = Linear(), torch.ones(1, 3)
    assert with_guidance(denoiser, scale) is denoiser
    assert paired(led, guided=is_guided(scale)) is led
    assert paired(led, guided=is_guided(1.5)).tolist() == [[0, 0, 0], [1, 1, 1]]
