"""SVP's networks and guidance: style Gaussians, key points, further attention, three parts, sizes and operations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from thbench_methods.hallo.config import Config as Base
from thbench_methods.hallo.config import Sampling
from thbench_methods.hallo.networks import Hallo
from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes
from thbench_methods.nets.unet3d.guidance import Guided
from thbench_methods.nets.unet3d.reference import Reference
from thbench_methods.svp.config import MINI, PAPER, Config, Resampling, StyleSizes
from thbench_methods.svp.flops import given_of, offer, offer_of
from thbench_methods.svp.guidance import Told, Weighted, weights_of, with_weights
from thbench_methods.svp.key_points import LEFT_EYE, NOSE, RIGHT_EYE, drawn, followed, key_points_of
from thbench_methods.svp.networks import SVP, Condition, Given, Resampler, silence
from thbench_methods.svp.style import Gaussian, StyleExtractor, StyleProjection
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from thbench.accel.denoiser import Cuttable, Focusing, ReferenceReading, Repeating
from thbench.cost.offer import Denoising
from thbench.errors import UsageError

SIZES = Sizes(channels=(8, 16, 16), layers=1, heads=2, groups=4, tokens=6, audio=5, positions=8, feed_forward=2)
STYLE = StyleSizes(
    expression=7, audio=5, width=8, heads=2, layers=2, feed_forward=16, longest=6, code=4, hidden=9, tokens=3
)
BASE = Base(
    unet=SIZES,
    audio=AudioProjection(window=2, layers=2, channels=3, hidden=7, tokens=4),
    face=FaceProjection(embedding=9, tokens=2),
    sampling=Sampling(steps=4, guidance=3.5, frames=3, motion_frames=2),
    size=32,
)
PLAIN = Config(
    base=BASE,
    resampling=Resampling(features=4, channels=5, width=8, layers=2, heads=2, head=3, feed_forward=2, tokens=3),
    style=STYLE,
)
WHOLE = replace(PLAIN, base=replace(BASE, change=1.5), hierarchical=True, lowest_motion=False)
TIME = torch.tensor(499)
ALL = (Told.NULL, Told.HEARD, Told.STYLED)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(params=[PLAIN, WHOLE], ids=["v-express", "hallo"])
def config(request: pytest.FixtureRequest) -> Config:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def net(config: Config) -> SVP:
    torch.manual_seed(0)
    return SVP(config).eval()


def filled(config: Config, seed: int = 0) -> Given:
    """One clip's inputs of random numbers."""
    draw = torch.Generator().manual_seed(seed)

    def numbers(like: object) -> object:
        return torch.rand(like.shape, generator=draw) if isinstance(like, Tensor) else like

    empty = given_of(config, "cpu")
    masks = [type(level)(*map(numbers, level)) for level in empty.masks]
    return Given(*map(numbers, empty))._replace(masks=masks)


def noisy(batch: int, frames: int = 3) -> Tensor:
    one = torch.randn(1, 4, frames, 4, 4, generator=torch.Generator().manual_seed(frames))
    return one.repeat(batch, 1, 1, 1, 1)


def predicted(net: SVP, condition: Condition) -> Tensor:
    prediction: Tensor = net.denoising_unet.full(noisy(condition.batch), TIME, condition)[0]
    return prediction


def test_shapes_of_prediction_and_of_what_is_kept(net: SVP, config: Config) -> None:
    prediction, deep = net.denoising_unet.full(noisy(3), TIME, net.condition(filled(config), ALL))
    assert prediction.shape == (3, 4, 3, 4, 4)
    assert deep.shape == (3, 8, 3, 4, 4)
    assert prediction.isfinite().all()


