"""FLAP's networks and edits: groups of coefficients, attention to head and face, front end, sizes, operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_svp import crossed, operations
from thbench_methods.common import Noise
from thbench_methods.flap.coefficients import FLOOR, LIDS, ORDER, Standard, coefficients, expressions
from thbench_methods.flap.config import MINI, PAPER, Config, FrontEnd, Layout, Tokens
from thbench_methods.flap.editing import BLINK_SECONDS, CURVES, Edits, blink_curve, blinking, preset_track
from thbench_methods.flap.flops import given_of, offer, offer_of
from thbench_methods.flap.front_end import AudioToHead, Speech, alpha_bars
from thbench_methods.flap.front_end import sampler as front_end_sampler
from thbench_methods.flap.networks import FLAP, Condition, Given, silence
from thbench_methods.flap.schedule import sampler, scaled_linear_bars, signal, target
from thbench_methods.flap.spec import PRESETS
from thbench_methods.flap.train import FACE_NOISE
from thbench_methods.hallo.config import Config as Base
from thbench_methods.hallo.config import Sampling
from thbench_methods.nets.unet3d.config import FaceProjection, Sizes
from thbench_methods.nets.unet3d.guidance import Guided
from thbench_methods.nets.unet3d.reference import Reference
from thbench_methods.nets.unet3d.schedule import Diffusion
from torch import Tensor, nn

from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.errors import UsageError
from thbench.metrics.blink import blink_values

SIZES = Sizes(
    channels=(8, 16, 16), layers=1, heads=2, groups=4, tokens=6, audio=5, positions=8, feed_forward=2, idle=False
)
LAYOUT = Layout(rotation=3, eyes=1, jaw=1, lids=2, expression=2)
BASE = Base(
    unet=SIZES,
    face=FaceProjection(embedding=9, tokens=2),
    sampling=Sampling(steps=4, guidance=3.0, frames=3, motion_frames=2),
    size=32,
    locator=(4, 4, 4, 4),
)
FRONT_END = FrontEnd(audio=5, width=8, heads=2, layers=2, feed_forward=16, window=6, past=2, steps=3, train_steps=50)
BARE = Config(base=BASE, layout=LAYOUT, head=Tokens(7, 2), face=Tokens(7, 3), front_end=FRONT_END)
TOLD = replace(
    BARE, base=replace(BASE, change=1.5), told=True, differences=True, lowest_motion=False, predicts="velocity"
)
TIME = torch.tensor(499)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(params=[BARE, TOLD], ids=["paper", "told"])
def config(request: pytest.FixtureRequest) -> Config:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def net(config: Config) -> FLAP:
    torch.manual_seed(0)
    return FLAP(config).eval()


def filled(config: Config, seed: int = 0) -> Given:
    draw = torch.Generator().manual_seed(seed)
    return Given(*(x if x is None else torch.rand(x.shape, generator=draw) for x in given_of(config, "cpu")))


def noisy(batch: int, frames: int = 3) -> Tensor:
    one = torch.randn(1, 4, frames, 4, 4, generator=torch.Generator().manual_seed(frames))
    return one.repeat(batch, 1, 1, 1, 1)


def predicted(net: FLAP, condition: Condition) -> Tensor:
    prediction: Tensor = net.denoising_unet.full(noisy(condition.batch), TIME, condition)[0]
    return prediction


def still_in_time(net: FLAP) -> None:
    """Let frames know nothing of each other."""
    for name, module in net.denoising_unet.named_modules():
        if name.endswith("temporal_transformer"):
            nn.init.zeros_(module.proj_out.weight)
            nn.init.zeros_(module.proj_out.bias)


def test_shapes_and_halves(net: FLAP, config: Config) -> None:
    given = filled(config)
    prediction, deep = net.denoising_unet.full(noisy(2), TIME, net.condition(given))
    assert prediction.shape == (2, 4, 3, 4, 4)
    assert deep.shape == (2, 8, 3, 4, 4)
    led = predicted(net, net.condition(given, guided=False))
    torch.testing.assert_close(led[0], prediction[1], atol=1e-5, rtol=1e-4)
    alone = predicted(net, net.condition(given).conditional())
    torch.testing.assert_close(alone, led, atol=1e-5, rtol=1e-4)
    null = predicted(net, net.condition(given, guided=False, plain=1))
    torch.testing.assert_close(null[0], prediction[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("group", ["head", "face"])
def test_coefficients_of_a_frame_reach_that_frame(net: FLAP, config: Config, group: str) -> None:
    still_in_time(net)
    given = filled(config)
    values = given.values.clone()
    values[:, 1, slice(0, 3) if group == "head" else slice(3, None)] += 0.5
    before, after = (predicted(net, net.condition(one)) for one in (given, given._replace(values=values)))
    moved = (after - before).abs().amax(dim=(1, 3, 4))
    torch.testing.assert_close(moved[0], torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(moved[1, [0, 2]], torch.zeros(2), atol=1e-6, rtol=0)
    assert moved[1, 1] > 1e-5


def test_each_group_goes_its_own_way(net: FLAP, config: Config) -> None:
    given = filled(config)
    before = net.condition(given)
    for first, last, changed, same in ((0, 3, "head", "face"), (3, None, "face", "head")):
        values = given.values.clone()
        values[..., first:last] += 1
        after = net.condition(given._replace(values=values))
        assert not torch.equal(getattr(after, changed), getattr(before, changed))
        assert torch.equal(getattr(after, same), getattr(before, same))


def test_a_silent_face_attention_is_none_at_all(net: FLAP, config: Config) -> None:
    given = filled(config)
    silence(net)
    with_face, without = (predicted(net, net.condition(given, faces=faces)) for faces in (True, False))
    torch.testing.assert_close(with_face, without)


def test_the_reference_reaches_the_told_half_only(net: FLAP, config: Config) -> None:
    condition = net.condition(filled(config))
    blind = replace(condition, reference=Reference({}, condition.reference.past))
    one, other = predicted(net, condition), predicted(net, blind)
    torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=1e-4)
    assert (one[1] - other[1]).abs().max() > 1e-4


def test_who_and_where_are_told_where_the_base_tells_them() -> None:
    torch.manual_seed(0)
    net, given = FLAP(TOLD).eval(), filled(TOLD)
    assert net.condition(given).head.shape == (2, 3, 2 + 2, 6)
    before = predicted(net, net.condition(given))
    for name in ("identity", "region", "base"):
        after = predicted(net, net.condition(given._replace(**{name: getattr(given, name) + 1})))
        assert (after[1] - before[1]).abs().max() > 1e-5
    assert FLAP(BARE).condition(filled(BARE)).head.shape == (2, 3, 2, 6)


def test_differences_from_the_portrait_are_told() -> None:
    net = FLAP(TOLD)
    net.standard.mean.fill_(1.0)
    net.standard.deviation.fill_(2.0)
    net.standard.change.fill_(0.5)
    values, own = torch.arange(9.0), torch.ones(9)
    head, face = net.told(values, own)
    torch.testing.assert_close(head, torch.cat(((values[:3] - 1) / 2, (values[:3] - 1) / 0.5)))
    torch.testing.assert_close(face, torch.cat(((values[3:] - 1) / 2, (values[3:] - 1) / 0.5)))
    assert FLAP(BARE).told(values, own)[0].shape == (3,)


def test_the_last_layer_alone_gives_the_same_from_the_same_step(net: FLAP, config: Config) -> None:
    condition = net.condition(filled(config))
    denoiser = Guided(net.denoising_unet, 3.0)
    prediction, deep = denoiser.full(noisy(1), TIME, condition)
    torch.testing.assert_close(denoiser.shallow(noisy(1), TIME, condition, deep), prediction)
    many, kept = denoiser.repeated(condition, deep, 2)
    assert many.plain == 2
    torch.testing.assert_close(
        denoiser.shallow(noisy(2), TIME, many, kept), prediction.expand(2, -1, -1, -1, -1), atol=1e-5, rtol=1e-4
    )
    for other in (denoiser.cut(2), denoiser.decoder(), denoiser.focused(torch.ones(4, 4, dtype=torch.bool))):
        full, own = other.full(noisy(1), TIME, condition)
        torch.testing.assert_close(other.shallow(noisy(1), TIME, condition, own), full)


def test_groups_of_coefficients() -> None:
    assert (PAPER.layout.total, PAPER.layout.head, PAPER.layout.face) == (120, 3, 117)
    assert (MINI.layout.total, MINI.layout.head) == (56, 3)
    assert replace(PAPER.layout, translation=3).total == 123
    places = range(*MINI.layout.lid_places.indices(MINI.layout.total))
    assert [EXPRESSIONS[ORDER[place - 3]] for place in places] == list(LIDS)
    assert sorted(ORDER) == list(range(len(EXPRESSIONS)))
    degrees, expression = np.array([[90.0, 0.0, -180.0]]), np.random.default_rng(0).random((1, 53))
    values = coefficients(degrees, expression)
    torch.testing.assert_close(values[0, :3], torch.tensor([np.pi / 2, 0.0, -np.pi], dtype=torch.float32))
    torch.testing.assert_close(expressions(values, MINI.layout), torch.from_numpy(expression).float())


def test_coefficients_are_standardised_by_what_was_seen() -> None:
    standard = Standard(LAYOUT)
    values = 3 + 2 * torch.randn(50, 40, 9)
    standard.keep(values)
    normal = standard.normal(values)
    torch.testing.assert_close(normal.flatten(0, 1).mean(0), torch.zeros(9), atol=1e-3, rtol=0)
    torch.testing.assert_close(normal.flatten(0, 1).std(0), torch.ones(9), atol=1e-3, rtol=0)
    torch.testing.assert_close(standard.restored(normal), values)
    # The difference of two independent numbers has root 2 times their deviation.
    torch.testing.assert_close(standard.change, torch.full((9,), 2 * 2**0.5), atol=0.5, rtol=0)


def test_what_hardly_moves_is_not_blown_up() -> None:
    standard = Standard(LAYOUT)
    values = torch.zeros(5, 40, 9)
    values[..., 0] = 0.01 * torch.randn(5, 40)
    standard.keep(values)
    assert torch.equal(standard.deviation, torch.full((9,), FLOOR))
    assert torch.equal(standard.change, torch.full((9,), FLOOR))
    wrong = values[0, 0] + FACE_NOISE
    assert standard.normal(wrong).abs().max() < 2
    assert standard.differing(wrong, values[0, 0]).abs().max() < 2


def test_the_front_end_makes_clips_of_any_length() -> None:
    torch.manual_seed(0)
    net = AudioToHead(FRONT_END, LAYOUT).eval()
    draws: list[int] = []

    def noise(number: int) -> Tensor:
        draws.append(number)
        return Noise(1).normal((1, 6, 9), number)

    audio, own = torch.randn(14, 5), torch.randn(9)
    track = net.track(audio, own, noise)
    assert track.shape == (14, 9)
    assert draws == [0, 1, 2]
    assert torch.equal(track, net.track(audio, own, noise))
    assert net.track(audio[:1], own, noise).shape == (1, 9)
    assert not torch.equal(track, net.track(audio + 1, own, noise))
    assert not torch.equal(track, net.track(audio, own + 1, noise))
    # A later window goes on from the earlier one: another noise in the first changes the second.
    other = net.track(audio, own, lambda number: noise(number) + (number == 0))
    assert not torch.equal(track[6:], other[6:])


def test_the_front_end_hears_each_frame_and_makes_groups_apart() -> None:
    torch.manual_seed(0)
    net = AudioToHead(FRONT_END, LAYOUT).eval()
    speech = Speech(torch.randn(2, 8, 5), torch.randn(2, 2, 9), torch.randn(2, 9))
    noise, time = torch.randn(2, 6, 9), torch.tensor([3, 40])
    made = net(noise, time, speech)
    assert made.shape == (2, 6, 9)
    for index in range(2):
        alone = net(noise[index : index + 1], time[index : index + 1], Speech(*(x[index : index + 1] for x in speech)))
        torch.testing.assert_close(alone[0], made[index], atol=1e-5, rtol=1e-4)
    nn.init.zeros_(net.head.weight)
    nn.init.zeros_(net.head.bias)
    other = net(noise, time, speech)
    assert not other[..., :3].any()
    assert torch.equal(other[..., 3:], made[..., 3:])


def test_clean_predictions_are_reached() -> None:
    bars = alpha_bars(1000)
    assert (bars.diff() <= 0).all()
    assert bars[0] > 0.999 and bars[-1] < 1e-4
    schedule = front_end_sampler(PAPER.front_end, 50)
    assert schedule.times[0] == 999 and len(schedule.times) == 50
    clean, latent = torch.randn(4, 5), torch.randn(4, 5)
    for step in range(50):
        latent = schedule.step(step, latent, clean)
    torch.testing.assert_close(latent, clean, atol=1e-4, rtol=0)


def test_noise_is_predicted_as_in_the_paper() -> None:
    bars = scaled_linear_bars(Diffusion())
    assert bars[0] == pytest.approx(1 - 0.00085)
    assert bars[-1] == pytest.approx(0.00466, abs=1e-4)
    clean, noise, kept = torch.randn(3, 4), torch.randn(3, 4), torch.tensor(0.3)
    assert torch.equal(target(PAPER, clean, noise, kept), noise)
    torch.testing.assert_close(target(MINI, clean, noise, kept), kept.sqrt() * noise - (1 - kept).sqrt() * clean)
    assert signal(MINI)[-1] == 0 and signal(PAPER)[-1] > 0
    schedule = sampler(PAPER, 25)
    latent = schedule.signal[0] ** 0.5 * clean + (1 - schedule.signal[0]) ** 0.5 * noise
    for step in range(25):
        latent = schedule.step(step, latent, noise)
    torch.testing.assert_close(latent, clean, atol=1e-4, rtol=1e-3)
    with pytest.raises(UsageError, match="0 denoising steps"):
        sampler(PAPER, 0)


TRACK = torch.rand(100, 9, generator=torch.Generator().manual_seed(0)) / 4
OWN = torch.full((9,), 0.1)


def test_every_edit_changes_its_own_coefficients_and_no_others() -> None:
    lids = blink_curve(100, 25.0, 30, torch.Generator().manual_seed(0))
    cases = (
        (Edits(rotation=torch.ones(100, 3)), {0, 1, 2}),
        (Edits(turned=(0.0, 5.0, 0.0)), {1}),
        (Edits(lids=lids), {5, 6}),
        (Edits(face=torch.ones(100, 6)), {3, 4, 7, 8}),
        (Edits(scale=2.0), {4, 7, 8}),
        (Edits(), set()),
    )
    for edits, changed in cases:
        made = edits.applied(TRACK, OWN, LAYOUT)
        assert set((made != TRACK).any(dim=0).nonzero()[:, 0].tolist()) == changed
    assert TRACK.max() < 0.25


def test_rotation_is_set_and_added_to() -> None:
    made = Edits(rotation=torch.zeros(100, 3), turned=(10.0, -20.0, 30.0)).applied(TRACK, OWN, LAYOUT)
    torch.testing.assert_close(made[:, :3].rad2deg(), torch.tensor([10.0, -20.0, 30.0]).expand(100, -1))
    torch.testing.assert_close(
        Edits(turned=(90.0, 0.0, 0.0)).applied(TRACK, OWN, LAYOUT)[:, 0], TRACK[:, 0] + np.pi / 2
    )


def test_expression_is_scaled_about_the_portraits() -> None:
    made = Edits(scale=0.0).applied(TRACK, OWN, LAYOUT)
    torch.testing.assert_close(made[:, [4, 7, 8]], OWN[[4, 7, 8]].expand(100, -1))
    twice = Edits(scale=2.0).applied(TRACK, OWN, LAYOUT)
    torch.testing.assert_close(twice[:, 7] - OWN[7], 2 * (TRACK[:, 7] - OWN[7]))


@pytest.mark.parametrize("rate", [6, 15, 30, 60])
def test_blinks_come_at_the_asked_rate(rate: float) -> None:
    found = []
    for seed in range(5):
        curve = blink_curve(1500, 25.0, rate, torch.Generator().manual_seed(seed))
        assert curve.min() == 0 and curve.max() > 0.9
        closed = (curve > 0.5).int()
        found.append(int((closed.diff() == 1).sum()) + int(closed[0]))
        assert blink_values(1 - 0.95 * curve.double().numpy(), 25.0)["blink-rate"] == pytest.approx(
            found[-1] / 60, abs=0.04
        )
    assert np.mean(found) == pytest.approx(rate, rel=0.1)
    curve = blink_curve(1500, 25.0, rate, torch.Generator().manual_seed(0))
    assert torch.equal(curve, blink_curve(1500, 25.0, rate, torch.Generator().manual_seed(0)))
    assert (curve > 0).sum() <= rate * 2 * (BLINK_SECONDS * 25 + 1)


def test_no_blinks_and_short_clips() -> None:
    assert not blink_curve(100, 25.0, 0, torch.Generator().manual_seed(0)).any()
    assert blink_curve(1, 25.0, 30, torch.Generator().manual_seed(0)).shape == (1,)
    # In four seconds at 30 a minute there are two.
    counts = [
        int(((blink_curve(100, 25.0, 30, torch.Generator().manual_seed(seed)) > 0.5).int().diff() == 1).sum())
        for seed in range(20)
    ]
    assert np.mean(counts) == pytest.approx(2, abs=0.3)


def test_own_blinks_go_and_openness_stays() -> None:
    lids = torch.full((50, 2), 0.2)
    lids[10:14] = 0.9
    lids[30:33] = 0.1
    made = blinking(lids, torch.zeros(50))
    assert made.max() == pytest.approx(0.2)
    torch.testing.assert_close(made[30:33], lids[30:33])
    curve = torch.zeros(50)
    curve[20] = 1.0
    assert blinking(lids, curve)[20].tolist() == [1, 1]


@pytest.mark.parametrize("name", PRESETS)
def test_movements_start_at_the_portrait_and_go_as_far_as_stated(name: str) -> None:
    own = torch.tensor([0.1, 0.0, -0.1])
    track = preset_track(name, own, 300, 25.0)
    torch.testing.assert_close(track[0], own)
    furthest = (track - own).abs().amax(dim=0).rad2deg()
    torch.testing.assert_close(furthest, torch.tensor([a for a, _ in CURVES[name]]), atol=0.3, rtol=0)


def test_paper_sizes() -> None:
    with torch.device("meta"):
        net = FLAP(PAPER)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    extra = sum(p.numel() for name, p in net.denoising_unet.named_parameters() if "_exp." in name)
    widths = [320] * 5 + [640] * 5 + [1280] * 6
    assert extra == sum(2 * w * w + 2 * 768 * w + w + 2 * w for w in widths)
    assert counts["denoising_unet"] - extra == 1_303_145_604 + sum(2 * (768 - 384) * w for w in widths)
    assert counts["reference_unet"] == 859_508_800
    assert counts["head_tokens"] == 4 * 256 + 257 * 4 * 768 + 2 * 768
    assert counts["exp_tokens"] == 118 * 512 + 513 * 16 * 768 + 2 * 768


def test_mini_is_small() -> None:
    with torch.device("meta"):
        net = FLAP(MINI)
    assert sum(p.numel() for p in net.parameters()) * 2 < 6e6


def test_operations_are_echomimics_but_for_what_is_read() -> None:
    """As for SVP: here 4 tokens of the head and 16 of the face are read, of 768 values, in the place of 50 of 384."""
    config = replace(PAPER, base=replace(PAPER.base, sampling=Sampling(guidance=3.0, frames=12, motion_frames=0)))
    found = offer_of(config).denoising
    assert found is not None
    changed = crossed(24, 4, 768) + crossed(24, 16, 768) - crossed(24, 50, 384)
    assert operations(found) - changed == pytest.approx(965.19e12 / 30, rel=1e-4)
    alone = operations(replace(found, condition=replace(found.condition, face=None)))
    assert operations(found) - alone == crossed(24, 16, 768)


@pytest.mark.parametrize(("preset", "step"), [("mini", None), ("paper", 45.956e12)])
def test_networks_are_offered_for_counting(preset: str, step: float | None) -> None:
    found = offer(preset).denoising
    # The small preset samples without guidance.
    assert found is not None and found.condition.batch == (1 if preset == "mini" else 2)
    counted = operations(found)
    assert counted > 0 if step is None else counted == pytest.approx(step, rel=1e-4)
    with pytest.raises(UsageError, match="papr"):
        offer("papr")
