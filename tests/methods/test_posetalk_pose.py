"""PoseTalk's Pose Latent Diffusion: transformer, autoencoder, denoiser, guidance, windows, text."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from thbench_methods.nets.sampling import sample
from thbench_methods.posetalk import objective, pose, text
from thbench_methods.posetalk.config import PAPER, PoseDiffusion, PoseSizes
from thbench_methods.posetalk.pose_denoiser import Guided, PoseCondition, PoseDenoiser, alpha_bars, pooled, sampler
from thbench_methods.posetalk.pose_vae import PoseVAE, padding, unused
from thbench_methods.posetalk.transformer import SkipTransformer, encoder_layer
from torch import Tensor

from thbench.accel import LightningCP
from thbench.accel.named import Setting, planned, steps_of
from thbench.errors import MethodError, MissingExtraError

SMALL = PoseSizes(width=16, latents=2, layers=3, heads=2, feed_forward=32, dropout=0.0, window=20, audio=6, text=7)
TIMED = replace(SMALL, track_stride=5, timed=True, latent_width=3)
DIFFUSION = PoseDiffusion(steps=4, overlap=6)


def conditioned(clips: int = 2, frames: int = 13, lengths: tuple[int, ...] = (13, 8)) -> PoseCondition:
    draw = torch.Generator().manual_seed(1)
    yes = torch.ones(clips, dtype=torch.bool)
    audio, prompt = torch.randn(clips, frames, 6, generator=draw), torch.randn(clips, 7, generator=draw)
    return PoseCondition(audio, torch.tensor(lengths), prompt, yes, yes)


@pytest.fixture(scope="module")
def denoiser() -> PoseDenoiser:
    torch.manual_seed(0)
    return PoseDenoiser(SMALL).eval()


@pytest.fixture(scope="module")
def timed() -> pose.PoseLatentDiffusion:
    torch.manual_seed(0)
    made = pose.PoseLatentDiffusion(TIMED).eval()
    torch.nn.init.normal_(made.denoiser.listen.tell.weight)  # nothing is heard before the training
    return made


@pytest.fixture(scope="module")
def diffusion() -> pose.PoseLatentDiffusion:
    torch.manual_seed(0)
    return pose.PoseLatentDiffusion(SMALL).eval()


def test_the_transformer_is_a_u_of_an_odd_number_of_layers() -> None:
    for layers in (0, 1, 2, 8):
        with pytest.raises(MethodError, match="odd number"):
            SkipTransformer(8, layers, lambda: encoder_layer(8, 2, 8, 0.0))
    net = SkipTransformer(8, 7, lambda: encoder_layer(8, 2, 8, 0.0))
    assert (len(net.down), len(net.up), len(net.merge)) == (3, 3, 3)
    tokens = torch.randn(2, 5, 8, requires_grad=True)
    net(tokens).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_every_long_skip_matters() -> None:
    torch.manual_seed(0)
    net = SkipTransformer(8, 5, lambda: encoder_layer(8, 2, 8, 0.0)).eval()
    tokens = torch.randn(1, 4, 8)
    with torch.no_grad():
        before = net(tokens)
        for merge in net.merge:
            kept = merge.weight.clone()
            merge.weight[:, 8:] = 0
            assert (net(tokens) - before).abs().max() > 1e-3
            merge.weight.copy_(kept)


def test_the_paper_sized_networks_can_be_built() -> None:
    with torch.device("meta"):
        net = pose.PoseLatentDiffusion(PAPER.pose)
    assert len(net.vae.encoder.down) == 4 and net.vae.summary.shape == (4, 256)
    assert 10e6 < sum(p.numel() for p in net.parameters()) < 60e6


def test_the_shape_of_latents_is_that_of_the_layout() -> None:
    assert PAPER.pose.latent_shape == (4, 256) and SMALL.latent_shape == (2, 16) and TIMED.latent_shape == (4, 3)
    assert replace(TIMED, window=21).latent_shape == (5, 3) and replace(SMALL, latent_width=5).latent_shape == (2, 5)
    lengths = torch.tensor([1, 5, 6, 20])
    assert not unused(SMALL, lengths).any()
    assert (~unused(TIMED, lengths)).sum(dim=1).tolist() == [1, 1, 2, 4]


@pytest.mark.parametrize("sizes", [SMALL, replace(SMALL, latent_width=5), TIMED])
def test_what_lies_behind_the_end_of_a_track_does_not_matter(sizes: PoseSizes) -> None:
    torch.manual_seed(0)
    vae = PoseVAE(sizes).eval()
    track, lengths = torch.randn(2, 13, 8), torch.tensor([13, 8])
    other = track.clone()
    other[1, 8:] = 100
    with torch.inference_mode():
        first, second = vae.encode(track, lengths), vae.encode(other, lengths)
        alone = vae.encode(track[1:, :8], lengths[1:])
        decoded = vae.decode(first.mean, lengths, 13)
        decoded_alone = vae.decode(alone.mean, lengths[1:], 8)
    assert first.mean.shape == (2, *sizes.latent_shape)
    torch.testing.assert_close(first.mean, second.mean)
    torch.testing.assert_close(first.mean[1:], alone.mean, atol=1e-5, rtol=1e-4)
    assert decoded[1, 8:].abs().max() == 0
    torch.testing.assert_close(decoded[1:, :8], decoded_alone, atol=1e-5, rtol=1e-4)


def test_timed_latents_behind_the_end_say_nothing() -> None:
    torch.manual_seed(0)
    vae, lengths = PoseVAE(TIMED).eval(), torch.tensor([13, 8])
    with torch.inference_mode():
        found = vae.encode(torch.randn(2, 13, 8), lengths)
        other = torch.where(unused(TIMED, lengths)[..., None], 100.0, found.mean)
        decoded, again = (vae.decode(latent, lengths, 13) for latent in (found.mean, other))
    assert found.mean[0, 3:].abs().max() == found.log_variance[1, 2:].abs().max() == 0 < found.mean[1, 1].abs().min()
    assert torch.equal(decoded, again)


@pytest.mark.parametrize("sizes", [SMALL, TIMED])
def test_the_autoencoder_learns_tracks(sizes: PoseSizes) -> None:
    torch.manual_seed(0)
    vae = PoseVAE(sizes).train()
    time = torch.linspace(0, 1, 20)
    track = (
        torch.stack([torch.sin(6 * time * (1 + n / 8)) for n in range(8)], dim=1)[None]
        * torch.tensor([1.0, -1.0])[:, None, None]
    )
    lengths = torch.tensor([20, 20])
    optimiser = torch.optim.Adam(vae.parameters(), 2e-3)
    losses = []
    for _ in range(250):
        predicted, posterior = vae(track, lengths, torch.randn(2, *sizes.latent_shape))
        loss = objective.vae_loss(predicted, track, lengths, posterior)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_sound_is_pooled_over_the_frames_that_count() -> None:
    audio = torch.arange(14.0).view(1, 7, 2).repeat(2, 1, 1)
    mean = pooled(audio, torch.tensor([7, 4]), 3)
    assert mean[:, :, 0].tolist() == [[2, 8, 12], [2, 6, 0]]


def test_the_shallow_pass_continues_from_the_full_one(denoiser: PoseDenoiser) -> None:
    latent, condition = torch.randn(2, 2, 16), conditioned()
    with torch.inference_mode():
        prediction, deep = denoiser.full(latent, torch.tensor([500, 3]), condition)
        again = denoiser.shallow(latent, torch.tensor([500, 3]), condition, deep)
        later = denoiser.shallow(latent, torch.tensor([480, 1]), condition, deep)
    assert prediction.shape == latent.shape
    assert torch.equal(again, prediction) and not torch.equal(later, prediction)


def test_what_is_not_told_does_not_matter(denoiser: PoseDenoiser) -> None:
    latent, time, condition = torch.randn(2, 2, 16), torch.tensor([500, 3]), conditioned()
    nobody = torch.zeros(2, dtype=torch.bool)
    with torch.inference_mode():
        deaf = [
            denoiser(latent, time, condition._replace(heard=nobody, audio=a))
            for a in (condition.audio, -condition.audio)
        ]
        mute = [
            denoiser(latent, time, condition._replace(told=nobody, text=t)) for t in (condition.text, -condition.text)
        ]
        padded = condition.audio.clone()
        padded[1, 8:] = 50
        full = [
            denoiser(latent, time, condition._replace(audio=a)) for a in (condition.audio, padded, -condition.audio)
        ]
    assert torch.equal(*deaf) and torch.equal(*mute)
    torch.testing.assert_close(full[0], full[1])
    assert (full[0] - full[2]).abs().max() > 1e-3 and (full[0] - deaf[0]).abs().max() > 1e-3


def test_timed_latents_hear_the_sound_of_their_own_frames(timed: pose.PoseLatentDiffusion) -> None:
    net, condition = timed.denoiser, conditioned(2, 20, (20, 20))
    latent, time = torch.randn(2, 4, 3), torch.tensor([500, 3])
    other = condition.audio.clone()
    other[:, :5] += 3  # of the first stretch, which its neighbour hears too
    with torch.inference_mode():
        before, after = (net(latent, time, condition._replace(audio=each)) for each in (condition.audio, other))
        told = net.listen(condition._replace(audio=other)) - net.listen(condition)
        deaf = condition._replace(heard=torch.tensor([False, True]))
        assert net.listen(deaf)[0].abs().max() == 0 < net.listen(deaf)[1].abs().min()
    moved = (after - before).abs().mean(dim=(0, 2))
    assert moved[:2].min() > 1.5 * moved[2:].max()
    assert told[:, 2:].abs().max() == 0 < told[:, :2].abs().min()


def test_sound_and_timed_latents_behind_the_end_do_not_matter(timed: pose.PoseLatentDiffusion) -> None:
    net, condition = timed.denoiser, conditioned()
    latent, time = torch.randn(2, 4, 3), torch.tensor([500, 3])
    audio, noisy = condition.audio.clone(), latent.clone()
    audio[1, 8:], noisy[1, 2:] = 50, 50
    with torch.inference_mode():
        first, second = net(latent, time, condition), net(noisy, time, condition._replace(audio=audio))
        alone = PoseCondition(*(part[1:, :8] if part is condition.audio else part[1:] for part in condition))
        third = net(latent[1:], time[1:], alone)
    torch.testing.assert_close(second[1, :2], first[1, :2])
    torch.testing.assert_close(third[0, :2], first[1, :2], atol=1e-5, rtol=1e-4)


def test_guidance_has_two_scales(denoiser: PoseDenoiser) -> None:
    latent, time, condition = torch.randn(2, 2, 16), torch.tensor([500, 3]), conditioned()
    nobody = torch.zeros(2, dtype=torch.bool)
    with torch.inference_mode():
        nothing = denoiser(latent, time, condition._replace(heard=nobody, told=nobody))
        sound = denoiser(latent, time, condition._replace(told=nobody))
        both = denoiser(latent, time, condition)

        def at(audio: float, words: float) -> Tensor:
            scales = replace(DIFFUSION, audio_guidance=audio, text_guidance=words)
            return Guided(denoiser, scales).full(latent, time, condition)[0]

        torch.testing.assert_close(at(0, 0), nothing)
        torch.testing.assert_close(at(1, 0), sound)
        torch.testing.assert_close(at(1, 1), both)
        torch.testing.assert_close(at(2, 5), nothing + 2 * (sound - nothing) + 5 * (both - sound))


def test_guided_passes_go_on_from_each_other_and_in_batches(denoiser: PoseDenoiser) -> None:
    latent, condition = torch.randn(2, 2, 16), conditioned()
    net = Guided(denoiser, DIFFUSION)
    first, later = torch.tensor([500, 500]), torch.tensor([400, 400])
    with torch.inference_mode():
        noise, deep = net.full(latent, first, condition)
        torch.testing.assert_close(net.shallow(latent, first, condition, deep), noise)
        alone = net.shallow(latent, later, condition, deep)
        wide, deeper = net.repeated(condition, deep, 2)
        times = torch.stack((first, later), dim=1).flatten()
        both = net.shallow(latent.repeat_interleave(2, dim=0), times, wide, deeper)
    torch.testing.assert_close(both[1::2], alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(both[::2], noise, atol=1e-5, rtol=1e-4)


LAYOUTS = pytest.mark.parametrize("layout", ["diffusion", "timed"])


@LAYOUTS
@pytest.mark.parametrize("name", ["lightningcp", "fewer-steps"])
def test_tracks_are_sampled_under_plans(layout: str, name: str, request: pytest.FixtureRequest) -> None:
    diffusion: pose.PoseLatentDiffusion = request.getfixturevalue(layout)
    scales = replace(DIFFUSION, steps=8)
    audio, noise = torch.randn(20, 6), torch.randn(1, *diffusion.sizes.latent_shape)
    with torch.inference_mode():
        plain = diffusion.long_track(audio, None, noise, scales)
        fast = replace(scales, steps=steps_of((name,), 8))
        other = diffusion.long_track(audio, None, noise, fast, planned((name,), Setting(fast.steps)))
        every = diffusion.long_track(audio, None, noise, scales, LightningCP(tuple(range(8))))
    assert torch.equal(plain, every) and other.isfinite().all() and not torch.equal(plain, other)


def test_the_sampler_follows_a_perfect_denoiser() -> None:
    powers, clean = alpha_bars(PAPER.diffusion), torch.randn(3, 4, 5)
    found = sampler(PAPER.diffusion)
    assert len(found.times) == 50 and found.times[0] == 981 and found.times[-1] == 1

    def denoise(latent: Tensor, time: float) -> Tensor:
        power = powers[int(time)].float()
        return (latent - power.sqrt() * clean) / (1 - power).sqrt()

    torch.testing.assert_close(sample(found, denoise, torch.randn(3, 4, 5)), clean, atol=1e-3, rtol=0)
    assert powers[-1] < 0.01 and powers.diff().max() < 0


@given(frames=st.integers(1, 300), window=st.integers(2, 60), share=st.floats(0, 0.9))
def test_windows_cover_the_track(frames: int, window: int, share: float) -> None:
    size = min(window, frames)
    overlap = min(int(share * window), size - 1)
    starts = pose.window_starts(frames, size, overlap)
    assert starts[0] == 0 and starts[-1] == frames - size
    assert all(0 < b - a <= size - overlap for a, b in pairwise(starts))


def test_windows_go_on_from_one_another() -> None:
    steps = torch.randn(30, 8)
    track = steps.cumsum(dim=0)
    starts = pose.window_starts(30, 12, 5)
    windows = torch.stack([track[s : s + 12] - track[s] for s in starts])
    torch.testing.assert_close(pose.chained(windows, starts), track - track[0], atol=1e-5, rtol=0)


@LAYOUTS
def test_a_long_track_follows_its_noise_and_its_prompt(layout: str, request: pytest.FixtureRequest) -> None:
    diffusion: pose.PoseLatentDiffusion = request.getfixturevalue(layout)
    audio, prompt = torch.randn(47, 6), torch.randn(7)
    starts = diffusion.starts(47, DIFFUSION)
    noise = torch.randn(len(starts), *diffusion.sizes.latent_shape)
    with torch.inference_mode():
        track, again = (diffusion.long_track(audio, prompt, noise, DIFFUSION) for _ in range(2))
        others = [
            diffusion.long_track(audio, None, noise, DIFFUSION),
            diffusion.long_track(audio, prompt, -noise, DIFFUSION),
        ]
    assert starts == [0, 14, 27] and track.shape == (47, 8) and track[0].abs().max() == 0
    assert torch.equal(track, again) and not any(torch.equal(track, other) for other in others)
    with pytest.raises(MethodError, match="need 3"):
        diffusion.long_track(audio, None, noise[:2], DIFFUSION)


@LAYOUTS
@pytest.mark.parametrize("frames", [1, 2, 19, 20])
def test_short_tracks_are_one_window(layout: str, frames: int, request: pytest.FixtureRequest) -> None:
    diffusion: pose.PoseLatentDiffusion = request.getfixturevalue(layout)
    with torch.inference_mode():
        noise = torch.randn(1, *diffusion.sizes.latent_shape)
        track = diffusion.long_track(torch.randn(frames, 6), None, noise, DIFFUSION)
    assert track.shape == (frames, 8) and track.isfinite().all()


def test_three_sources_of_pose_start_at_the_portrait() -> None:
    portrait, track = torch.randn(8), torch.randn(5, 8)
    assert torch.equal(pose.still(portrait, 3), portrait.repeat(3, 1))
    copied = pose.template(track, portrait, 12)
    torch.testing.assert_close(copied[0], portrait)
    torch.testing.assert_close(copied[4] - copied[0], track[4] - track[0])
    torch.testing.assert_close(copied[8], portrait)
    torch.testing.assert_close(copied[5], copied[3])
    assert torch.equal(pose.template(track[:1], portrait, 4), portrait.repeat(4, 1))
    torch.testing.assert_close(pose.from_portrait(track - track[0], portrait)[0], portrait)


def test_dropping_is_of_sound_of_text_and_of_both() -> None:
    told = objective.draw_told(20_000, 0.1, torch.Generator().manual_seed(0))
    shares = [float(part.float().mean()) for part in (~told.heard, ~told.told, ~told.heard & ~told.told)]
    assert shares == pytest.approx([0.2, 0.2, 0.1], abs=0.02)


def test_a_denoiser_that_knows_the_clean_latents_gives_them() -> None:
    latent = torch.randn(3, SMALL.latents, SMALL.width, generator=torch.Generator().manual_seed(0))

    schedule = sampler(replace(DIFFUSION, predicts="clean"))
    made = sample(schedule, lambda *_: latent, torch.randn_like(latent))
    torch.testing.assert_close(made, latent)


def test_what_is_predicted_is_what_the_loss_asks_for() -> None:
    latent, condition = torch.randn(2, 2, 16), conditioned()

    def loss(predicts: Literal["noise", "clean"], answer: Tensor | None) -> float:
        diffusion, draw = replace(DIFFUSION, predicts=predicts), torch.Generator().manual_seed(0)
        if answer is None:
            ahead = torch.Generator().manual_seed(0)
            torch.randint(diffusion.train_steps, (2,), generator=ahead)
            answer = torch.randn(latent.shape, generator=ahead)
        net = lambda *_: answer  # noqa: E731
        return float(objective.latent_loss(net, diffusion, alpha_bars(diffusion), latent, condition, draw))  # type: ignore[arg-type]

    assert loss("clean", latent) == 0 and loss("noise", None) == 0
    assert loss("clean", None) > 0.5 and loss("noise", latent) > 0.5


def test_latents_behind_the_end_do_not_count() -> None:
    latent, condition = torch.randn(2, 4, 3), conditioned()
    hidden = unused(TIMED, condition.lengths)
    diffusion = replace(DIFFUSION, predicts="clean")
    answer = torch.where(hidden[..., None], 50.0, latent + 2)

    def loss(*counted: Tensor) -> float:
        draw = torch.Generator().manual_seed(0)
        net = lambda *_: answer  # noqa: E731
        powers = alpha_bars(diffusion)
        return float(objective.latent_loss(net, diffusion, powers, latent, condition, draw, *counted))  # type: ignore[arg-type]

    assert loss(hidden) == pytest.approx(4) and loss() > 100


@pytest.mark.parametrize("predicts", ["noise", "clean"])
def test_the_denoiser_learns(predicts: Literal["noise", "clean"]) -> None:
    torch.manual_seed(0)
    diffusion = replace(DIFFUSION, predicts=predicts)
    net = PoseDenoiser(SMALL).train()
    latent, condition = torch.randn(2, 2, 16), conditioned()
    optimiser, draw = torch.optim.Adam(net.parameters(), 2e-3), torch.Generator().manual_seed(0)
    powers = alpha_bars(DIFFUSION)
    losses = []
    for _ in range(80):
        loss = objective.latent_loss(net, diffusion, powers, latent, condition, draw)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])


def test_the_track_loss_sees_only_what_counts_and_punishes_jitter() -> None:
    track, lengths = torch.zeros(2, 10, 8), torch.tensor([10, 4])
    wrong = track.clone()
    wrong[1, 4:] = 9
    assert objective.track_loss(wrong, track, lengths) == 0
    shifted, shaking = track + 0.5, track + 0.5 * torch.tensor([1.0, -1.0]).repeat(5)[:, None]
    assert objective.track_loss(shifted, track, lengths) == pytest.approx(0.125)
    assert objective.track_loss(shaking, track, lengths) > 4 * objective.track_loss(shifted, track, lengths)


def test_prompts_are_told_apart_and_padding_does_not_matter() -> None:
    torch.manual_seed(0)
    encoder = text.WordEncoder(12).eval()
    prompts = ["He nods for a long time.", "she turns left, then she shakes her head", "", "xyzzy he"]
    assert text.word_numbers(prompts)[3].tolist()[:3] == [text.OTHER, 2 + text.VOCABULARY.index("he"), text.PAD]
    with torch.inference_mode():
        together = encoder(prompts)
        torch.testing.assert_close(together, torch.cat([encoder([prompt]) for prompt in prompts]), atol=1e-5, rtol=1e-4)
        assert encoder(["nod " * 200]).shape == (1, 12) and encoder([]).shape == (0, 12)
    assert torch.pdist(together).min() > 1e-2
    assert len(set(text.VOCABULARY)) == len(text.VOCABULARY)


def test_clip_says_what_it_needs(tmp_path: Path) -> None:
    try:
        import transformers  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(MissingExtraError, match="transformers"):
            text.ClipText(tmp_path)


def test_padding_is_behind_the_end() -> None:
    assert padding(torch.tensor([0, 2, 3]), 3).tolist() == [[True, True, True], [False, False, True], [False] * 3]
