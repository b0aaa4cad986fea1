"""Trains the style predictor: the style code of a clip from its speech and a portrait of the speaker.

Squared error of the clean code. The portrait comes from another clip of the same speaker, so that its expression tells
nothing of the style (cross-ID training, arXiv 2312.09767). To the clips of the split come people who only speak
(`voices`), and what is known of speech and speaker is disturbed: a voice tells little of a style, and of a few hundred
people a network learns who they are instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.dreamtalk.corpus import Corpus
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.dreamtalk.hearing import all_layers
from thbench_methods.dreamtalk.schedule import alpha_bars, betas
from thbench_methods.dreamtalk.style_predictor import SpeechAndSpeaker

from thbench.training import Recipe

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.bundle import Predicting, Speaking
    from thbench_methods.dreamtalk.config import Config
    from thbench_methods.dreamtalk.examples import Examples
    from thbench_methods.dreamtalk.networks import DiffusionNet
    from thbench_methods.dreamtalk.voices import Voices
    from torch import Tensor

RECIPE = Recipe(
    steps=700, learning_rate=1e-3, warm_up=50, last_rate=0.02, average=0.995, weight_decay=0.1, bfloat16=False
)
BATCH = 48
SPEECH_DROPPED, SPEECH_ERROR, SPEAKER_ERROR = 0.3, 0.5, 0.3
"""Share of the speech features that are left out, and deviation of what is added to them and to what is known of the
speaker, in deviations of each."""
STATISTICS = 8
"""Of the speech features one clip of so many is measured."""
SAMPLE = 32767
"""Sound of 1 in 16 bits."""
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
    """Shape (clips, rows, audio), of any precision."""
    speakers: Tensor
    """Shape (clips, portraits, values)."""
    person: np.ndarray
    """Shape (clips,)."""
    config: Config

    def __post_init__(self) -> None:
        self.signal = alpha_bars(betas(self.config.diffusion))
        self.network.keep("code", self.codes)
        self.network.keep("speaker", self.speakers.flatten(0, 1))
        self.speech_unit = self.features[::STATISTICS].float().flatten(0, 1).std(dim=0)
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
        heard = self.features[chosen, first : first + length].float()
        kept = torch.from_numpy((rng.random(heard.shape) >= SPEECH_DROPPED).astype(np.float32)) / (1 - SPEECH_DROPPED)
        speech = heard * kept + SPEECH_ERROR * self.speech_unit * _noise(heard, rng)
        normal = self.network.normal("speaker", speaker)
        given = SpeechAndSpeaker(speech, torch.full((BATCH,), length), normal + SPEAKER_ERROR * _noise(normal, rng))
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


def _noise(like: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(like.shape, np.float32))


def predictor_task(network: Predicting, speaking: Speaking, corpus: Corpus, examples: Examples) -> PredictorTask:
    """Return the training of a fresh predictor for clips of a split alone, and the codes of a trained style encoder."""
    return PredictorTask(
        network,
        codes_of(speaking.diffusion, corpus),
        corpus.features,
        examples.read.speaker,
        np.asarray(examples.pictures.person),
        corpus.config,
    )


def with_voices(task: PredictorTask, speaking: Speaking, more: Voices) -> PredictorTask:
    """Return the training with people who only speak beside the others; each is a person of its own."""
    sounds = (sound.astype(np.float32) / SAMPLE for sound in more.sound)
    frames, fps = more.expression.shape[1], task.config.fps
    features = torch.stack([all_layers(speaking.speech, sound, frames, fps).half() for sound in sounds])
    corpus = Corpus(task.config, UNIT * torch.from_numpy(more.expression), features)
    speakers = torch.from_numpy(more.speaker)[:, None].expand(-1, task.speakers.shape[1], -1)
    return PredictorTask(
        task.network,
        torch.cat((task.codes, codes_of(speaking.diffusion, corpus))),
        torch.cat((task.features.half(), features)),
        torch.cat((task.speakers, speakers)),
        np.concatenate((task.person, task.person.max() + 1 + np.arange(len(more)))),
        task.config,
    )


@torch.inference_mode()
def codes_of(diffusion: DiffusionNet, corpus: Corpus) -> Tensor:
    """Return the style code (clips, style) of each clip."""
    everyone = torch.arange(len(corpus))
    codes = [diffusion.style(*corpus.whole_style(some)) for some in torch.split(everyone, 64)]
    return torch.cat(codes).clone()
