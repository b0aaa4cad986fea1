"""PBNet: head pose and blinks of a whole clip from its sound, by a conditional variational autoencoder.

Source: DAWN, section 3.4; Hanbo-Cheng/DAWN-pytorch, PBnet/src/models (cvae.py, transformerreemb5.py); after Petrovich
et al., "ACTOR", ICCV 2021. All frames come from one pass; each has a latent of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from thbench_methods.dawn.attention import (
    ChannelNorm,
    PreNorm,
    RelativePositionBias,
    Residual,
    Rotary,
    TemporalAttention,
    attend,
    join_heads,
    split_heads,
)
from thbench_methods.dawn.config import PUBLISHED_RANGE
from thbench_methods.dawn.windows import Window, windows
from thbench_methods.nets.building import computed
from thbench_methods.nets.embeddings import position_table
from thbench_methods.nets.posterior import Posterior
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.dawn.config import PBNetSizes, PoseRange

OVERLAP = 8
"""Least number of frames that neighbouring stretches share: about a blink."""


class Positions(nn.Module):
    """The table of sinusoidal positions."""

    pe: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("pe", computed(lambda: position_table(length, width)[:, None]))

    def forward(self, x: Tensor) -> Tensor:
        """Add positions to (N, F, width)."""
        return x + self.pe[: x.shape[1], 0]


class Encoder(nn.Module):
    """A clip's states and sound to the distribution of its latents; only for training."""

    def __init__(self, sizes: PBNetSizes) -> None:
        super().__init__()
        self.poseEmbedding = nn.Linear(sizes.state, sizes.state_latent)
        self.firstposeEmbedding = nn.Linear(sizes.state, sizes.state_latent)
        self.audioEmbedding = nn.Linear(sizes.audio, sizes.audio_latent)
        self.sequence_pos_encoder = Positions(sizes.max_frames, sizes.encoder)
        self.dropout = nn.Dropout(sizes.dropout)
        layer = nn.TransformerEncoderLayer(
            sizes.encoder, sizes.heads, sizes.feed_forward, sizes.dropout, activation="gelu", batch_first=True
        )
        self.seqTransEncoder = nn.TransformerEncoder(layer, sizes.layers, enable_nested_tensor=False)
        self.mu_layer = nn.Linear(sizes.encoder, sizes.audio_latent)
        self.sigma_layer = nn.Linear(sizes.encoder, sizes.audio_latent)

    def forward(self, initial: Tensor, difference: Tensor, audio: Tensor) -> Posterior:
        """Encode N clips of F frames.

        Args:
            initial: Shape (N, 1, state): the first state, normalised.
            difference: Shape (N, F, state): each state less the first.
            audio: Shape (N, F, audio).
        """
        first = self.firstposeEmbedding(initial).expand(-1, difference.shape[1], -1)
        tokens = torch.cat((first, self.poseEmbedding(difference), self.audioEmbedding(audio)), dim=-1)
        features = self.seqTransEncoder(self.dropout(self.sequence_pos_encoder(tokens)))
        return Posterior(self.mu_layer(features), self.sigma_layer(features))


class CrossAttention(nn.Module):
    """Attention over time from the clip to the memory of equal length."""

    def __init__(self, width: int, heads: int, head_width: int, rotary: Rotary) -> None:
        super().__init__()
        self.heads = heads
        self.rotary_emb = rotary
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, heads * head_width, bias=False) for _ in range(3))
        self.to_out = nn.Linear(heads * head_width, width, bias=False)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor, window: int | None) -> Tensor:
        """Map (N, F, width) and (N, F, width) to the same shape; `bias` and `window` as in `attend`."""
        queries, keys, values = (
            split_heads(part, self.heads) for part in (self.to_q(x), self.to_k(memory), self.to_v(memory))
        )
        attended = attend(self.rotary_emb(queries), self.rotary_emb(keys), values, bias, window)
        y: Tensor = self.to_out(join_heads(attended))
        return y


class FeedForward(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, width: int, between: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, between)
        self.linear2 = nn.Linear(between, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        y: Tensor = self.linear2(self.dropout(F.gelu(self.linear1(x))))
        return y


class DecoderLayer(nn.Module):
    """Self-attention, attention to the memory, feed-forward; each normalised after it is added."""

    def __init__(self, sizes: PBNetSizes, rotary: Rotary) -> None:
        super().__init__()
        width = sizes.state_latent
        self.self_attn = TemporalAttention(width, sizes.heads, sizes.head_width, rotary)
        self.multihead_attn = CrossAttention(width, sizes.heads, sizes.head_width, rotary)
        self.ffn = FeedForward(width, sizes.feed_forward, sizes.dropout)
        self.layer_norm1, self.layer_norm2, self.layer_norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x: Tensor, memory: Tensor, own: Tensor, other: Tensor, window: int | None) -> Tensor:
        """Map (N, F, width) to the same shape; `own` and `other` are the biases of the two attentions."""
        x = self.layer_norm1(x + self.dropout(self.self_attn(x, own, window)))
        x = self.layer_norm2(x + self.dropout(self.multihead_attn(x, memory, other, window)))
        y: Tensor = self.layer_norm3(x + self.dropout(self.ffn(x)))
        return y


