"""The variational autoencoder of Pose Latent Diffusion: tracks of pose and gaze to a few latents, and back.

Source: PoseTalk, section 3.2; Motion Latent Diffusion, mld/models/architectures/mld_vae.py, for the layout: learned
tokens in front of the frames gather the latents, and the decoder's queries are positions. Timed latents, which are this
project's, are read from the frames' own tokens, and each query carries the latent of its frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from thbench_methods.nets.posterior import Posterior
from thbench_methods.posetalk.transformer import SkipTransformer, decoder_layer, encoder_layer
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.posetalk.config import PoseSizes


def padding(lengths: Tensor, frames: int) -> Tensor:
    """Return (N, frames), True behind the end of tracks of some lengths (N,)."""
    return torch.arange(frames, device=lengths.device) >= lengths[:, None]


def unused(sizes: PoseSizes, lengths: Tensor) -> Tensor:
    """Return (N, latents), True for latents that lie behind the end of tracks of some lengths (N,)."""
    count = sizes.latent_shape[0]
    if not sizes.timed:
        return torch.zeros(len(lengths), count, dtype=torch.bool, device=lengths.device)
    return padding(-(-lengths // sizes.track_stride), count)


def between(wide: int, narrow: int) -> nn.Module:
    """Return a layer from one width to another; nothing is changed where they are the same."""
    return nn.Identity() if wide == narrow else nn.Linear(wide, narrow)


FIRST_LOG_VARIANCE = -4.0
"""Where training starts: latents that say something, before the divergence widens them."""


class PoseVAE(nn.Module):
    """Encoder and decoder; tracks are standardised and relative to their first frame."""

    def __init__(self, sizes: PoseSizes) -> None:
        super().__init__()
        self.sizes = sizes
        shape = sizes.width, sizes.heads, sizes.feed_forward, sizes.dropout
        tokens, latent = sizes.tokens, sizes.latent_shape[1]
        summaries = 0 if sizes.timed else sizes.latents
        self.embed = nn.Linear(sizes.track_stride * sizes.track, sizes.width)
        self.summary = nn.Parameter(torch.randn(summaries, sizes.width))
        self.encoder_positions = nn.Parameter(torch.randn(summaries + tokens, sizes.width) / 10)
        self.encoder = SkipTransformer(sizes.width, sizes.layers, lambda: encoder_layer(*shape))
        # Read by a layer of its own, as the transformer's last norm would hold the variance near one.
        self.moments = nn.Linear(sizes.width, 2 * latent)
        nn.init.constant_(self.moments.bias[latent:], FIRST_LOG_VARIANCE)
        self.embed_latent = between(latent, sizes.width)
        self.queries = nn.Parameter(torch.randn(tokens, sizes.width) / 10)
        self.decoder = SkipTransformer(sizes.width, sizes.layers, lambda: decoder_layer(*shape))
        self.read = nn.Linear(sizes.width, sizes.track_stride * sizes.track)

    def encode(self, track: Tensor, lengths: Tensor) -> Posterior:
        """Return the distribution of the latents.

        Args:
            track: Shape (N, F, track), F at most `sizes.window`.
            lengths: Shape (N,): frames of each that count.

        Returns:
            Of shape (N, latents, latent width); standard normal for timed latents behind the end.
        """
        clips, frames, _ = track.shape
        stride = self.sizes.track_stride
        shown = track.masked_fill(padding(lengths, frames)[..., None], 0.0)
        together = F.pad(shown, (0, 0, 0, -frames % stride)).view(clips, -1, stride * track.shape[2])
        tokens = torch.cat((self.summary.expand(clips, -1, -1), self.embed(together)), dim=1)
        hidden = padding(-(-lengths // stride), together.shape[1])
        mask = torch.cat((hidden.new_zeros(clips, len(self.summary)), hidden), dim=1)
        positions = self.encoder_positions[: tokens.shape[1]]
        encoded: Tensor = self.encoder(tokens + positions, src_key_padding_mask=mask)
        if not self.sizes.timed:
            return Posterior(*self.moments(encoded[:, : len(self.summary)]).chunk(2, dim=-1))
        moments = self.moments(encoded).masked_fill(hidden[..., None], 0.0)
        return Posterior(*F.pad(moments, (0, 0, 0, self.sizes.tokens - moments.shape[1])).chunk(2, dim=-1))

    def decode(self, latent: Tensor, lengths: Tensor, frames: int) -> Tensor:
        """Return tracks (N, frames, track) of latents (N, latents, latent width); zero behind the end of each."""
        stride = self.sizes.track_stride
        count = -(-frames // stride)
        queries = self.queries[:count].expand(len(latent), -1, -1)
        hidden, unseen, memory = padding(-(-lengths // stride), count), None, self.embed_latent(latent)
        if self.sizes.timed:
            memory = queries = queries + memory[:, :count]
            unseen = hidden
        context = {"memory": memory, "tgt_key_padding_mask": hidden, "memory_key_padding_mask": unseen}
        read = self.read(self.decoder(queries, **context))
        decoded: Tensor = read.view(len(latent), count * stride, self.sizes.track)[:, :frames]
        return decoded.masked_fill(padding(lengths, frames)[..., None], 0.0)

    def forward(self, track: Tensor, lengths: Tensor, noise: Tensor) -> tuple[Tensor, Posterior]:
        """Reconstruct tracks, for training, with standard normal numbers (N, latents, latent width)."""
        posterior = self.encode(track, lengths)
        return self.decode(posterior.draw(noise), lengths, track.shape[1]), posterior