def test_each_part_alone_is_the_part_among_others(net: SVP, config: Config) -> None:
    given = filled(config)
    together = predicted(net, net.condition(given, ALL))
    for row, part in enumerate(ALL):
        alone = predicted(net, net.condition(given, (part,)))
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("config", "name"),
    [(config, name) for config in (PLAIN, WHOLE) for name in ("audio", "codes", "key_points")]
    + [(WHOLE, "face"), (WHOLE, "region"), (WHOLE, "base")],
)
def test_parts_are_told_what_they_are_to_be_told(config: Config, name: str) -> None:
    torch.manual_seed(0)
    net, given = SVP(config).eval(), filled(config)
    other = given._replace(**{name: torch.rand_like(getattr(given, name)) + 1})
    before, after = (predicted(net, net.condition(one, ALL)) for one in (given, other))
    moved = (after - before).abs().amax(dim=(1, 3, 4))
    null, heard, styled = moved
    assert (styled > 1e-6).all()
    assert (heard > 1e-6).all() == (name != "codes")
    # The features of the past frames are made with the face, whoever reads them.
    assert (null == 0).all() or name == "face"


def test_nobody_reads_the_reference_untold(net: SVP, config: Config) -> None:
    condition = net.condition(filled(config), ALL)
    blind = replace(condition, reference=Reference({}, condition.reference.past))
    one, other = predicted(net, condition), predicted(net, blind)
    torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=1e-4)
    assert (one[1:] - other[1:]).abs().amax(dim=(1, 2, 3, 4)).min() > 1e-4


def test_a_style_of_each_frame_reaches_that_frame(net: SVP, config: Config) -> None:
    for name, module in net.denoising_unet.named_modules():
        if name.endswith("temporal_transformer"):
            nn.init.zeros_(module.proj_out.weight)
            nn.init.zeros_(module.proj_out.bias)
    given = filled(config)
    codes = given.codes.clone()
    codes[:, 1] += 1
    before, after = (predicted(net, net.condition(one, (Told.STYLED,))) for one in (given, given._replace(codes=codes)))
    moved = (after - before).abs().amax(dim=(0, 1, 3, 4))
    assert moved[1] > 1e-5
    torch.testing.assert_close(moved[[0, 2]], torch.zeros(2), atol=1e-6, rtol=0)
    constant = given._replace(codes=given.codes[:, :1])
    same = given._replace(codes=given.codes[:, :1].expand(-1, 3, -1))
    torch.testing.assert_close(*(predicted(net, net.condition(one, ALL)) for one in (constant, same)))


def test_without_key_points_the_head_is_left_alone(net: SVP, config: Config) -> None:
    given = filled(config)
    free = predicted(net, net.condition(given._replace(key_points=None), (Told.STYLED,)))
    unled = predicted(net, net.condition(given, (Told.STYLED,), guided=(False,)))
    torch.testing.assert_close(free, unled)
    assert (free - predicted(net, net.condition(given, (Told.STYLED,)))).abs().max() > 1e-4


def test_rows_in_the_wrong_order_are_refused(net: SVP, config: Config) -> None:
    with pytest.raises(ValueError, match="NULL leads"):
        net.condition(filled(config), (Told.STYLED, Told.NULL))
    two = filled(config)
    with pytest.raises(ValueError, match="2 clips"):
        net.condition(two._replace(audio=torch.cat((two.audio, two.audio))), ALL)


def test_what_is_silent_is_hallo_with_its_weights() -> None:
    torch.manual_seed(0)
    hallo, net = Hallo(WHOLE.base).eval(), SVP(replace(WHOLE, lowest_motion=True)).eval()
    for name, module in hallo.denoising_unet.named_modules():
        if "down_blocks.2.motion_modules" in name or "up_blocks.0.motion_modules" in name:
            module.runs = True
    missing, unexpected = net.load_state_dict(hallo.state_dict(), strict=False)
    assert not unexpected
    assert {key.split(".")[0] for key in missing} == {"denoising_unet", "kps_guider", "style", "style_projection"}
    assert all("_style." in key for key in missing if key.startswith("denoising_unet"))
    silence(net)
    given = filled(WHOLE)
    mine = net.condition(given, (Told.STYLED,))
    from thbench_methods.hallo.networks import Given as HalloGiven

    theirs = hallo.condition(
        HalloGiven(given.latents, given.face, given.audio, given.region, given.masks, torch.ones(3), given.base),
        guided=False,
    )
    torch.testing.assert_close(predicted(net, mine), hallo.denoising_unet.full(noisy(1), TIME, theirs)[0])