class DecoderLayers(nn.Module):
    """The layers, under the name that the checkpoint gives them."""

    def __init__(self, sizes: PBNetSizes, rotary: Rotary) -> None:
        super().__init__()
        self.decoder_layers = nn.ModuleList(DecoderLayer(sizes, rotary) for _ in range(sizes.layers))

    def forward(self, x: Tensor, memory: Tensor, own: Tensor, other: Tensor, window: int | None) -> Tensor:
        """Map (N, F, width) to the same shape."""
        for layer in self.decoder_layers:
            x = layer(x, memory, own, other, window)
        return x


class Decoder(nn.Module):
    """Latents, the first state and sound to the states of the whole clip."""

    ROTARY_FEATURES = 4

    def __init__(self, sizes: PBNetSizes) -> None:
        super().__init__()
        width = sizes.state_latent
        self.window = sizes.window
        self.firstposeEmbedding = nn.Linear(sizes.state, width)
        self.audioEmbedding = nn.Linear(sizes.audio, sizes.audio_latent)
        self.ztimelinear = nn.Linear(width + 2 * sizes.audio_latent, width)
        self.init_proj = nn.Linear(width, width)
        self.sequence_pos_encoder = Positions(sizes.max_frames, width)  # in the checkpoint, but of no effect
        self.time_rel_pos_bias_tgt, self.time_rel_pos_bias_mem = (
            RelativePositionBias(sizes.heads, sizes.buckets, sizes.max_distance) for _ in range(2)
        )
        rotary = Rotary(self.ROTARY_FEATURES)
        attention = TemporalAttention(width, sizes.heads, sizes.head_width, rotary)
        self.init_temporal_attn = Residual(PreNorm(attention, ChannelNorm((1, 1, width), axis=2)))
        self.seqTransDecoder = DecoderLayers(sizes, rotary)
        self.finallayer = nn.Linear(width, sizes.state)

    def forward(self, initial: Tensor, latent: Tensor, audio: Tensor) -> Tensor:
        """Return how far the states of N clips of F frames are from the first.

        Args:
            initial: Shape (N, 1, state), normalised.
            latent: Shape (N, F, audio_latent).
            audio: Shape (N, F, audio).

        Returns:
            Shape (N, F, state).
        """
        frames = audio.shape[1]
        first = self.firstposeEmbedding(initial).expand(-1, frames, -1)
        memory = self.ztimelinear(torch.cat((first, latent, self.audioEmbedding(audio)), dim=-1))
        window = None if self.training else self.window
        own, other = self.time_rel_pos_bias_tgt(frames, window), self.time_rel_pos_bias_mem(frames, window)
        queries = self.init_proj(torch.zeros_like(memory))
        queries = self.init_temporal_attn(queries, own, window)
        difference: Tensor = self.finallayer(self.seqTransDecoder(queries, memory, own, other, window))
        return difference


COMPONENTS = 8
"""Principal components of latents that are drawn; the others hardly vary."""
RIDGE = 1e-3
"""Added to variances that are measured, in units of the mean one."""


class LatentPrior(nn.Module):
    """What the latents of a clip are like, measured once they are learned, for generating clips.

    Frames have latents of their own, but those of neighbouring frames are alike: drawn independently of each other they
    would average out. Here their principal components are stationary normal processes, each with its own covariance
    over time, around a mean that depends on the clip's first state. Measuring latents after training: Ghosh et al.,
    "From Variational to Deterministic Autoencoders", ICLR 2020, section 4; the processes are the project's choice.
    """

    mean: Tensor
    """Shape (1 + state, frames, latent): at the state 0, and by each of its numbers."""
    basis: Tensor
    """Principal directions, (latent, components)."""
    over_frames: Tensor
    """Cholesky factor of each component's covariance, (components, frames, frames)."""

    def __init__(self, frames: int, state: int, latent: int) -> None:
        super().__init__()
        count = min(COMPONENTS, latent)
        self.register_buffer("mean", torch.zeros(1 + state, frames, latent))
        self.register_buffer("basis", torch.eye(latent, count))
        self.register_buffer("over_frames", torch.eye(frames).repeat(count, 1, 1))

    def forward(self, initial: Tensor, noise: Tensor) -> Tensor:
        """Return latents of standard normal numbers (N, F, latent), F at most `frames`, and first states (N, 1, state).

        Only the first numbers of each frame's noise are used, one for each component.
        """
        frames, count = noise.shape[1], self.basis.shape[1]
        mean = torch.einsum("nk,kfd->nfd", _with_one(initial[:, 0]), self.mean[:, :frames])
        factors = self.over_frames[:, :frames, :frames]
        return mean + torch.einsum("cft,ntc->nfc", factors, noise[..., :count]) @ self.basis.T

    @torch.no_grad()
    def keep(self, initial: Tensor, latents: Tensor) -> None:
        """Measure latents of clips, (N, frames, latent), and first states (N, 1, state)."""
        known = _with_one(initial[:, 0])
        inner = known.T @ known
        ridge = RIDGE * inner.diagonal().mean() * torch.eye(len(inner))
        self.mean.copy_(torch.linalg.solve(inner + ridge, known.T @ latents.flatten(1)).view_as(self.mean))
        rest = latents - torch.einsum("nk,kfd->nfd", known, self.mean)
        rows = rest.flatten(0, 1)
        directions = torch.linalg.eigh(rows.T @ rows / len(rows)).eigenvectors
        self.basis.copy_(directions.flip(1)[:, : self.basis.shape[1]])
        self.over_frames.copy_(_factors(rest @ self.basis))


