"""X-Actor from request to frames, with random weights; what it hears; its sampler; its counts; what it says of itself.

What is tested here does not depend on a training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thbench_methods.common import Noise
from thbench_methods.common.stages import Stages
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.xactor import bundle as files
from thbench_methods.xactor.config import MINI, PAPER
from thbench_methods.xactor.endless import Scene
from thbench_methods.xactor.flops import offer
from thbench_methods.xactor.hearing import Hearing
from thbench_methods.xactor.pipeline import XActor
from thbench_methods.xactor.schedule import blurred, sampler, scaled_linear, start, training_signal
from thbench_methods.xactor.spec import CONTROLS, XACTOR
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from xactor_weights import random_mini

from thbench.accel.named import Setting, planned
from thbench.accel.tree import tensors
from thbench.cost.planned import count
from thbench.data.synth_heads.dataset import clips_of
from thbench.errors import MethodError, MissingWeightsError, UsageError
from thbench.media import read_audio, read_frames
from thbench.types import Audio, Request

FAST = {"steps": 1, "acting_steps": 1}


@pytest.fixture(scope="module", autouse=True)
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with random_mini(tmp_path_factory.mktemp("mini")):
        yield


@pytest.fixture(scope="module")
def method(_weights: None) -> XActor:
    return XActor("mini")


@pytest.fixture(scope="module")
def asked() -> Request:
    clip = clips_of()[0]
    portrait = next(iter(read_frames(clip.path, threads=1))).rgb
    return Request(portrait, read_audio(clip.path), 25.0, 3, seed=1, controls=FAST)


def frames_of(method: XActor, request: Request) -> np.ndarray:
    made = method.generate(request).frames
    assert not isinstance(made, Path)
    return np.stack(list(made))


def motion_of(method: XActor, request: Request, frames: int = 30) -> Tensor:
    """Return the normalised motion alone."""
    told = method.told({name: control.default for name, control in CONTROLS.items()} | dict(request.controls))
    sound = request.audio.samples[: request.frames * 640]
    stream = method.act(method.look(request.portrait), sound, request.frames, told, Noise(request.seed), Stages())
    return torch.stack(list(islice(stream, frames)))


def test_frames_are_as_asked(method: XActor, asked: Request) -> None:
    made = frames_of(method, replace(asked, frames=30))
    assert made.shape == (30, 128, 128, 3)
    assert made.dtype == np.uint8


def test_same_seed_same_bytes_and_other_seed_other_frames(method: XActor, asked: Request) -> None:
    first = frames_of(method, asked)
    assert np.array_equal(first, frames_of(method, asked))
    assert not np.array_equal(first, frames_of(method, replace(asked, seed=2)))


def test_a_clip_alone_equals_the_clip_after_another(method: XActor, asked: Request) -> None:
    fresh_one = frames_of(XActor("mini"), asked)
    stream = iter(method.generate(replace(asked, seed=5, frames=20)).frames)  # type: ignore[arg-type]
    next(stream)
    assert np.array_equal(fresh_one, frames_of(method, asked))


def test_an_exception_on_the_way_leaves_nothing_behind(method: XActor, asked: Request) -> None:
    before = frames_of(method, asked)

    def stop(stage: str, index: int, count: int) -> None:
        if stage == "denoise":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(method.generate(replace(asked, seed=9), stop).frames)  # type: ignore[arg-type]
    assert np.array_equal(before, frames_of(method, asked))


def test_speech_matters_and_late_speech_changes_no_early_motion(method: XActor, asked: Request) -> None:
    request = replace(asked, frames=40)
    spoken = motion_of(method, request, 40)
    changed = request.audio.samples.copy()
    # Frame 31: beyond 8 frames of reach and what the speech encoder sees to either side of frames 0 to 9.
    changed[31 * 640 :] = 0
    late = motion_of(method, replace(request, audio=Audio(changed, 16_000)), 40)
    assert torch.equal(late[:10], spoken[:10])
    assert (late[30:] - spoken[30:]).abs().amax(dim=1).min() > 0


@pytest.mark.parametrize(
    "audio",
    [
        Audio(np.zeros(8_000, np.float32), 16_000),
        Audio(np.ones(1, np.float32), 16_000),
        Audio(np.full(16_000, 3.0, np.float32), 16_000),
        Audio(np.sin(np.arange(8_000, dtype=np.float32)), 8_000),
    ],
    ids=["silence", "single-sample", "clipped", "8k"],
)
def test_odd_sound_works(method: XActor, asked: Request, audio: Audio) -> None:
    assert len(frames_of(method, replace(asked, audio=audio))) == 3


@pytest.mark.parametrize("frames", [1, 12, 16, 17, 29])
def test_any_length_works(method: XActor, asked: Request, frames: int) -> None:
    assert len(frames_of(method, replace(asked, frames=frames))) == frames


def test_other_frame_rates_and_sizes(method: XActor, asked: Request) -> None:
    portrait = np.repeat(np.repeat(asked.portrait, 2, 0), 2, 1)[:, 20:236]
    made = frames_of(method, replace(asked, portrait=portrait, fps=50.0, frames=4))
    assert made.shape == (4, 256, 216, 3)
    assert np.array_equal(made[1], made[2])


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"audio": Audio(np.zeros(0, np.float32), 16_000)},
        {"portrait": np.zeros((8, 8), np.uint8)},
        {"portrait": np.zeros((64, 64, 3), np.uint8)},
        {"controls": {"guidance": -1.0}},
        {"controls": {"in_flight": 3}},
        {"controls": {"context": 10}},
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(method: XActor, asked: Request, wrong: dict[str, Any]) -> None:
    with pytest.raises(MethodError) as caught:
        method.generate(replace(asked, **wrong))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["emotion", "text", "placement", "contxt"])
def test_controls_that_it_has_not_are_refused_by_name(method: XActor, asked: Request, name: str) -> None:
    with pytest.raises(MethodError, match=f"x-actor has no control '{name}'"):
        method.generate(replace(asked, controls={name: 1}))


@pytest.mark.parametrize(
    ("control", "value", "from_frame"),
    [
        ("audio_guidance", 1.0, 0),
        ("acting_steps", 2, 0),
        ("history_noise", 0.0, 10),
        ("history_noise", 4.0, 10),
        ("context", 1, 10),
        ("in_flight", 2, 0),
    ],
)
def test_controls_of_the_motion_act_from_where_they_can(
    method: XActor, asked: Request, control: str, value: float, from_frame: int
) -> None:
    controls = {"acting_steps": 2} if control == "in_flight" else {}
    plain = motion_of(method, replace(asked, frames=40, controls=FAST | controls))
    other = motion_of(method, replace(asked, frames=40, controls=FAST | controls | {control: value}))
    if from_frame:
        assert torch.equal(other[:from_frame], plain[:from_frame])
    assert (other[from_frame:] - plain[from_frame:]).abs().amax() > 0


def test_controls_of_the_video_leave_the_motion(method: XActor, asked: Request) -> None:
    plain = frames_of(method, asked)
    for controls in ({"steps": 3}, {"guidance": 6.0}):
        assert not np.array_equal(frames_of(method, replace(asked, controls=FAST | controls)), plain)
        assert torch.equal(motion_of(method, replace(asked, controls=FAST | controls)), motion_of(method, asked))


@pytest.mark.parametrize("frames", [3, 30])
def test_what_does_not_change_is_the_portrait(
    method: XActor, asked: Request, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across windows, too: nothing blurs what the denoiser leaves as it is."""
    monkeypatch.setattr(method, "_denoised", lambda *_: torch.zeros(16, MINI.renderer.unet.latent, 8, 8))
    assert asked.portrait.shape[0] == MINI.size
    still = frames_of(method, replace(asked, frames=frames))
    assert len(still) == frames
    assert np.abs(still.astype(int) - asked.portrait).max() <= 1


