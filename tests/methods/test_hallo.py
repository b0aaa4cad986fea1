"""Hallo: projections, reference and denoising networks, the clip sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from thbench_methods.hallo.config import PAPER, Config
from thbench_methods.hallo.networks import Condition, DenoisingUNet, Given, Hallo, Masks
from thbench_methods.nets.building import build
from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes
from thbench_methods.nets.unet3d.reference import Reference, ReferenceUNet, split
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from thbench.errors import WeightsMismatchError
from thbench.parity import Outcome

TINY = Config(
    unet=Sizes(channels=(8, 16, 16), layers=1, heads=2, groups=4, tokens=6, audio=5, positions=8),
    audio=AudioProjection(window=2, layers=2, channels=3, hidden=7, tokens=4),
    face=FaceProjection(embedding=9, tokens=2),
)
LEVELS = (16, 4, 1)
"""Pixels of a 4 x 4 latent at each level."""


@pytest.mark.parametrize(
    "part",
    [
        "audio_proj",
        "image_proj",
        "face_locator",
        "reference_unet",
        "denoising_unet",
        pytest.param("sample", marks=pytest.mark.full),
    ],
)
def test_the_published_network_is_reproduced(parity: Callable[[str], Outcome], part: str) -> None:
    outcome = parity(f"hallo.{part}")
    assert outcome.status == "passed", (outcome.message, outcome.outputs)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture
def net() -> Hallo:
    torch.manual_seed(0)
    return Hallo(TINY).eval()


def given(frames: int = 3, past: int = 2, seed: int = 0) -> Given:
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    masks = [Masks(*(torch.rand(frames, pixels, generator=draw) for _ in range(3))) for pixels in LEVELS]
    audio = normal(1, frames, 2, 2, 3)
    return Given(normal(1 + past, 4, 4, 4), normal(1, 9), audio, normal(1, 3, 32, 32), masks, torch.ones(3))


def noisy(frames: int = 3, batch: int = 2) -> Tensor:
    return torch.randn(batch, 4, frames, 4, 4, generator=torch.Generator().manual_seed(frames))


TIME = torch.tensor(499)


@pytest.mark.parametrize(("frames", "past"), [(1, 2), (6, 2), (3, 0), (3, 5)])
def test_any_number_of_frames_and_past_frames(net: Hallo, frames: int, past: int) -> None:
    prediction, deep = net.denoising_unet.full(noisy(frames), TIME, net.condition(given(frames, past)))
    assert prediction.shape == (2, 4, frames, 4, 4)
    assert deep.shape == (2, 8, frames, 4, 4)
    assert prediction.isfinite().all()


def test_the_last_layer_alone_gives_the_same_from_the_same_step(net: Hallo) -> None:
    condition = net.condition(given())
    prediction, deep = net.denoising_unet.full(noisy(), TIME, condition)
    torch.testing.assert_close(net.denoising_unet.shallow(noisy(), TIME, condition, deep), prediction)


def test_each_clip_of_a_batch_has_a_time_of_its_own(net: Hallo) -> None:
    condition = net.condition(given())
    together, _ = net.denoising_unet.full(noisy(), torch.tensor([499, 30]), condition)
    for row, time in enumerate((499, 30)):
        alone, _ = net.denoising_unet.full(noisy(), torch.tensor(time), condition)
        torch.testing.assert_close(together[row], alone[row], atol=1e-5, rtol=1e-4)


def test_two_clips_together_are_each_clip_alone(net: Hallo) -> None:
    conditions = [net.condition(given(seed=seed)) for seed in (1, 2)]
    z = noisy(batch=4)
    together, _ = net.denoising_unet.full(z, TIME, joined(*conditions))
    for clip, condition in enumerate(conditions):
        alone, _ = net.denoising_unet.full(z[clip::2], TIME, condition)
        torch.testing.assert_close(together[clip::2], alone, atol=1e-5, rtol=1e-4)


def joined(one: Condition, two: Condition) -> Condition:
    """[unconditional one, two | conditional one, two]."""

    def rows(a: Tensor, b: Tensor) -> Tensor:
        pairs = zip(a.chunk(2), b.chunk(2), strict=True)
        return torch.cat([half for pair in pairs for half in pair])

    def places(a: dict[str, Tensor], b: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: rows(a[name], b[name]) for name in a}

    return Condition(
        *(rows(getattr(one, name), getattr(two, name)) for name in ("face", "audio", "locator")),
        masks=[Masks(*map(rows, a, b)) for a, b in zip(one.masks, two.masks, strict=True)],
        scale=one.scale,
        reference=Reference(*map(places, one.reference, two.reference)),
    )


@pytest.mark.parametrize("part", ["face", "audio", "locator", "scale"])
def test_every_condition_matters_to_every_frame(net: Hallo, part: str) -> None:
    condition = net.condition(given())
    before, _ = net.denoising_unet.full(noisy(), TIME, condition)
    other = replace(condition, **{part: getattr(condition, part) * 2 + 1})
    after, _ = net.denoising_unet.full(noisy(), TIME, other)
    assert ((after - before).abs().amax(dim=(1, 3, 4)) > 1e-6).all()


def test_past_frames_matter(net: Hallo) -> None:
    one = given()
    other = one._replace(latents=torch.cat((one.latents[:1], one.latents[1:].flip(0))))
    before, after = (net.denoising_unet.full(noisy(), TIME, net.condition(x))[0] for x in (one, other))
    assert ((after - before).abs().amax(dim=(1, 3, 4)) > 1e-6).all()


def test_the_reference_image_reaches_the_conditional_half_only(net: Hallo) -> None:
    condition = net.condition(given(past=0))
    silent = replace(condition, reference=Reference({}, {}))
    led, alone = (net.denoising_unet.full(noisy(), TIME, x)[0] for x in (condition, silent))
    torch.testing.assert_close(led[0], alone[0], atol=1e-5, rtol=1e-4)
    assert (led[1] - alone[1]).abs().max() > 1e-4


def test_audio_is_not_heard_outside_the_masks(net: Hallo) -> None:
    condition = net.condition(given())
    deaf = replace(condition, masks=[Masks(*(torch.zeros_like(mask) for mask in level)) for level in condition.masks])
    other = replace(deaf, audio=deaf.audio + 1)
    torch.testing.assert_close(*(net.denoising_unet.full(noisy(), TIME, x)[0] for x in (deaf, other)))


def test_without_guidance_the_conditional_half_is_run_alone(net: Hallo) -> None:
    pair, alone = (net.condition(given(frames=1), guided=guided) for guided in (True, False))
    for name in ("face", "audio", "locator"):
        torch.testing.assert_close(getattr(alone, name), getattr(pair, name)[1:])
    # Of two frames laid end to end, the conditional half's only one reads the conditional reference.
    led = Reference(*({place: tokens[1:] for place, tokens in part.items()} for part in pair.reference))
    whole, _ = net.denoising_unet.full(noisy(1), TIME, pair)
    half, _ = net.denoising_unet.full(noisy(1)[1:], TIME, replace(alone, reference=led))
    torch.testing.assert_close(half, whole[1:], atol=1e-5, rtol=1e-4)


def test_unconditional_is_no_face_no_audio_and_no_region(net: Hallo) -> None:
    condition = net.condition(given())
    torch.testing.assert_close(condition.face[:1], net.imageproj(torch.zeros(1, 9)))
    assert condition.audio[0].count_nonzero() == 0
    assert condition.locator[0].count_nonzero() == 0


def test_modules_that_the_release_never_runs_do_nothing(net: Hallo) -> None:
    condition = net.condition(given())
    before, _ = net.denoising_unet.full(noisy(), TIME, condition)
    for name, weight in net.denoising_unet.named_parameters():
        if name.startswith(("down_blocks.2.motion_modules", "up_blocks.0.motion_modules")):
            weight.add_(1)
    after, _ = net.denoising_unet.full(noisy(), TIME, condition)
    assert after.equal(before)


def test_the_release_file_loads_strictly(net: Hallo) -> None:
    state = net.state_dict()
    loaded = build(lambda: Hallo(TINY), state, source="net.pth")
    assert all(tensor.equal(state[key]) for key, tensor in loaded.state_dict().items())
    tables = [key for key in state if key.endswith(".pe")]
    assert len(tables) == 2 * 10
    build(lambda: Hallo(TINY), {key: state[key] for key in state if key not in tables}, source="net.pth")
    with pytest.raises(WeightsMismatchError, match=r"net.pth does not fit Hallo: 1 missing.*imageproj.norm.bias"):
        build(lambda: Hallo(TINY), {k: v for k, v in state.items() if k != "imageproj.norm.bias"}, source="net.pth")
    with pytest.raises(WeightsMismatchError, match=r"1 unexpected \(more\)"):
        build(lambda: Hallo(TINY), {**state, "more": torch.ones(1)}, source="net.pth")


def test_published_sizes_are_the_defaults() -> None:
    with torch.device("meta"):
        net = Hallo(PAPER)
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert counts == {
        "reference_unet": 859_508_800,
        "denoising_unet": 1_525_528_324,
        "face_locator": 514_896,
        "imageproj": 1_577_472,
        "audioproj": 36_465_152,
        "latents": 0,
    }
    assert len(net.denoising_unet.state_dict()) == 1946


def test_operations_are_the_published_ones() -> None:
    """LightningCP, Table 1: 2158.08 TFLOP in 40 steps of 16 frames at 512 px, guided, after 2 motion frames."""
    with torch.device("meta"):
        net, reference = DenoisingUNet(PAPER.unet).to("meta"), ReferenceUNet(PAPER.unet)
        z, tokens = torch.empty(2, 4, 16, 64, 64), torch.empty(2, 4, 768)
        flops, features = counted(lambda: reference(torch.empty(6, 4, 64, 64), tokens))
        assert flops == pytest.approx(4.782e12, rel=1e-4)
        masks = [Masks(*(torch.empty(32, (64 >> level) ** 2) for _ in range(3))) for level in range(4)]
        audio, locator = torch.empty(2, 16, 32, 768), torch.empty(2, 320, 16, 64, 64)
        condition = Condition(tokens, audio, locator, masks, torch.empty(3), split(features, 2))
        flops, (_, deep) = counted(lambda: net.full(z, torch.empty(()), condition))
        assert flops * 40 == pytest.approx(2158.08e12, rel=1e-4)
        flops, _ = counted(lambda: net.shallow(z, torch.empty(()), condition, deep))
        assert flops == pytest.approx(5.2498e12, rel=1e-4)


def counted(run: Callable[[], object]) -> tuple[int, object]:
    with FlopCounterMode(display=False) as counter:
        result = run()
    return counter.get_total_flops(), result