def test_the_last_layer_alone_gives_the_same_from_the_same_step(net: SVP, config: Config) -> None:
    condition = net.condition(filled(config), ALL)
    denoiser = with_weights(net.denoising_unet, weights_of(3.5, 1.5))
    assert isinstance(denoiser, Weighted)
    prediction, deep = denoiser.full(noisy(1), TIME, condition)
    torch.testing.assert_close(denoiser.shallow(noisy(1), TIME, condition, deep), prediction)


def test_guidance_is_the_stated_sum() -> None:
    class Parts:
        def full(self, z: Tensor, t: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
            return condition.clone(), z

        shallow = None

    rows = torch.tensor([[1.0], [10.0], [100.0]])
    z = torch.zeros(1, 1)
    for speech, style in ((3.5, 1.5), (2.0, 2.0), (1.0, 1.0), (1.0, 0.5), (2.0, 0.0), (0.0, 0.0)):
        weights = weights_of(speech, style)
        told = rows[[int(part) for part in weights]]
        found, _ = with_weights(Parts(), weights).full(z, torch.zeros(()), told)
        assert float(found) == pytest.approx(1 + speech * 9 + style * 90)
    assert list(weights_of(2.0, 2.0)) == [Told.NULL, Told.STYLED]
    assert list(weights_of(1.0, 1.0)) == [Told.STYLED]
    assert list(weights_of(3.5, 0.0)) == [Told.NULL, Told.HEARD]
    assert isinstance(with_weights(Parts(), weights_of(2.0, 2.0)), Guided)


def test_three_parts_can_do_what_plans_ask_for(net: SVP, config: Config) -> None:
    condition = net.condition(filled(config), ALL)
    denoiser = with_weights(net.denoising_unet, weights_of(3.5, 1.5))
    for ability in (Repeating, Cuttable, Focusing, ReferenceReading):
        assert isinstance(denoiser, ability)
    prediction, deep = denoiser.full(noisy(1), TIME, condition)
    many, kept = denoiser.repeated(condition, deep, 2)
    assert many.plain == 2
    twice = denoiser.shallow(noisy(2), TIME, many, kept)
    torch.testing.assert_close(twice, prediction.expand(2, -1, -1, -1, -1), atol=1e-5, rtol=1e-4)
    for other in (denoiser.cut(2), denoiser.decoder(), denoiser.focused(torch.ones(4, 4, dtype=torch.bool))):
        full, own = other.full(noisy(1), TIME, condition)
        torch.testing.assert_close(other.shallow(noisy(1), TIME, condition, own), full)
    places = denoiser.reference_places
    without = denoiser.without_reference(condition, places)
    assert not without.reference.image and without.reference.past


def test_the_pair_can_leave_its_first_half_out(net: SVP, config: Config) -> None:
    pair = net.condition(filled(config), (Told.NULL, Told.STYLED))
    alone = predicted(net, pair.conditional())
    torch.testing.assert_close(alone[0], predicted(net, pair)[1], atol=1e-5, rtol=1e-4)


def test_styles_read_expression_and_speech_of_any_length() -> None:
    torch.manual_seed(0)
    extractor = StyleExtractor(STYLE).eval()
    expression, audio = torch.randn(2, 9, 7), torch.randn(2, 9, 5)
    style = extractor(expression, audio)
    assert style.mean.shape == style.deviation.shape == (2, 4)
    assert (style.deviation > 0).all()
    for frames in (1, 5):
        assert extractor(expression[:, :frames], audio[:, :frames]).mean.isfinite().all()
    cut = extractor(expression[:, :6], audio[:, :6])
    torch.testing.assert_close(cut.mean, style.mean)
    assert (extractor(expression + 1, audio).mean - style.mean).abs().max() > 1e-3
    assert (extractor(expression, audio.flip(0)).mean - style.mean).abs().max() > 1e-4
    assert all(part.isfinite().all() for part in extractor(expression, torch.zeros_like(audio)))
    assert (extractor(expression.flip(1), audio.flip(1)).mean - style.mean).abs().max() > 1e-4


def test_gaussians_are_drawn_mixed_and_measured() -> None:
    one = Gaussian(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.5]]))
    other = Gaussian(torch.tensor([[4.0, 2.0]]), torch.tensor([[1.0, 1.5]]))
    noise = torch.tensor([[1.0, -1.0]])
    assert torch.equal(one.drawn(noise, 0.0), one.mean)
    assert one.drawn(noise, 2.0).tolist() == [[2.0, 1.0]]
    half = one.towards(other, torch.tensor([[0.0], [0.5], [1.0]]))
    assert half.mean.tolist() == [[0, 2], [2, 2], [4, 2]]
    assert half.deviation.tolist() == [[1, 0.5], [1, 1], [1, 1.5]]
    assert float(one.distances(other)) == pytest.approx((16 + 1) ** 0.5)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(*one), normal(0.0, 1.0)).sum()
    torch.testing.assert_close(one.divergence()[0], expected)
    assert float(Gaussian(torch.zeros(1, 3), torch.ones(1, 3)).divergence()) == 0