def test_the_renderer_is_told_motion_as_it_was_encoded(
    method: XActor, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the statistics are, the portrait's own motion comes back as its own tokens."""
    acted, encoder, told = method.bundle.acted, method.bundle.rendering.encoder, []
    monkeypatch.setitem(acted._buffers, "mean", torch.linspace(-1, 1, MINI.encoder.motion))
    monkeypatch.setitem(acted._buffers, "std", torch.linspace(0.5, 2, MINI.encoder.motion))
    seen, own = method.look(asked.portrait), encoder.tokens

    def watched(motion: Tensor) -> Tensor:
        told.append(own(motion))
        return told[-1]

    monkeypatch.setattr(encoder, "tokens", watched)
    rows = iter(acted.normalised(seen.motion).expand(MINI.renderer.frames, -1))
    plan = method.told({name: control.default for name, control in CONTROLS.items()} | FAST)
    assert len(list(method.render(seen, rows, 3, plan, Noise(0), Stages()))) == 3
    (tokens,) = told
    torch.testing.assert_close(tokens, seen.portrait.tokens.expand_as(tokens), atol=1e-5, rtol=1e-4)


def test_windows_are_made_as_they_are_read_and_stages_are_told(method: XActor, asked: Request) -> None:
    told: list[tuple[str, int, int]] = []
    generation = method.generate(
        replace(asked, frames=40, controls={"steps": 2, "acting_steps": 1}), lambda *step: told.append(step)
    )
    assert told == []
    list(islice(iter(generation.frames), 1))  # type: ignore[arg-type]
    # Two chunks of 10 frames for a window of 16.
    assert told == [("act", 0, 1)] * 2 + [("denoise", 0, 2), ("denoise", 1, 2)]
    assert set(generation.seconds) == {"portrait", "act", "denoise", "decode"}


def test_unknown_presets_and_weights_that_nobody_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="mini"):
        XActor("minni")
    with pytest.raises(MissingWeightsError, match="publish no weights"):
        XActor("paper")
    monkeypatch.setattr(files, "ACTING_FILE", tmp_path / "absent")
    with pytest.raises(MissingWeightsError, match="thbench train"):
        XActor("mini")


