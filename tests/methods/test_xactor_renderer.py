"""X-Actor's stage 2: motion encoder, face crops, the video generator and how it begins from Hallo's weights."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from thbench_methods.hallo.config import Config as HalloConfig
from thbench_methods.hallo.networks import AudioTransformer, Given, Hallo, Masks
from thbench_methods.nets.unet3d.config import AudioProjection, Sizes
from thbench_methods.nets.unet3d.guidance import Guided
from thbench_methods.nets.unet3d.latents import Latents
from thbench_methods.nets.unet3d.unet import Place
from thbench_methods.xactor.config import MINI, PAPER, Config, Encoder, Renderer
from thbench_methods.xactor.crop import REACH, boxes_of, crop_boxes, cropped
from thbench_methods.xactor.encoder import NEUTRAL, MotionEncoder
from thbench_methods.xactor.networks import Acted, Rendering
from thbench_methods.xactor.renderer import ActingModule, Condition, Portrait, VideoGenerator
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

SMALL = Encoder(
    side=32,
    stem=4,
    widths=(8, 8),
    hourglass=2,
    maps=4,
    heads=2,
    attention=16,
    feed_forward=1,
    groups=4,
    motion=8,
    placed=4,
    tokens=4,
)
UNET = Sizes(channels=(8, 16, 16), layers=1, heads=2, groups=4, tokens=5, positions=8)
TINY = Config(encoder=SMALL, renderer=Renderer(unet=UNET, frames=4, overlap=1))
LOCATED = replace(TINY, renderer=replace(TINY.renderer, locator=(4, 5, 6, 7)))
CHANGING = replace(LOCATED, change=2.0)
TIME = torch.tensor(499)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def randomised(net: torch.nn.Module) -> None:
    """Open what begins as the identity."""
    for values in net.parameters():
        if not values.any():
            values.data.normal_(0, 0.3)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def encoder() -> MotionEncoder:
    torch.manual_seed(0)
    net = MotionEncoder(SMALL).eval()
    randomised(net)
    # Behind the one map is a ReLU without a norm.
    net.one.bias.fill_(1.0)
    return net


@pytest.fixture
def video() -> VideoGenerator:
    torch.manual_seed(0)
    return VideoGenerator(LOCATED).eval()


def portrait(seed: int = 0, lit: bool = True) -> Portrait:
    return Portrait(
        draw(1, 4, 4, 4, seed=seed),
        draw(1, 5, seed=seed + 1),
        draw(1, 4, 2, seed=seed + 2),
        draw(1, 3, 32, 32, seed=seed + 3).sigmoid() if lit else None,
    )


def tokens(frames: int = 3, seed: int = 9) -> Tensor:
    return draw(1, frames, 4, 2, seed=seed)


def noisy(frames: int = 3, batch: int = 1) -> Tensor:
    return draw(1, 4, frames, 4, 4, seed=5).repeat(batch, 1, 1, 1, 1)


def test_faces_to_motion_and_motion_to_tokens(encoder: MotionEncoder) -> None:
    faces = draw(3, 3, 32, 32).tanh()
    motion = encoder(faces)
    assert motion.shape == (3, 8)
    torch.testing.assert_close(encoder(faces[1:2]), motion[1:2], atol=1e-5, rtol=1e-4)
    assert (motion[0] - motion[1]).abs().max() > 1e-3
    made = encoder.tokens(motion)
    assert made.shape == (3, 4, 2)
    torch.testing.assert_close(encoder.tokens(motion[None])[0], made)
    # Unless another place is stated, the head is where the portrait's is.
    assert NEUTRAL == (0, 0, 1)
    neutral = torch.tensor(NEUTRAL).expand(3, -1)
    assert torch.equal(encoder.tokens(motion, neutral), made)
    for value in torch.eye(3):
        assert (encoder.tokens(motion, neutral + value) - made).abs().amax(dim=(1, 2)).min() > 1e-4


def test_the_self_attentions_of_the_encoder_begin_as_the_identity_and_see_the_whole_map() -> None:
    torch.manual_seed(0)
    attention = MotionEncoder(SMALL).attention1.eval()
    maps = draw(1, 8, 16, 16)
    assert torch.equal(attention(maps), maps)
    randomised(attention)
    before = attention(maps)
    other = maps.clone()
    other[0, 0, 2, 3] += 5
    assert ((attention(other) - before).abs().amax(dim=(0, 1)) > 0).all()


def test_patches_come_back_where_they_were() -> None:
    """With every other part off, a token that holds its patch gives it back at its place."""
    attention = MotionEncoder(replace(SMALL, attention=32)).attention2.eval()
    for part in (attention.attention.to_out[0], attention.ff.net[2]):
        torch.nn.init.zeros_(part.weight)
        torch.nn.init.zeros_(part.bias)
    attention.positions.zero_()
    # Channel c of cell (r, q) of a patch of 2 x 2 is value 8 (2 r + q) + c of its token.
    torch.nn.init.zeros_(attention.patches.weight)
    torch.nn.init.zeros_(attention.patches.bias)
    for cell in range(4):
        for channel in range(8):
            attention.patches.weight.data[8 * cell + channel, channel, cell // 2, cell % 2] = 1
    torch.nn.init.eye_(attention.proj_out.weight)
    maps = draw(2, 8, 8, 8)
    torch.testing.assert_close(attention(maps), maps + attention.norm(maps), atol=1e-5, rtol=1e-5)


def test_the_published_sizes_of_the_encoder_and_of_the_renderer() -> None:
    with torch.device("meta"):
        net = Rendering(PAPER).to("meta")
        assert net.encoder(torch.empty(2, 3, 224, 224)).shape == (2, 512)
        assert net.encoder.tokens(torch.empty(2, 512)).shape == (2, 32, 16)
    # Stable Diffusion 1.5's UNet has 859 520 964 parameters, of which the reference network lacks the output.
    assert _count(net.video.reference_unet) == 859_520_964 - 320 * 2 - (320 * 9 * 4 + 4)
    assert net.video.face_locator is None
    assert net.video.imageproj is None
    acting = [p.numel() for name, p in net.video.denoising_unet.named_parameters() if "acting_modules" in name]
    motion = [p.numel() for name, p in net.video.denoising_unet.named_parameters() if "motion_modules" in name]
    assert _count(net.video.denoising_unet) == 859_520_964 + sum(acting) + sum(motion)
    # Two attentions to tokens of 16 values, or to the frames, a gated feed-forward, three norms, linear in and out.
    places = [320] * 5 + [640] * 5 + [1280] * 5 + [1280] * 5 + [1280]
    assert sum(acting) == sum(
        2 * (2 * c * c + 2 * 16 * c + c) + 12 * c * c + 9 * c + 8 * c + 2 * (c * c + c) for c in places
    )
    assert sum(motion) == sum(2 * (4 * c * c + c) + 12 * c * c + 9 * c + 8 * c + 2 * (c * c + c) for c in places)


def _count(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_all_of_the_mini_preset_is_below_8_mb() -> None:
    from thbench_methods.nets.vae.autoencoder import FILE as VAE_FILE

    with torch.device("meta"):
        nets = (Acted(MINI), Rendering(MINI))
    numbers = sum(value.numel() for net in nets for value in net.state_dict().values())
    assert 2 * numbers + 100_000 + VAE_FILE.stat().st_size < 8e6


def test_motion_is_normalised_and_restored() -> None:
    net = Acted(replace(TINY, actor=MINI.actor))
    net.mean.copy_(draw(8))
    net.std.copy_(draw(8, seed=1).abs() + 0.5)
    motion = draw(4, 8, seed=2)
    torch.testing.assert_close(net.normalised(motion)[0], (motion[0] - net.mean) / net.std)
    torch.testing.assert_close(net.restored(net.normalised(motion)), motion)


def test_operations_of_an_acting_module() -> None:
    sizes, token, images, side, tokens = Sizes(heads=2, groups=4, feed_forward=3), 6, 5, 7, 11
    place = Place("acting_modules.0", 16, 16, 0)
    with torch.device("meta"):
        module = ActingModule(place, token, sizes)
        call = Sized(torch.empty(images, tokens, token))
        with FlopCounterMode(display=False) as counted:
            module(torch.empty(images, 16, side, side), call)  # type: ignore[arg-type]
    pixels, width = side * side, 16
    ends = 2 * pixels * width**2
    attention = 2 * pixels * width**2 + 2 * tokens * token * width + 2 * pixels * tokens * width
    feed_forward = pixels * 3 * width * 3 * width
    assert counted.get_total_flops() == 2 * images * (ends + 2 * attention + feed_forward)


class Sized(NamedTuple):
    """What an acting module wants to know of a pass."""

    acting: Tensor
    focus: None = None


def test_portraits_sit_once_and_are_moved_window_by_window(video: VideoGenerator) -> None:
    sitting = video.sit(portrait(), guided=True)
    told = video.moved(sitting, tokens())
    assert told.acting.shape == (2, 3, 4, 2)
    assert torch.equal(told.acting[0], portrait().tokens.expand(3, -1, -1))
    assert torch.equal(told.acting[1], tokens()[0])
    assert not told.locator[0].any()
    torch.testing.assert_close(told.appearance[0, 0], torch.zeros(5))
    made, deep = Guided(video.denoising_unet, 2.5).full(noisy(), TIME, told)
    assert made.shape == (1, 4, 3, 4, 4)
    assert deep.shape == (2, 8, 3, 4, 4)


def test_without_guidance_the_conditional_half_is_run_alone(video: VideoGenerator) -> None:
    pair = video.denoising_unet.full(noisy(batch=2), TIME, video.moved(video.sit(portrait(), guided=True), tokens()))[0]
    alone = video.denoising_unet.full(noisy(), TIME, video.moved(video.sit(portrait(), guided=False), tokens()))[0]
    torch.testing.assert_close(alone[0], pair[1], atol=1e-5, rtol=1e-4)
    half = video.moved(video.sit(portrait(), guided=True), tokens()).conditional()
    torch.testing.assert_close(video.denoising_unet.full(noisy(), TIME, half)[0], alone, atol=1e-5, rtol=1e-4)
    assert (pair[0] - pair[1]).abs().max() > 1e-4


def test_the_unconditional_half_sees_nothing_of_the_portrait_but_its_own_motion(video: VideoGenerator) -> None:
    def predicted(given: Portrait) -> Tensor:
        return video.denoising_unet.full(noisy(batch=2), TIME, video.moved(video.sit(given, guided=True), tokens()))[0]

    one, other = predicted(portrait()), predicted(portrait(40)._replace(tokens=portrait().tokens))
    torch.testing.assert_close(one[0], other[0])
    assert (one[1] - other[1]).abs().max() > 1e-4
    acted = predicted(portrait()._replace(tokens=portrait(40).tokens))
    assert (one[0] - acted[0]).abs().max() > 1e-5
    assert torch.equal(one[1], acted[1])


@pytest.mark.parametrize("part", ["appearance", "acting", "locator", "reference"])
def test_every_condition_matters_to_every_frame(video: VideoGenerator, part: str) -> None:
    told = video.moved(video.sit(portrait(), guided=False), tokens())
    value = getattr(told, part)
    changed = {k: v + 1 for k, v in value.items()} if part == "reference" else value + 1
    before, after = (video.denoising_unet.full(noisy(), TIME, x)[0] for x in (told, replace(told, **{part: changed})))
    assert ((after - before).abs().amax(dim=(1, 3, 4)) > 1e-6).all()


@pytest.mark.parametrize("config", [CHANGING, replace(TINY, change=2.0)], ids=["located", "without-locator"])
def test_what_changes_are_of_is_seen_in_every_frame_and_by_the_conditional_half_alone(config: Config) -> None:
    torch.manual_seed(0)
    net = VideoGenerator(config).eval()
    own = portrait(lit=config is CHANGING)

    def predicted() -> Tensor:
        told = net.moved(net.sit(own, guided=True), tokens())
        assert told.locator is not None
        assert told.locator.shape == (2, 8, 1, 4, 4)
        return net.denoising_unet.full(noisy(batch=2), TIME, told)[0]

    before = predicted()
    assert net.base is not None
    # The reference network sees the portrait as before.
    net.base.weight.add_(0.1)
    changed = (predicted() - before).abs().amax(dim=(1, 3, 4)) > 1e-6
    assert changed.tolist() == [[False] * 3, [True] * 3]


def test_the_portrait_adds_its_latents_where_changes_are_denoised_and_its_lit_face_where_there_is_a_locator() -> None:
    latents, lit = draw(2, 4, 4, 4), draw(2, 3, 32, 32, seed=1).sigmoid()
    torch.manual_seed(0)
    both = VideoGenerator(CHANGING).eval()
    assert both.base is not None
    assert both.face_locator is not None
    face, base = both.face_locator(lit[:, :, None]), both.base(latents)[:, :, None]
    assert torch.equal(both.located(latents, lit), face + base)
    assert torch.equal(both.located(latents, None), base)
    located = VideoGenerator(LOCATED).eval()
    assert located.base is None
    assert torch.equal(located.located(latents, lit), located.located(latents + 1, lit))
    assert VideoGenerator(TINY).located(latents, lit) is None


def test_motion_of_a_frame_reaches_the_others_through_the_motion_modules_alone(video: VideoGenerator) -> None:
    told = video.moved(video.sit(portrait(), guided=False), tokens())
    other = replace(told, acting=told.acting + torch.tensor([0.0, 1.0, 0.0])[None, :, None, None])

    def changed() -> list[bool]:
        before, after = (video.denoising_unet.full(noisy(), TIME, x)[0] for x in (told, other))
        return [bool(frame) for frame in (after - before)[0].abs().amax(dim=(0, 2, 3)) > 1e-6]

    assert changed() == [True, True, True]
    for name, module in video.denoising_unet.named_modules():
        if name.split(".")[-2:-1] == ["motion_modules"]:
            module.runs = False
    assert changed() == [False, True, False]


def test_the_last_layer_alone_gives_the_same_from_the_same_step(video: VideoGenerator) -> None:
    told = video.moved(video.sit(portrait(), guided=False), tokens())
    prediction, deep = video.denoising_unet.full(noisy(), TIME, told)
    torch.testing.assert_close(video.denoising_unet.shallow(noisy(), TIME, told, deep), prediction)
    view = video.denoising_unet.focused(torch.ones(4, 4, dtype=torch.bool))
    whole, kept = view.full(noisy(), TIME, told)
    torch.testing.assert_close(whole, prediction)
    torch.testing.assert_close(view.shallow(noisy(), TIME, told, kept), prediction)


def test_repeated_conditions_are_those_of_repeated_rows(video: VideoGenerator) -> None:
    told = replace(video.moved(video.sit(portrait(), guided=True), tokens()), guided=False, plain=1)
    prediction = video.denoising_unet.full(noisy(batch=2), TIME, told)[0]
    twice = video.denoising_unet.full(noisy(batch=4), TIME, told.repeated(2))[0]
    torch.testing.assert_close(twice, prediction.repeat_interleave(2, dim=0), atol=1e-5, rtol=1e-4)


def test_without_locator_and_projection_as_published() -> None:
    torch.manual_seed(0)
    net = VideoGenerator(TINY).eval()
    told = net.moved(net.sit(portrait(lit=False), guided=True), tokens())
    assert told.locator is None
    assert torch.equal(told.appearance[1, 0], portrait().embedding[0])
    assert net.denoising_unet.full(noisy(batch=2), TIME, told)[0].shape == (2, 4, 3, 4, 4)


def test_hallos_weights_fit_and_give_hallos_prediction() -> None:
    """What is not Hallo's begins as the identity; so does what hears there, when it does not run, and is left out."""
    from thbench_methods.xactor.train import fresh_rendering

    torch.manual_seed(0)
    sizes = MINI.renderer
    assert sizes.face is not None
    hallo = Hallo(
        HalloConfig(
            unet=replace(sizes.unet, audio=32, idle=False),
            audio=AudioProjection(window=5, layers=4, channels=96, hidden=64, tokens=8),
            face=sizes.face,
            size=MINI.size,
            vae=MINI.vae,
            packing=MINI.packing,
            components=MINI.components,
            change=MINI.change,
            locator=sizes.locator,
            locator_sees_portrait=True,
        )
    ).eval()
    for module in hallo.modules():
        if isinstance(module, AudioTransformer):
            module.runs = False
    net, taken = fresh_rendering(MINI, hallo.state_dict())
    net.eval()
    own = dict(net.video.named_parameters())
    assert {name for name in own if name not in taken} == {name for name in own if ".acting_modules." in name}
    left = {name for name in hallo.state_dict() if name not in taken}
    assert left == {name for name in left if ".audio_modules." in name or name.startswith("audioproj.")}
    channels = sizes.unet.latent
    latents, face, lit = draw(1, channels, 8, 8), draw(1, 128, seed=1), draw(1, 3, 128, 128, seed=2).sigmoid()
    masks = [Masks(*(torch.ones(3, side * side),) * 3) for side in (8, 4, 2)]
    theirs = hallo.condition(
        Given(latents, face, draw(1, 3, 5, 4, 96, seed=3), lit, masks, torch.ones(3), latents[:, :, None]), guided=False
    )
    sitting = net.video.sit(Portrait(latents, face, draw(1, 2, 16, seed=4), lit), guided=False)
    z = draw(1, channels, 3, 8, 8, seed=5)
    expected = hallo.denoising_unet.full(z, TIME, theirs)[0]
    told = net.video.moved(sitting, draw(1, 3, 2, 16, seed=6))
    made = net.video.denoising_unet.full(z, TIME, told)[0]
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-4)