def test_the_prior_is_that_of_the_styles_seen() -> None:
    torch.manual_seed(0)
    extractor, noise = StyleExtractor(STYLE), torch.randn(20000, 4)
    assert torch.equal(extractor.sampled(noise).mean, noise)
    # Means lie on a line, as those of few kinds would; each style is spread about its own.
    means = 3 + torch.randn(5000, 1) * torch.tensor([[2.0, -2.0, 1.0, 0.0]])
    seen = Gaussian(means, torch.full((5000, 4), 0.3))
    extractor.keep_prior(seen)
    found = extractor.sampled(noise)
    assert not found.deviation.any()
    codes = seen.drawn(torch.randn(5000, 4))
    torch.testing.assert_close(found.mean.mean(dim=0), codes.mean(dim=0), atol=0.1, rtol=0)
    torch.testing.assert_close(found.mean.T.cov(), codes.T.cov(), atol=0.2, rtol=0)
    torch.testing.assert_close(extractor.sampled(torch.zeros(1, 4)).mean, means.mean(dim=0)[None])


def test_tokens_of_styles_and_of_sound() -> None:
    torch.manual_seed(0)
    assert StyleProjection(STYLE, 6)(torch.randn(2, 5, 4)).shape == (2, 5, 3, 6)
    resampler = Resampler(PLAIN.resampling, 6)
    features = torch.randn(2, 3, 4, 5)
    tokens = resampler(features)
    assert tokens.shape == (2, 3, 3, 6)
    torch.testing.assert_close(resampler(features[1:])[0], tokens[1], atol=1e-5, rtol=1e-4)


def test_key_points_are_eyes_and_nose() -> None:
    landmarks = torch.zeros(2, 68, 2)
    for number, point in enumerate((*RIGHT_EYE, *LEFT_EYE, NOSE)):
        landmarks[:, point] = torch.tensor([float(number), 1.0])
    assert key_points_of(landmarks)[0].tolist() == [[0.5, 1], [2.5, 1], [4, 1]]


def test_key_points_are_drawn_where_they_are() -> None:
    points = torch.tensor([[[0.25, 0.5], [0.75, 0.5], [0.5, 0.625]]])
    picture = drawn(points, 64)
    assert picture.shape == (1, 3, 64, 64)
    line = (torch.arange(64) + 0.5) / 64
    for point, channel in zip(points[0], picture[0], strict=True):
        place = torch.stack(((channel.sum(0) * line).sum(), (channel.sum(1) * line).sum())) / channel.sum()
        torch.testing.assert_close(place, point, atol=1e-3, rtol=0)
    assert drawn(points + 3, 64).max() == 0


