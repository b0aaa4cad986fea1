"""Tracks of head pose and gaze: generated from text and sound, taken from another video, or still.

Source: PoseTalk, section 3.1 (three sources of pose) and 3.2. Tracks are (F, track) in the order of `config.TRACK`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.posetalk.pose_denoiser import Guided, PoseCondition, PoseDenoiser, sampler
from thbench_methods.posetalk.pose_vae import PoseVAE
from torch import Tensor, nn

from thbench.accel.loop import EVERY_STEP, sample
from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thbench_methods.posetalk.config import PoseDiffusion, PoseSizes

    from thbench.accel.moves import Plan, Step


class PoseLatentDiffusion(nn.Module):
    """The autoencoder, the denoiser, and the numbers that standardise tracks and latents."""

    track_deviation: Tensor
    """Shape (track,)."""
    latent_mean: Tensor
    """Shape (latents, latent width); (latent width,) where latents are timed, as what they tell is the same at each
    place."""
    latent_deviation: Tensor
    """Of the same shape."""

    def __init__(self, sizes: PoseSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.vae = PoseVAE(sizes)
        self.denoiser = PoseDenoiser(sizes)
        self.register_buffer("track_deviation", torch.ones(sizes.track))
        each = sizes.latent_shape[1:] if sizes.timed else sizes.latent_shape
        self.register_buffer("latent_mean", torch.zeros(each))
        self.register_buffer("latent_deviation", torch.ones(each))

    def generate(
        self,
        condition: PoseCondition,
        noise: Tensor,
        diffusion: PoseDiffusion,
        plan: Plan = EVERY_STEP,
        on_step: Callable[[Step], None] | None = None,
    ) -> Tensor:
        """Return tracks of N windows, relative to their first frame.

        Args:
            condition: What they depend on; N windows of F frames.
            noise: Standard normal numbers, shape (N, latents, latent width).
            diffusion: Sampler and guidance.
            plan: Which steps are computed.
            on_step: Told of each step.

        Returns:
            Shape (N, F, track); zero behind the end of each.
        """
        denoiser = Guided(self.denoiser, diffusion)
        drawn = sample(denoiser, sampler(diffusion), noise, condition, plan, on_step)
        latent = drawn * self.latent_deviation + self.latent_mean
        frames = condition.audio.shape[1]
        return self.vae.decode(latent, condition.lengths, frames) * self.track_deviation

    def starts(self, frames: int, diffusion: PoseDiffusion) -> list[int]:
        """Return where the windows of a track of some frames, at least one, start."""
        window = min(self.sizes.window, frames)
        return window_starts(frames, window, min(diffusion.overlap, window - 1))

    def long_track(
        self,
        audio: Tensor,
        text: Tensor | None,
        noise: Tensor,
        diffusion: PoseDiffusion,
        plan: Plan = EVERY_STEP,
        on_step: Callable[[Step], None] | None = None,
        *,
        heard: bool = True,
    ) -> Tensor:
        """Return a track of any length, relative to its first frame.

        Windows share `diffusion.overlap` frames. Each goes on from where the one before is, and is faded into it.

        Args:
            audio: Shape (F, audio), at least one frame.
            text: Shape (text,): the prompt; None for none.
            noise: Standard normal numbers, shape (windows, latents, width), one for each of `starts`.
            diffusion: Sampler and guidance.
            plan: As for `generate`, which makes all windows at once.
            on_step: As for `generate`.
            heard: Whether the sound is told, beside how long it lasts.

        Returns:
            Shape (F, track).
        """
        frames, window = len(audio), min(self.sizes.window, len(audio))
        starts = self.starts(frames, diffusion)
        if len(noise) != len(starts):
            raise MethodError(f"{len(noise)} windows of noise were given, but {frames} frames need {len(starts)}")
        prompt = audio.new_zeros(self.sizes.text) if text is None else text
        every = torch.ones(len(starts), dtype=torch.bool, device=audio.device)
        condition = PoseCondition(
            torch.stack([audio[start : start + window] for start in starts]),
            torch.full((len(starts),), window, device=audio.device),
            prompt.expand(len(starts), -1),
            heard=every if heard else ~every,
            told=every if text is not None else ~every,
        )
        return chained(self.generate(condition, noise, diffusion, plan, on_step), starts)


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """Return where the fewest windows that cover some frames start, the last as far as it can be."""
    return [*range(0, max(frames - window, 0), window - overlap), max(frames - window, 0)]


def chained(windows: Tensor, starts: list[int]) -> Tensor:
    """Join windows (N, window, track), each relative to its own first frame, into one track relative to its first.

    Each window starts from where the track then is. Over the frames that both cover, the track fades from the one to
    the other.
    """
    track = windows[0] - windows[0, :1]
    for window, start in zip(windows[1:], starts[1:], strict=True):
        shared = len(track) - start
        placed = window - window[:1] + track[start]
        share = torch.arange(shared, dtype=track.dtype, device=track.device)[:, None] / max(shared, 1)
        track = torch.cat((track[:start], torch.lerp(track[start:], placed[:shared], share), placed[shared:]))
    return track


def from_portrait(relative: Tensor, portrait: Tensor) -> Tensor:
    """Return the track that starts at the portrait's own pose and gaze (track,) and moves by `relative` (F, track)."""
    return portrait + relative


def still(portrait: Tensor, frames: int) -> Tensor:
    """Return the track that keeps the portrait's pose and gaze (track,)."""
    return portrait.expand(frames, -1)


def template(track: Tensor, portrait: Tensor, frames: int) -> Tensor:
    """Return another video's track (T, track), moved to start at the portrait's, forth and back as often as needed."""
    there_and_back = torch.cat((track, track[1:-1].flip(0)))
    places = torch.arange(frames, device=track.device) % len(there_and_back)
    return from_portrait((there_and_back - there_and_back[:1])[places], portrait)