def test_boxes_and_crops() -> None:
    corners = np.array([[[10.0, 20.0], [30.0, 30.0]], [[20.0, 20.0], [40.0, 60.0]]])
    boxes = boxes_of(corners)
    assert boxes.tolist() == [[25, 20, 20], [40, 30, 40]]
    crops = crop_boxes(boxes, 128)
    assert crops[:, 2].tolist() == [REACH * 20] * 2
    assert 25 < crops[0, 0] < crops[1, 0] < 40
    still = np.repeat(np.array([[5.0, 120.0, 40.0]]), 9, axis=0)
    assert crop_boxes(still, 128)[4].tolist() == pytest.approx([28, 100, 56])
    large = np.array([[64.0, 64.0, 500.0]])
    assert crop_boxes(large, 128)[0].tolist() == [64, 64, 128]


def test_a_crop_is_the_part_of_the_picture() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(cropped(picture, np.array([20.0, 40.0, 16.0]), 16), picture[12:28, 32:48])
    # A ramp keeps its values when it shrinks: the middle of a cell is that of the pixels it covers.
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[:, None, None], 64, axis=1).repeat(3, axis=2)
    small = cropped(ramp, np.array([32.0, 32.0, 32.0]), 8).astype(float)
    assert np.abs(small[:, 4, 0] - (16 + 4 * np.arange(8) + 1.5)).max() <= 0.5


def test_the_paper_preset_denoises_latents_themselves() -> None:
    form = Latents(PAPER)
    latents, clips = draw(2, 4, 64, 64), draw(1, 4, 3, 64, 64)
    assert torch.equal(form.known(latents), latents)
    assert torch.equal(form.restored(latents), latents)
    assert form.changes(clips, latents[:1, :, None]) is clips
    assert form.changed(clips, latents[:1, :, None]) is clips
    with pytest.raises(ValueError, match="all channels are kept"):
        form.keep(latents)


def test_conditions_know_their_rows() -> None:
    condition = Condition(draw(2, 1, 5), draw(2, 3, 4, 2), {"a": draw(2, 16, 8), "b": draw(2, 16, 8)})
    assert condition.batch == 2
    assert set(condition.without_reference(["a"]).reference) == {"b"}
