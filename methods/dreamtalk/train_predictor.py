"""Trains the style predictor: the style code of a clip from its speech and a portrait of the speaker.

Squared error of the clean code. The portrait comes from another clip of the same speaker, so that its expression tells
nothing of the style (cross-ID training, arXiv 2312.09767).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.dreamtalk.schedule import alpha_bars, betas
from thbench_methods.dreamtalk.style_predictor import SpeechAndSpeaker

from thbench.training import Recipe

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.bundle import Predicting
    from thbench_methods.dreamtalk.config import Config
    from thbench_methods.dreamtalk.corpus import Corpus
    from thbench_methods.dreamtalk.examples import Examples
    from thbench_methods.dreamtalk.networks import DiffusionNet
    from torch import Tensor

RECIPE = Recipe(
    steps=1500, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.998, weight_decay=0.1, bfloat16=False
)
BATCH = 48
SHORTEST = 100
"""Rows of speech that are heard at least, two seconds."""


class Batch(NamedTuple):
    """Codes and what they are predicted from."""

    code: Tensor
    """Shape (N, style), normal."""
    given: SpeechAndSpeaker


@dataclass
class PredictorTask:
    """Clean style codes."""

    network: Predicting
    codes: Tensor
    """Shape (clips, style)."""
    features: Tensor
    """Shape (clips, rows, audio)."""
    speakers: Tensor
    """Shape (clips, portraits, values)."""
    person: np.ndarray
    """Shape (clips,)."""
    config: Config

    def __post_init__(self) -> None:
        self.signal = alpha_bars(betas(self.config.diffusion))
        self.network.keep("code", self.codes)
        self.network.keep("speaker", self.speakers.flatten(0, 1))
        self.of_person = {who: np.flatnonzero(self.person == who) for who in set(self.person.tolist())}

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, each with a portrait of its speaker from another clip where there is one."""
        clips = rng.choice(len(self.codes), BATCH, replace=False)
        portraits = np.array([self._other(int(clip), rng) for clip in clips])
        rows = rng.integers(self.speakers.shape[1], size=BATCH)
        speaker = self.speakers[torch.from_numpy(portraits), torch.from_numpy(rows)]
        total = self.features.shape[1]
        length = int(rng.integers(min(SHORTEST, total), total + 1))
        first = int(rng.integers(total - length + 1))
        chosen = torch.from_numpy(clips)
        speech = self.features[chosen, first : first + length]
        given = SpeechAndSpeaker(speech, torch.full((BATCH,), length), self.network.normal("speaker", speaker))
        return Batch(self.network.normal("code", self.codes[chosen]), given)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of the clean code."""
        time = torch.randint(1, len(self.signal), (len(batch.code),))
        signal = self.signal[time][:, None]
        noisy = signal.sqrt() * batch.code + (1 - signal).sqrt() * torch.randn_like(batch.code)
        return {"loss": F.mse_loss(self.network.network(noisy, time, batch.given), batch.code)}

    def _other(self, clip: int, rng: np.random.Generator) -> int:
        others = self.of_person[int(self.person[clip])]
        others = others[others != clip]
        return int(rng.choice(others)) if len(others) else clip


def predictor_task(network: Predicting, diffusion: DiffusionNet, corpus: Corpus, examples: Examples) -> PredictorTask:
    """Return the training of a fresh predictor for the codes of a trained style encoder."""
    everyone = torch.arange(len(corpus))
    with torch.inference_mode():
        codes = torch.cat([diffusion.style(*corpus.whole_style(some)) for some in torch.split(everyone, 64)])
    person = np.asarray(examples.pictures.person)
    return PredictorTask(network, codes.clone(), corpus.features, examples.read.speaker, person, corpus.config)