@pytest.mark.parametrize("names", [("lightningcp",), ("lightningcp", "dfa", "refdrop"), ("cfg-cache",), ("deepcache",)])
def test_accelerations_apply_to_the_video(method: XActor, asked: Request, names: tuple[str, ...]) -> None:
    request = replace(asked, controls={"steps": 4, "acting_steps": 1})
    fast = frames_of(XActor("mini", accelerations=names), request)
    assert fast.shape == (3, 128, 128, 3)
    assert not np.array_equal(fast, frames_of(method, request))


def test_a_minute_is_acted_on_what_a_second_is(method: XActor, asked: Request) -> None:
    """What is carried from chunk to chunk, and what is heard, after 60 s as after 8 s."""
    sound = np.tile(asked.audio.samples, 20)[: 60 * 16_000]
    hearing = Hearing(load_speech_encoder().features, sound, 1500, 25.0, MINI.actor.reach)
    seen = method.look(asked.portrait)
    reference = method.bundle.acted.normalised(seen.motion)
    acting = replace(MINI.acting, steps=1, guidance=1.0)
    scene = Scene(method.bundle.acted.actor, acting, reference, hearing, Noise(0), MINI.actor.context)
    carried, sizes = scene.begin(), []
    for _ in range(150):
        _, carried = scene.act(carried)
        whole = (*tensors((carried.settled, carried.recent, carried.flying)), *hearing._sections.values())
        sizes.append(sum(t.untyped_storage().nbytes() for t in whole))
    assert carried.number == 150
    assert max(sizes) == max(sizes[:51])
    assert len(hearing._sections) == 3


def test_sections_of_sound_are_heard_as_the_whole(asked: Request) -> None:
    sound = np.tile(asked.audio.samples[:64_000], 10)[: 1000 * 640]
    encode, calls = load_speech_encoder().features, []

    def counted(samples: np.ndarray, frames: int, fps: float) -> Tensor:
        calls.append(frames)
        return torch.arange(float(frames)).view(frames, 1, 1)

    far = Hearing(counted, sound, 1000, 25.0, 0)
    # Asked for in any order; what was dropped is encoded again, and only the last ones are kept.
    for first in (0, 250, 500, 750, 0, 999):
        assert far(first, 1).shape == (1, 1, 1)
        assert len(far._sections) <= 3
    assert len(calls) == 5
    assert far(0, 1000).shape == (1000, 1, 1)
    sound = sound[: 540 * 640]
    hearing = Hearing(encode, sound, 540, 25.0, 2)
    whole = encode(sound, 540, 25.0)
    heard = torch.cat([hearing(first, 20)[2:-2] for first in range(0, 540, 20)])
    torch.testing.assert_close(heard, whole, atol=1e-3, rtol=1e-3)
    # What was asked for before does not matter, and the ends are held.
    fresh = Hearing(encode, sound, 540, 25.0, 2)
    assert torch.equal(fresh(400, 20), hearing(400, 20))
    ends = hearing(538, 6)
    assert torch.equal(ends[4:], ends[3:4].expand(6, -1, -1))
    begin = Hearing(encode, sound, 540, 25.0, 2)(0, 3)
    assert torch.equal(begin[:2], begin[2:3].expand(2, -1, -1))


def test_noise_is_sampled_as_published() -> None:
    schedule = sampler(35, PAPER.renderer)
    assert schedule.times[:2] == (953, 925)
    assert schedule.times[-1] == 1
    bars = scaled_linear(0.00085, 0.02)
    roots = torch.linspace(0.00085**0.5, 0.02**0.5, 1000, dtype=torch.float64)
    torch.testing.assert_close(bars, (1 - roots.square()).cumprod(0).float(), atol=1e-5, rtol=1e-4)
    assert schedule.signal[0] == pytest.approx(float(bars[953]))
    clean, noise = torch.randn(2, 3), torch.randn(2, 3)
    latent = schedule.signal[0] ** 0.5 * clean + (1 - schedule.signal[0]) ** 0.5 * noise
    for index in range(35):
        latent = schedule.step(index, latent, noise)
    torch.testing.assert_close(latent, clean, atol=1e-3, rtol=1e-3)
    with pytest.raises(UsageError, match="0 denoising steps"):
        sampler(0, PAPER.renderer)


