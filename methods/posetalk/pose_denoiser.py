"""The denoiser of Pose Latent Diffusion: noise in latents, from sound and text.

Source: PoseTalk, section 3.2 and figure 2: the noisy latents stand in one sequence with the embeddings of the text, of
the diffusion time and of the sound. Timed latents, which are this project's, are told the sound around their own frames
instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.nets.ddim import DDIM, ddim
from thbench_methods.nets.embeddings import angles, frequencies
from thbench_methods.posetalk.pose_vae import between, padding, unused
from thbench_methods.posetalk.transformer import SkipTransformer, encoder_layer
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.posetalk.config import PoseDiffusion, PoseSizes


class PoseCondition(NamedTuple):
    """What the tracks of N windows depend on."""

    audio: Tensor
    """Shape (N, F, audio): speech at each frame."""
    lengths: Tensor
    """Shape (N,): frames of each that count."""
    text: Tensor
    """Shape (N, text): embedded prompts."""
    heard: Tensor
    """Shape (N,), bool: whether the sound is told."""
    told: Tensor
    """Shape (N,), bool: whether the text is told."""


class PoseDenoiser(nn.Module):
    """A skip transformer over [latents, time, text, sound]."""

    def __init__(self, sizes: PoseSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width, (latents, latent) = sizes.width, sizes.latent_shape
        most = latents + 2 + (0 if sizes.timed else -(-sizes.window // sizes.audio_stride))
        self.positions = nn.Parameter(torch.randn(most, width) / 10)
        self.embed_time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_text = nn.Sequential(nn.ReLU(), nn.Linear(sizes.text, width))
        if not sizes.timed:
            self.embed_audio = nn.Linear(sizes.audio, width)
        self.no_text = nn.Parameter(torch.randn(width))
        if not sizes.timed:
            self.no_audio = nn.Parameter(torch.randn(width))
        shape = width, sizes.heads, sizes.feed_forward, sizes.dropout
        self.transformer = SkipTransformer(width, sizes.layers, lambda: encoder_layer(*shape))
        self.embed_latent, self.read = between(latent, width), between(width, latent)
        if sizes.timed:
            self.listen = Listener(sizes)

    def forward(self, latent: Tensor, time: Tensor, condition: PoseCondition) -> Tensor:
        """Predict the noise in latents, or the clean latents, as `PoseDiffusion.predicts` has it.

        Args:
            latent: Shape (N, latents, latent width).
            time: Shape (N,): diffusion times.
            condition: What the tracks depend on.

        Returns:
            Of the shape of `latent`.
        """
        return self.full(latent, time, condition)[0]

    def full(self, latent: Tensor, time: Tensor, condition: PoseCondition) -> tuple[Tensor, Tensor]:
        """Run all layers; returns the prediction and what `shallow` can use again."""
        tokens, mask = self._sequence(latent, time, condition)
        first = self.transformer.enter(tokens, src_key_padding_mask=mask)
        deep = self.transformer.deep(first, src_key_padding_mask=mask)
        return self._leave(deep, first, mask), deep

    def shallow(self, latent: Tensor, time: Tensor, condition: PoseCondition, deep: Tensor) -> Tensor:
        """Run the first and the last layer only, around what `full` gave at another time."""
        tokens, mask = self._sequence(latent, time, condition)
        return self._leave(deep, self.transformer.enter(tokens, src_key_padding_mask=mask), mask)

    def _leave(self, deep: Tensor, first: Tensor, mask: Tensor) -> Tensor:
        left = self.transformer.leave(deep, first, src_key_padding_mask=mask)
        read: Tensor = self.read(left[:, : self.sizes.latent_shape[0]])
        return read

    def _sequence(self, latent: Tensor, time: Tensor, condition: PoseCondition) -> tuple[Tensor, Tensor]:
        """Return the tokens, (N, S, width), and where they are padding, (N, S)."""
        turns = angles(time, frequencies(self.sizes.width // 2).to(time.device))
        moment = self.embed_time(torch.cat((turns.sin(), turns.cos()), dim=-1))
        text = torch.where(condition.told[:, None], self.embed_text(condition.text), self.no_text)
        known, hidden = self.embed_latent(latent), unused(self.sizes, condition.lengths)
        shown = hidden.new_zeros(len(latent), 2)
        if self.sizes.timed:
            tokens = torch.cat((known + self.listen(condition), moment[:, None], text[:, None]), dim=1)
            return tokens + self.positions, torch.cat((hidden, shown), dim=1)
        audio = self.embed_audio(pooled(condition.audio, condition.lengths, self.sizes.audio_stride))
        audio = torch.where(condition.heard[:, None, None], audio, self.no_audio)
        tokens = torch.cat((known, moment[:, None], text[:, None], audio), dim=1)
        silent = padding(-(-condition.lengths // self.sizes.audio_stride), audio.shape[1])
        return tokens + self.positions[: tokens.shape[1]], torch.cat((hidden, shown, silent), dim=1)


HEARD, FORGOTTEN = 12, 0.2
"""Values that a stretch's sound is told by; share of its features that training leaves out. With more of them a network
knows the clips of its training by their sound, and what their heads do: it then moves the heads of others less."""


class Listener(nn.Module):
    """What timed latents are told of the sound around their frames: nothing where it is not told, and at first."""

    def __init__(self, sizes: PoseSizes) -> None:
        super().__init__()
        self.sizes = sizes
        stride = sizes.track_stride
        # Frames are told apart, as their mean would not say where in the stretch a syllable is.
        self.near = nn.Conv1d(sizes.audio, HEARD, 3 * stride, stride, padding=stride)
        self.tell = nn.Linear(HEARD, sizes.width)
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)

    def forward(self, condition: PoseCondition) -> Tensor:
        """Return (N, latents, width): of the stretch of each latent, with the one before and the one behind it."""
        audio = condition.audio.masked_fill(padding(condition.lengths, condition.audio.shape[1])[..., None], 0.0)
        whole = F.pad(audio, (0, 0, 0, self.sizes.tokens * self.sizes.track_stride - audio.shape[1]))
        told: Tensor = self.tell(F.silu(self.near(F.dropout(whole, FORGOTTEN, self.training).mT)).mT)
        return told * condition.heard[:, None, None]


def pooled(audio: Tensor, lengths: Tensor, stride: int) -> Tensor:
    """Return the mean of each `stride` frames of audio (N, F, d) that count: (N, ceil(F / stride), d)."""
    counted = (~padding(lengths, audio.shape[1])).to(audio.dtype)[..., None]
    sums, counts = (
        F.pad(values, (0, 0, 0, -audio.shape[1] % stride)).view(len(audio), -1, stride, values.shape[2]).sum(dim=2)
        for values in (audio * counted, counted)
    )
    return sums / counts.clamp(min=1)


@dataclass(frozen=True, slots=True)
class Guided:
    """The denoiser under two-scale guidance: nothing told, plus what sound changes, plus what text changes then.

    With the predictions ε of nothing, of sound, and of sound and text: ε_∅ + g_a (ε_a - ε_∅) + g_t (ε_at - ε_a).
    """

    denoiser: PoseDenoiser
    diffusion: PoseDiffusion

    def full(self, z: Tensor, t: Tensor, condition: PoseCondition) -> tuple[Tensor, Tensor]:
        """Return the guided noise of (N, latents, latent width), and what entered the last merge."""
        noise, deep = self.denoiser.full(z.repeat(VIEWS, 1, 1), t.repeat(VIEWS), views(condition))
        return self._guided(noise), deep

    def shallow(self, z: Tensor, t: Tensor, condition: PoseCondition, deep: Tensor) -> Tensor:
        """Return the guided noise by the first and the last layer alone."""
        return self._guided(self.denoiser.shallow(z.repeat(VIEWS, 1, 1), t.repeat(VIEWS), views(condition), deep))

    def repeated(self, condition: PoseCondition, deep: Tensor, times: int) -> tuple[PoseCondition, Tensor]:
        """Return both for latents whose rows are each repeated, the copies of a row together."""
        rows = PoseCondition(*(part.repeat_interleave(times, dim=0) for part in condition))
        return rows, deep.repeat_interleave(times, dim=0)

    def _guided(self, noise: Tensor) -> Tensor:
        nothing, sound, both = noise.chunk(VIEWS)
        scales = self.diffusion
        guided: Tensor = nothing + scales.audio_guidance * (sound - nothing) + scales.text_guidance * (both - sound)
        return guided


VIEWS = 3
"""Nothing told, sound told, sound and text told."""


def views(condition: PoseCondition) -> PoseCondition:
    """Return the conditions of the three predictions as one batch."""
    nobody = torch.zeros_like(condition.heard)
    parts = (condition._replace(heard=nobody, told=nobody), condition._replace(told=nobody), condition)
    return PoseCondition(*(torch.cat(each) for each in zip(*parts, strict=True)))


def alpha_bars(diffusion: PoseDiffusion) -> Tensor:
    """Return (train_steps,): signal power by time, for noise variances whose square root rises linearly."""
    roots = torch.linspace(
        diffusion.beta_start**0.5, diffusion.beta_end**0.5, diffusion.train_steps, dtype=torch.float64
    )
    return torch.cumprod(1 - roots.square(), dim=0)


def sampler(diffusion: PoseDiffusion) -> DDIM:
    """Return DDIM with equally spaced times from 1 on, as in Motion Latent Diffusion."""
    stride = diffusion.train_steps // diffusion.steps
    return ddim(alpha_bars(diffusion).tolist(), range(1, 1 + stride * diffusion.steps, stride), diffusion.predicts)