def _with_one(states: Tensor) -> Tensor:
    return torch.cat((torch.ones_like(states[:, :1]), states), dim=1)


def _factors(processes: Tensor) -> Tensor:
    """Return the Cholesky factors (C, F, F) of the covariances over time of stationary processes (N, F, C)."""
    frames = processes.shape[1]
    # Over the whole length at every distance, which keeps the covariance positive.
    power = torch.fft.rfft(processes, n=2 * frames, dim=1).abs().square().mean(dim=0)
    covariance = torch.fft.irfft(power, dim=0)[:frames].T / frames
    places = torch.arange(frames)
    matrices = covariance[:, (places[:, None] - places).abs()]
    factors: Tensor = torch.linalg.cholesky(matrices + RIDGE * covariance[:, 0].mean() * torch.eye(frames))
    return factors


class PBNet(nn.Module):
    """The conditional variational autoencoder."""

    def __init__(self, sizes: PBNetSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)
        self.prior = None if sizes.longest is None else LatentPrior(sizes.longest, sizes.state, sizes.audio_latent)

    def generate(self, initial: Tensor, audio: Tensor, latent_noise: Tensor) -> Tensor:
        """Return differences to the first state; arguments as in `Decoder`, the latent being standard normal.

        Clips longer than `sizes.longest` are made in stretches. Each goes on from where the one before is at its
        start, and is faded into it.
        """
        covers = windows(audio.shape[1], self.sizes.longest or audio.shape[1], OVERLAP)
        whole = self._drawn(initial, latent_noise, audio, covers[0])
        for cover in covers[1:]:
            reached = whole[:, cover.start : cover.start + 1]
            part = reached + self._drawn(initial + reached, latent_noise, audio, cover)
            shared = whole.shape[1] - cover.start
            share = torch.arange(shared, dtype=part.dtype, device=part.device)[:, None] / shared
            faded = torch.lerp(whole[:, cover.start :], part[:, :shared], share)
            whole = torch.cat((whole[:, : cover.start], faded, part[:, shared:]), dim=1)
        return whole

    def _drawn(self, initial: Tensor, noise: Tensor, audio: Tensor, cover: Window) -> Tensor:
        """Return the differences of a stretch to its first state."""
        noise, audio = noise[:, cover.start : cover.stop], audio[:, cover.start : cover.stop]
        return self._decoded(initial, noise if self.prior is None else self.prior(initial, noise), audio)

    def _decoded(self, initial: Tensor, latent: Tensor, audio: Tensor) -> Tensor:
        difference: Tensor = self.decoder(initial, latent, audio)
        if self.sizes.anchored:
            difference = difference - difference[:, :1]
        return difference

    def forward(self, states: Tensor, audio: Tensor, noise: Tensor) -> tuple[Tensor, Posterior]:
        """Reconstruct clips, for training.

        Args:
            states: Shape (N, F, state), normalised.
            audio: Shape (N, F, audio).
            noise: Shape (N, F, audio_latent), standard normal.

        Returns:
            Reconstructed differences to the first state, (N, F, state), and the distribution of the latents.
        """
        initial = states[:, :1]
        posterior: Posterior = self.encoder(initial, states - initial, audio)
        return self._decoded(initial, posterior.draw(noise), audio), posterior


def normalised_pose(pose: Tensor, limits: PoseRange = PUBLISHED_RANGE) -> Tensor:
    """Map poses (..., 6) to about [0, 1]; blinks are not normalised."""
    low, high = pose.new_tensor(limits.low), pose.new_tensor(limits.high)
    return (pose - low) / (high - low)


def pose_of(normalised: Tensor, limits: PoseRange = PUBLISHED_RANGE) -> Tensor:
    """Undo `normalised_pose`."""
    low, high = normalised.new_tensor(limits.low), normalised.new_tensor(limits.high)
    return low + normalised * (high - low)