def test_sampling_starts_from_the_blurred_portrait_or_from_noise_alone() -> None:
    portrait, noise = torch.randn(1, 4, 16, 16), torch.randn(1, 4, 3, 16, 16)
    schedule = sampler(35, PAPER.renderer)
    begun = start(portrait, noise, schedule, PAPER.renderer)
    kept = float(training_signal(PAPER.renderer)[953])
    expected = kept**0.5 * blurred(portrait, 9, 18.0)[:, :, None] + (1 - kept) ** 0.5 * noise
    torch.testing.assert_close(begun, expected)
    assert torch.equal(start(portrait, noise, sampler(20, MINI.renderer), MINI.renderer), noise)


def test_a_blur_keeps_the_mean_and_is_a_gaussian() -> None:
    flat = torch.full((1, 2, 16, 16), 3.0)
    torch.testing.assert_close(blurred(flat, 9, 18.0), flat)
    dot = torch.zeros(1, 1, 17, 17)
    dot[0, 0, 8, 8] = 1
    spread = blurred(dot, 5, 1.0)[0, 0]
    weights = torch.exp(-0.5 * torch.arange(-2.0, 3.0) ** 2)
    weights /= weights.sum()
    torch.testing.assert_close(spread[6:11, 6:11], weights[:, None] * weights)
    assert spread[5].abs().max() == 0
    assert blurred(torch.randn(1, 2, 3, 3), 9, 18.0).shape == (1, 2, 3, 3)


@pytest.mark.parametrize("preset", ["mini", pytest.param("paper", marks=pytest.mark.full)])
def test_every_part_is_counted(preset: str) -> None:
    offered = offer(preset)
    config = {"mini": MINI, "paper": PAPER}[preset]
    assert offered.frames == config.renderer.frames - config.renderer.overlap
    names = ["motion_encoder", "motion_tokens", "actor", "reference_unet"]
    assert [part.name for part in offered.parts] == names + (["face_locator", "base"] if preset == "mini" else [])
    counts = {}
    for part in offered.parts:
        with FlopCounterMode(display=False) as counted, torch.inference_mode():
            part.call()
        counts[part.name] = counted.get_total_flops()
    assert all(counts.values())
    steps = config.acting.steps + len(config.acting.history) + 1
    assert offered.parts[2].calls == pytest.approx(offered.frames / config.actor.chunk * steps)
    denoising = offered.denoising
    assert denoising is not None
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        denoising.denoiser.full(denoising.noise, torch.empty(1, device="meta"), denoising.condition)
    # The video costs far more than its motion: a step of it more than all steps of the motion.
    assert counted.get_total_flops() > counts["actor"] * offered.parts[2].calls
    if preset == "paper":
        assert counted.get_total_flops() == pytest.approx(76.358e12, rel=1e-3)
        assert counts["actor"] == pytest.approx(30.551e9, rel=1e-3)
        assert counts["reference_unet"] == pytest.approx(796.754e9, rel=1e-3)
        assert counts["motion_encoder"] == pytest.approx(106.731e9, rel=1e-3)


def test_key_steps_and_the_foreground_are_counted() -> None:
    offered = offer("mini")
    assert offered.denoising is not None
    setting = Setting(offered.denoising.steps, foreground=offered.denoising.foreground)
    whole, _ = count(offered, "x-actor")
    fast, _ = count(offered, "x-actor", planned(("lightningcp", "dfa", "refdrop"), setting))
    calls = {part.name: part.calls for part in fast.parts}
    assert calls["denoising_unet"] + calls["denoising_unet, shallow"] == offered.denoising.steps
    assert whole.frames == fast.frames == 12
    assert fast.flops < 0.8 * whole.flops


def test_unknown_presets_are_not_counted() -> None:
    with pytest.raises(UsageError, match="x-actor has no preset 'papr'"):
        offer("papr")


def test_the_spec_names_what_there_is() -> None:
    from thbench.spec import load

    assert load(XACTOR.factory, purpose="test") is XActor
    assert set(XACTOR.controls) == set(CONTROLS)
    assert load(XACTOR.flops or "", purpose="test") is offer
    assert callable(load(XACTOR.trainers["mini"], purpose="test"))
