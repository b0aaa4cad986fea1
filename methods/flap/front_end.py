"""The front end: head coefficients from speech, by diffusion. It may be exchanged for anything that makes coefficients.

The architecture of the authors' own is not known. This one is the project's choice after DiffPoseTalk (Sun et al.,
SIGGRAPH 2024): a transformer predicts clean coefficients of a window of frames from noise, the speech at each frame,
the frames before the window and the portrait's own coefficients; head rotation and face leave it by heads of their own,
so that either can be taken from elsewhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.nets.ddim import DDIM, ddim
from thbench_methods.nets.embeddings import angles, frequencies, position_table
from thbench_methods.nets.sampling import sample
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from thbench_methods.flap.config import FrontEnd, Layout


class Speech(NamedTuple):
    """What a window is made from; coefficients are normal."""

    audio: Tensor
    """Shape (N, past + window, audio)."""
    past: Tensor
    """Coefficients of the frames before the window, (N, past, total)."""
    own: Tensor
    """The portrait's, (N, total)."""


class AudioToHead(nn.Module):
    """Predicts clean coefficients of a window."""

    positions: Tensor

    def __init__(self, sizes: FrontEnd, layout: Layout) -> None:
        super().__init__()
        width = sizes.width
        self.sizes, self.layout = sizes, layout
        self.embed_audio = nn.Linear(sizes.audio, width)
        self.embed_values = nn.Linear(layout.total, width)
        self.embed_own = nn.Linear(layout.total, width)
        self.embed_time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.kind = nn.Parameter(torch.randn(2, width) / 10)
        self.register_buffer("positions", position_table(sizes.past + sizes.window, width), persistent=False)
        layer = nn.TransformerEncoderLayer(
            width, sizes.heads, sizes.feed_forward, 0.0, batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, sizes.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, layout.head)
        self.face = nn.Linear(width, layout.face)

    def forward(self, noisy: Tensor, time: Tensor, speech: Speech) -> Tensor:
        """Predict the clean window.

        Args:
            noisy: Shape (N, window, total).
            time: Shape (N,), diffusion step from 0 on.
            speech: Of the same window.

        Returns:
            Shape (N, window, total).
        """
        before = speech.past.shape[1]
        values = self.embed_values(torch.cat((speech.past, noisy), dim=1))
        kinds = torch.cat((self.kind[:1].expand(before, -1), self.kind[1:].expand(noisy.shape[1], -1)))
        turns = angles(time, frequencies(self.sizes.width // 2).to(time.device))
        moment = self.embed_time(torch.cat((turns.cos(), turns.sin()), dim=-1)) + self.embed_own(speech.own)
        places = self.positions[: values.shape[1]]
        tokens = values + self.embed_audio(speech.audio) + kinds + places + moment[:, None]
        made = self.transformer(tokens)[:, before:]
        return torch.cat((self.head(made), self.face(made)), dim=-1)

    def windows(self, frames: int) -> int:
        """Return how many windows some frames are made in."""
        return math.ceil(frames / self.sizes.window)

    def track(self, audio: Tensor, own: Tensor, noise: Callable[[int], Tensor], steps: int | None = None) -> Tensor:
        """Make coefficients of a clip of any length, window by window; each goes on from the one before.

        Args:
            audio: Shape (frames, audio), at least one frame; silence of the last frame's kind is heard behind it.
            own: The portrait's coefficients, normal, (total,): what is before the first frame.
            noise: Number of a window to standard normal numbers (1, window, total).
            steps: DDIM steps; the config's unless stated.

        Returns:
            Normal coefficients, (frames, total).
        """
        sizes, schedule = self.sizes, sampler(self.sizes, steps or self.sizes.steps)
        count = self.windows(len(audio))
        places = torch.arange(-sizes.past, count * sizes.window, device=audio.device).clamp(0, len(audio) - 1)
        heard, made = audio[places], own.expand(sizes.past, -1)
        for number in range(count):
            first = number * sizes.window
            speech = Speech(
                heard[None, first : first + sizes.past + sizes.window], made[None, -sizes.past :], own[None]
            )

            def denoise(latent: Tensor, time: float, speech: Speech = speech) -> Tensor:
                clean: Tensor = self(latent, latent.new_full((1,), time), speech)
                return clean

            made = torch.cat((made, sample(schedule, denoise, noise(number))[0]))
        return made[sizes.past : sizes.past + len(audio)]


def alpha_bars(steps: int) -> Tensor:
    """Return (steps,): signal power by time, a squared cosine (Nichol and Dhariwal, 2021, equation 17)."""
    times = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    shift = 0.008
    bars = (
        torch.cos((times + shift) / (1 + shift) * math.pi / 2).square()
        / math.cos(shift / (1 + shift) * math.pi / 2) ** 2
    )
    return bars.clamp(1e-5, 1 - 1e-5)


def sampler(sizes: FrontEnd, steps: int) -> DDIM:
    """Return DDIM with equally spaced times, the last among them."""
    stride = sizes.train_steps / steps
    times = [round((step + 1) * stride) - 1 for step in range(steps)]
    return ddim(alpha_bars(sizes.train_steps).tolist(), times, "clean")