def test_heads_are_followed_in_the_own_size() -> None:
    own = torch.tensor([[0.4, 0.5], [0.6, 0.5], [0.5, 0.6]])
    theirs = torch.tensor([[0.1, 0.2], [0.5, 0.2], [0.3, 0.4]])
    track = torch.stack((theirs, theirs + torch.tensor([0.2, 0.0])))
    moved = followed(track, own)
    torch.testing.assert_close(moved[0], own)
    torch.testing.assert_close(moved[1], own + torch.tensor([0.1, 0.0]))


def test_paper_sizes() -> None:
    with torch.device("meta"):
        net = SVP(PAPER)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    unet = net.denoising_unet
    style = sum(p.numel() for name, p in unet.named_parameters() if "_style." in name)
    assert not any("audio_modules" in name for name in counts)
    # Queries and outputs are as wide as the block, keys and values are made of tokens of 768.
    widths = [320] * 5 + [640] * 5 + [1280] * 6
    assert style == sum(2 * w * w + 2 * 768 * w + w + 2 * w for w in widths)
    # EchoMimic's denoising network has the same skeleton, with audio tokens of 384 values.
    assert counts["denoising_unet"] - style == 1_303_145_604 + sum(2 * (768 - 384) * w for w in widths)
    assert counts["reference_unet"] == 859_508_800
    assert counts["kps_guider"] == sum(
        inputs * outputs * 9 + outputs
        for inputs, outputs in ((3, 16), (16, 16), (16, 32), (32, 32), (32, 96), (96, 96), (96, 256), (256, 320))
    )
    assert counts["style_projection"] == 257 * 768 + 769 * 768 + 769 * 16 * 768 + 2 * 768


def test_mini_is_hallo_with_style_and_below_eight_megabytes() -> None:
    with torch.device("meta"):
        net, hallo = SVP(MINI), Hallo(MINI.base)
    state, base = net.state_dict(), hallo.state_dict()
    assert all(state[key].shape == value.shape for key, value in base.items())
    assert sum(p.numel() for p in net.parameters()) * 2 < 7.9e6


def crossed(images: int, tokens: int, values: int) -> int:
    """Operations of the cross-attentions of a 512 px UNet to tokens of each image."""
    levels = ((320, 64, 5), (640, 32, 5), (1280, 16, 5), (1280, 8, 1))
    return images * sum(
        count * (4 * side**2 * width**2 + 4 * tokens * values * width + 4 * side**2 * tokens * width)
        for width, side, count in levels
    )


def operations(found: Denoising) -> int:
    """Operations of one step."""
    with FlopCounterMode(display=False) as counter:
        found.denoiser.full(found.noise, torch.empty((), device="meta"), found.condition)
    return counter.get_total_flops()


def test_operations_are_echomimics_but_for_what_is_read() -> None:
    """LightningCP, Table 1: EchoMimic takes 965.19 TFLOP in 30 guided steps of 12 frames at 512 px, without past ones.

    It reads 50 audio tokens of 384 values where SVP reads 5 of 768, and 16 of the style.
    """
    sampling = replace(PAPER.base.sampling, frames=12, motion_frames=0)
    two = replace(PAPER, base=replace(PAPER.base, sampling=sampling), style_scale=sampling.guidance)
    found = offer_of(two).denoising
    assert found is not None and found.condition.batch == 2
    changed = crossed(24, 5, 768) + crossed(24, 16, 768) - crossed(24, 50, 384)
    assert operations(found) - changed == pytest.approx(965.19e12 / 30, rel=1e-4)


@pytest.mark.parametrize(("preset", "parts", "step"), [("mini", 2, None), ("paper", 3, 67.549e12)])
def test_operations_of_a_step(preset: str, parts: int, step: float | None) -> None:
    found = offer(preset).denoising
    assert found is not None and found.condition.batch == parts
    counted = operations(found)
    assert counted > 0 if step is None else counted == pytest.approx(step, rel=1e-4)


def test_operations_grow_with_parts() -> None:
    three, two = (operations(offer_of(replace(PLAIN, style_scale=scale)).denoising) for scale in (1.5, 3.5))
    assert 1.4 < three / two < 1.6
    with pytest.raises(UsageError, match="papr"):
        offer("papr")
