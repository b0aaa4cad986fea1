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
from thbench_methods.nets.building import computed
from thbench_methods.nets.embeddings import position_table
from thbench_methods.nets.posterior import Posterior
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.dawn.config import PBNetSizes, PoseRange


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


class PBNet(nn.Module):
    """The conditional variational autoencoder."""

    def __init__(self, sizes: PBNetSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)

    def generate(self, initial: Tensor, audio: Tensor, latent_noise: Tensor) -> Tensor:
        """Return differences to the first state; arguments as in `Decoder`, the latent being standard normal."""
        difference: Tensor = self.decoder(initial, latent_noise, audio)
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
        return self.generate(initial, audio, posterior.draw(noise)), posterior


def normalised_pose(pose: Tensor, limits: PoseRange = PUBLISHED_RANGE) -> Tensor:
    """Map poses (..., 6) to about [0, 1]; blinks are not normalised."""
    low, high = pose.new_tensor(limits.low), pose.new_tensor(limits.high)
    return (pose - low) / (high - low)


def pose_of(normalised: Tensor, limits: PoseRange = PUBLISHED_RANGE) -> Tensor:
    """Undo `normalised_pose`."""
    low, high = normalised.new_tensor(limits.low), normalised.new_tensor(limits.high)
    return low + normalised * (high - low)
