"""DreamTalk: denoising network, guidance, sampler, PIRenderer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from thbench_methods.dreamtalk.config import LOWER_FACE, Config, Diffusion, ExpertSizes, PredictorSizes, Sizes
from thbench_methods.dreamtalk.crop import crop, crop_box
from thbench_methods.dreamtalk.lip_expert import LipExpert, MouthMesh, sync_loss
from thbench_methods.dreamtalk.motion import (
    STATIC_POSE,
    StyleClip,
    pose_of_fit,
    render_windows,
    speech_windows,
    style_clip,
    with_pose,
)
from thbench_methods.dreamtalk.networks import Condition, DiffusionNet
from thbench_methods.dreamtalk.schedule import alpha_bars, betas, sampler
from thbench_methods.dreamtalk.style_predictor import SpeechAndSpeaker, StylePredictor
from thbench_methods.nets.building import build
from thbench_methods.nets.pirenderer import FaceGenerator, warp
from thbench_methods.nets.sampling import sample

from thbench.errors import MethodError
from thbench.parity import Outcome

SMALL = Config(
    Sizes(
        width=16,
        heads=2,
        layers=2,
        feed_forward=32,
        window=5,
        audio=12,
        motion=8,
        style_length=20,
        lower_face=(0, 2, 5),
    )
)


@pytest.mark.parametrize("part", ["denoiser", "renderer", "sample"])
def test_the_published_network_is_reproduced(parity: Callable[[str], Outcome], part: str) -> None:
    outcome = parity(f"dreamtalk.{part}")
    assert outcome.status == "passed", (outcome.message, outcome.outputs)


@pytest.mark.parametrize(
    ("factory", "parameters", "keys"), [(DiffusionNet, 11_857_729, 224), (FaceGenerator, 22_519_109, 304)]
)
def test_published_sizes_are_the_defaults(factory: Callable[[], torch.nn.Module], parameters: int, keys: int) -> None:
    with torch.device("meta"):
        net = factory()
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == keys


@pytest.fixture
def small() -> DiffusionNet:
    torch.manual_seed(0)
    return DiffusionNet(SMALL).eval()


def inputs(frames: int, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(frames)
    noisy = torch.randn(batch, frames, 8, generator=generator)
    audio = torch.randn(batch, frames, 5, 12, generator=generator)
    clip = torch.randn(batch, 20, 8, generator=generator)
    return noisy, torch.tensor([501] * batch), audio, clip


def test_frames_are_denoised_by_themselves(small: DiffusionNet) -> None:
    noisy, time, audio, clip = inputs(6)
    style = small.style(clip, torch.tensor([20, 20]))
    together = small.net(noisy, time, Condition(small.content(audio), style))
    alone = small.net(noisy[:, 2:4], time, Condition(small.content(audio[:, 2:4]), style))
    torch.testing.assert_close(together[:, 2:4], alone, atol=1e-5, rtol=1e-4)


def test_padded_frames_of_a_style_clip_do_not_matter(small: DiffusionNet) -> None:
    clip = inputs(1)[3]
    lengths = torch.tensor([20, 7])
    code = small.style(clip, lengths)
    changed = clip.clone()
    changed[1, 7:] = 100.0
    torch.testing.assert_close(small.style(changed, lengths), code)
    torch.testing.assert_close(small.style(clip[1:, :7], torch.tensor([7])), code[1:], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(small.style(clip, torch.tensor([20, 8]))[1], code[1])


def test_guidance_is_a_line_through_no_style_and_the_style(small: DiffusionNet) -> None:
    noisy, time, audio, clip = inputs(3)
    condition = Condition(small.content(audio), small.style(clip, torch.tensor([20, 20])))
    null = small.null_style()
    plain, styled, strong = (small.guided(noisy, time, condition, null, scale) for scale in (0.0, 1.0, 3.0))
    torch.testing.assert_close(plain, small.net(noisy, time, condition._replace(style=null.expand(2, -1))))
    torch.testing.assert_close(styled, small.net(noisy, time, condition))
    torch.testing.assert_close(strong, plain + 3 * (styled - plain), atol=1e-5, rtol=1e-4)


def test_the_last_layers_alone_give_the_same_from_the_same_step(small: DiffusionNet) -> None:
    noisy, time, audio, clip = inputs(3)
    condition = Condition(small.content(audio), small.style(clip, torch.tensor([20, 20])))
    prediction, deep = small.net.full(noisy, time, condition)
    torch.testing.assert_close(small.net.shallow(noisy, time, condition, deep), prediction)
    assert not torch.allclose(small.net.shallow(noisy + 1, time, condition, deep), prediction)


def test_tables_survive_strict_filling(small: DiffusionNet) -> None:
    state = dict(small.state_dict())
    filled = build(lambda: DiffusionNet(SMALL), state, source="test").state_dict()
    assert filled["null_pad_mask"].dtype == torch.bool
    for key, tensor in state.items():
        torch.testing.assert_close(filled[key], tensor)


def test_each_part_of_the_face_has_its_own_head() -> None:
    torch.manual_seed(0)
    net = DiffusionNet().eval()
    torch.nn.init.zeros_(net.net.decoder.lower_tail_fc[-1].weight)
    torch.nn.init.zeros_(net.net.decoder.lower_tail_fc[-1].bias)
    condition = Condition(torch.randn(1, 2, 11, 256), torch.randn(1, 256))
    expression = net.net(torch.randn(1, 2, 64), torch.tensor([1]), condition)
    assert (expression == 0).all(dim=1)[0].nonzero().flatten().tolist() == list(LOWER_FACE)


def test_the_schedule_is_the_published_one() -> None:
    bars = alpha_bars(betas(Diffusion()))
    assert bars[0] == 1
    assert bars[1000].item() == pytest.approx(4.0e-5, rel=0.05)
    steps = sampler(Diffusion())
    assert steps.times == (901, 801, 701, 601, 501, 401, 301, 201, 101, 1)
    assert steps.next_signal[-1] == 1.0


def test_no_flow_leaves_the_middle_of_the_image_nearly_where_it_is() -> None:
    # The published grid is a little too wide, by half a pixel at the edges.
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    moved = warp(ramp, torch.zeros(1, 2, 16, 16))
    difference = (moved - ramp)[..., 8:-8, 8:-8]
    assert difference.abs().max() < 1.6
    torch.testing.assert_close(difference.mean(), torch.tensor(0.0), atol=1e-4, rtol=0)


def test_flow_is_in_its_own_pixels() -> None:
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    flow = torch.zeros(1, 2, 16, 16)
    still = warp(ramp, flow)
    flow[:, 0] = 15 / 64  # one pixel of the image, whose grid spans 15 steps of the flow's
    torch.testing.assert_close((warp(ramp, flow) - still)[..., 8:-8, 8:-8], torch.ones(1, 1, 48, 48), atol=1e-4, rtol=0)
    flow = flow.roll(1, dims=1)
    torch.testing.assert_close(warp(ramp, flow)[..., 8:-8, 8:-8], still[..., 8:-8, 8:-8])


def test_a_small_renderer_makes_frames_one_by_one_or_together() -> None:
    torch.manual_seed(0)
    net = FaceGenerator(
        {"coeff_nc": 5, "layer": 1},
        {"base_nc": 4, "encoder_layer": 3, "decoder_layer": 1},
        {"base_nc": 4, "layer": 2, "num_res_blocks": 1},
        descriptor_nc=8,
        max_nc=8,
    ).eval()
    image, motion = torch.rand(3, 3, 32, 32) * 2 - 1, torch.randn(3, 5, 15)
    together = net(image, motion)
    assert together.flow.shape == (3, 2, 8, 8)
    assert together.image.shape == (3, 3, 32, 32)
    torch.testing.assert_close(together.image[1:2], net(image[1:2], motion[1:2]).image, atol=1e-5, rtol=1e-4)


def test_speech_windows_are_centred_on_every_second_feature() -> None:
    features = torch.arange(1.0, 10.0)[:, None]
    windows = speech_windows(features, 5)[..., 0]
    assert windows.tolist() == [[0, 0, 1, 2, 3], [1, 2, 3, 4, 5], [3, 4, 5, 6, 7], [5, 6, 7, 8, 9]]


@pytest.mark.parametrize(("rows", "frames"), [(0, 0), (1, 0), (2, 1), (3, 1), (828, 414)])
def test_there_is_a_frame_for_two_features(rows: int, frames: int) -> None:
    assert speech_windows(torch.zeros(rows, 7), 11).shape == (frames, 11, 7)


def test_a_style_clip_is_cut_or_padded() -> None:
    long, short = style_clip(torch.ones(30, 4), 20), style_clip(torch.ones(3, 4), 20)
    assert (long.clip.shape, long.length.tolist()) == ((1, 20, 4), [20])
    assert (short.clip.shape, short.length.tolist()) == ((1, 20, 4), [3])
    assert short.clip[0].sum(dim=1).tolist() == [4.0] * 3 + [0.0] * 17
    with pytest.raises(MethodError, match="at least one frame"):
        style_clip(torch.ones(0, 4), 20)


def test_a_short_pose_track_holds_its_last_row() -> None:
    pose = torch.arange(18.0).reshape(2, 9)
    motion = with_pose(torch.zeros(4, 64), pose)
    assert motion.shape == (4, 73)
    torch.testing.assert_close(motion[:, 64:], pose[[0, 1, 1, 1]])
    assert with_pose(torch.zeros(1, 64))[0, 64:].tolist() == pytest.approx(STATIC_POSE)
    for bad in (torch.zeros(0, 9), torch.zeros(3, 8)):
        with pytest.raises(MethodError, match=r"row of 9 values"):
            with_pose(torch.zeros(1, 64), bad)


def test_render_windows_repeat_the_ends() -> None:
    windows = render_windows(torch.arange(4.0)[:, None], 2)[:, 0]
    assert windows.tolist() == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3]]
    assert render_windows(torch.zeros(0, 73), 13).shape == (0, 73, 27)


def test_a_pose_track_is_cut_from_a_fit() -> None:
    pose = pose_of_fit(torch.arange(257.0).expand(2, -1), torch.arange(300.0, 305.0).expand(2, -1))
    assert pose[1].tolist() == [224, 225, 226, 254, 255, 256, 302, 303, 304]


def test_an_unobstructed_face_has_a_square_of_nearly_two_sides_moved_up() -> None:
    assert crop_box((400, 300, 500, 400), 1000, 1000) == (360, 250, 540, 430)
    assert crop_box((400, 300, 500, 340), 1000, 1000)[2] - crop_box((400, 300, 500, 340), 1000, 1000)[0] == 180


@pytest.mark.parametrize("face", [(10, 300, 110, 400), (890, 300, 990, 400), (400, 0, 500, 100), (400, 890, 500, 990)])
def test_a_square_that_would_leave_the_portrait_shrinks(face: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = crop_box(face, 1000, 1000)
    assert 0 <= left < right <= 1000
    assert 0 <= top < bottom <= 1000
    assert abs((right - left) - (bottom - top)) <= 1
    assert right - left < 180
    assert crop(np.zeros((1000, 1000, 3), np.uint8), face).shape == (256, 256, 3)


def test_a_face_outside_the_portrait_is_refused() -> None:
    with pytest.raises(MethodError, match="leaves the portrait of 100 x 80"):
        crop_box((200, 10, 260, 70), 80, 100)


PREDICTOR = PredictorSizes(width=16, layers=2, heads=2, audio=6, stride=4, identity=5, style=8)


def test_the_style_predictor_hears_only_what_counts() -> None:
    torch.manual_seed(0)
    net = StylePredictor(PREDICTOR).eval()
    noisy, time, identity = torch.randn(2, 8), torch.tensor([500, 20]), torch.randn(2, 5)
    speech, lengths = torch.randn(2, 16, 6), torch.tensor([16, 8])
    code = net(noisy, time, SpeechAndSpeaker(speech, lengths, identity))
    changed = speech.clone()
    changed[1, 8:] = 9.0
    torch.testing.assert_close(net(noisy, time, SpeechAndSpeaker(changed, lengths, identity)), code)
    alone = net(noisy[1:], time[1:], SpeechAndSpeaker(speech[1:, :8], lengths[1:], identity[1:]))
    torch.testing.assert_close(alone, code[1:], atol=1e-5, rtol=1e-4)
    assert net(noisy, time, SpeechAndSpeaker(speech[:, :3], torch.tensor([3, 1]), identity)).shape == (2, 8)


@pytest.mark.parametrize("part", ["noisy", "time", "speech", "identity"])
def test_the_style_code_depends_on_everything(part: str) -> None:
    torch.manual_seed(0)
    net = StylePredictor(PREDICTOR).eval()
    given = {
        "noisy": torch.randn(1, 8),
        "time": torch.tensor([300]),
        "speech": torch.randn(1, 9, 6),
        "identity": torch.randn(1, 5),
    }

    def predict(noisy: torch.Tensor, time: torch.Tensor, speech: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
        return net(noisy, time, SpeechAndSpeaker(speech, torch.tensor([9]), identity))

    assert (predict(**given | {part: given[part] + 2}) - predict(**given)).abs().max() > 1e-5


def test_the_style_predictor_samples_like_the_denoiser() -> None:
    torch.manual_seed(0)
    net = StylePredictor(PREDICTOR).eval()
    condition = SpeechAndSpeaker(torch.randn(2, 9, 6), torch.tensor([9, 9]), torch.randn(2, 5))
    code = sample(
        sampler(Diffusion(steps=5)),
        lambda latent, time: net(latent, latent.new_full((2,), time), condition),
        torch.randn(2, 8),
    )
    assert code.shape == (2, 8)
    assert code.isfinite().all()


def test_the_mouth_mesh_is_linear() -> None:
    mean, basis = torch.randn(4, 3), torch.randn(4, 3, 8)
    mesh = MouthMesh(mean, basis)
    torch.testing.assert_close(mesh(torch.zeros(2, 5, 8)), mean.flatten().expand(2, 5, -1))
    unit = torch.zeros(8)
    unit[3] = 2.0
    torch.testing.assert_close(mesh(unit), (mean + 2 * basis[..., 3]).flatten())


def test_the_lip_expert_learns_what_belongs_together() -> None:
    torch.manual_seed(0)
    sizes = Sizes(width=16, heads=2, layers=1, feed_forward=32, audio=6, motion=8, style_length=20, lower_face=(0, 1))
    expert = LipExpert(ExpertSizes(width=32, frames=5, mouth=12), sizes)
    style = StyleClip(torch.randn(32, 20, 8), torch.full((32,), 20))
    speech = torch.randn(32, 1, 6) + 0.1 * torch.randn(32, 10, 6)
    mouth = torch.cat((speech[:, ::2], speech[:, 1::2]), dim=-1)
    labels = torch.cat((torch.ones(32), torch.zeros(32)))
    optimiser = torch.optim.Adam(expert.parameters(), 3e-3)
    both = StyleClip(style.clip.repeat(2, 1, 1), style.length.repeat(2))
    for _ in range(200):
        cosine = expert(mouth.repeat(2, 1, 1), torch.cat((speech, speech.roll(1, dims=0))), both)
        loss = sync_loss(cosine, labels).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert cosine[:32].mean() > cosine[32:].mean() + 0.5


def test_the_sync_loss_is_finite_where_the_cosine_is_no_probability() -> None:
    loss = sync_loss(torch.tensor([-1.0, 0.5, 1.0]), torch.tensor([1, 1, 0]))
    assert loss.isfinite().all()
    assert loss[1].item() == pytest.approx(np.log(2))
