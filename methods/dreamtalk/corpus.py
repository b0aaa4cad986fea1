"""Expression and speech of clips, as the trainings of lip expert, denoising network and style predictor draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.dreamtalk.hearing import all_layers
from thbench_methods.dreamtalk.lip_expert import MouthMesh
from thbench_methods.dreamtalk.motion import FEATURES_PER_FRAME, StyleClip

from thbench.data.synth_heads import topology
from thbench.data.synth_heads.expression import EXPRESSIONS, expression_deltas
from thbench.data.synth_heads.template import template

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.config import Config
    from thbench_methods.dreamtalk.examples import Examples
    from thbench_methods.nets.speech.encoder import SpeechEncoder
    from torch import Tensor

CHIN = (18, 199, 200, 152)
"""Landmarks below the lips that are seen as part of the mouth."""
SHORTEST_STYLE = 40
"""Frames of the shortest style clip that is drawn."""


class Stretch(NamedTuple):
    """Consecutive frames of clips."""

    expression: Tensor
    """Shape (N, frames, motion)."""
    features: Tensor
    """Shape (N, 2 frames, audio): speech at the same time."""
    windows: Tensor
    """Shape (N, frames, window, audio): speech around each frame."""
    style: StyleClip
    """Of the same clips, begun at random."""


@dataclass(frozen=True)
class Corpus:
    """Clips of one split."""

    config: Config
    expression: Tensor
    """Shape (clips, frames, motion)."""
    features: Tensor
    """Shape (clips, 2 frames, audio)."""

    def __len__(self) -> int:
        return len(self.expression)

    @property
    def frames(self) -> int:
        """Of each clip."""
        return self.expression.shape[1]

    def stretch(self, clips: Tensor, first: Tensor, frames: int, rng: np.random.Generator) -> Stretch:
        """Return frames of clips (N,) from `first` (N,) on, with style clips drawn from the same clips."""
        rows = first[:, None] + torch.arange(frames)
        heard = FEATURES_PER_FRAME * first[:, None] + torch.arange(FEATURES_PER_FRAME * frames)
        return Stretch(
            self.expression[clips[:, None], rows],
            self.features[clips[:, None], heard],
            self.around(clips, rows),
            self.style(clips, rng),
        )

    def around(self, clips: Tensor, rows: Tensor) -> Tensor:
        """Return the speech (N, frames, window, audio) around frames (N, frames) of clips (N,), zeros beyond."""
        radius = self.config.sizes.window // 2
        places = FEATURES_PER_FRAME * rows[..., None] + torch.arange(-radius, radius + 1)
        last = self.features.shape[1] - 1
        found = self.features[clips[:, None, None], places.clamp(0, last)]
        return found * ((places >= 0) & (places <= last))[..., None]

    def style(self, clips: Tensor, rng: np.random.Generator) -> StyleClip:
        """Draw style clips of clips (N,): begun at random, not all of one length."""
        length = min(self.config.sizes.style_length, self.frames)
        lengths = torch.from_numpy(rng.integers(min(SHORTEST_STYLE, length), length + 1, size=len(clips)))
        first = (torch.from_numpy(rng.random(len(clips))) * (self.frames - lengths + 1)).long()
        rows = first[:, None] + torch.arange(length)
        counts = torch.arange(length) < lengths[:, None]
        drawn = self.expression[clips[:, None], rows.clamp(max=self.frames - 1)] * counts[..., None]
        return StyleClip(F.pad(drawn, (0, 0, 0, self.config.sizes.style_length - length)), lengths)

    def whole_style(self, clips: Tensor) -> StyleClip:
        """Return the start of clips (N,) as style clips."""
        length = min(self.config.sizes.style_length, self.frames)
        padded = F.pad(self.expression[clips, :length], (0, 0, 0, self.config.sizes.style_length - length))
        return StyleClip(padded, torch.full((len(clips),), length))


def corpus_of(examples: Examples, encoder: SpeechEncoder, config: Config) -> Corpus:
    """Return the clips as the encoder hears them."""
    frames = examples.truth.expression.shape[1]
    heard = [all_layers(encoder, sound, frames, config.fps) for sound in examples.pictures.sound]
    return Corpus(config, examples.truth.expression, torch.stack(heard).clone())


def drawn_clips(rng: np.random.Generator, corpus: Corpus, count: int, frames: int) -> tuple[Tensor, Tensor]:
    """Draw clips (count,) and first frames (count,) of stretches."""
    clips = rng.integers(len(corpus), size=count)
    first = rng.integers(corpus.frames - frames + 1, size=count)
    return torch.from_numpy(clips), torch.from_numpy(first)


def mouth_mesh() -> MouthMesh:
    """Return lips and chin of the mean head as a linear function of expression; decimetres."""
    points = template().points
    rings = (topology.LIP_UPPER_INNER, topology.LIP_LOWER_INNER, topology.LIP_UPPER_OUTER, topology.LIP_LOWER_OUTER)
    chosen = sorted({*CHIN, *(vertex for ring in rings for vertex in ring)})
    basis = np.zeros((len(chosen), 3, len(EXPRESSIONS)), np.float32)
    for name, moves in expression_deltas(points).items():
        basis[..., EXPRESSIONS.index(name)] = moves[chosen]
    mean = points[chosen] - points[chosen].mean(axis=0)
    return MouthMesh(torch.from_numpy(mean).float(), torch.from_numpy(basis / UNIT))
