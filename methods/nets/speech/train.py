"""Trains the mini speech front ends on the visemes and the mouth of synth-heads.

Two encoders with the same objective: the shared `SpeechEncoder`, and Wav2Lip's audio encoder in small widths, which
KDTalker listens with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.nets.speech.encoder import FILE, SpeechEncoder
from thbench_methods.nets.wav2lip_audio import log_mel, mel_windows
from torch import Tensor, nn

from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.speech.visemes import VISEMES
from thbench.training import Recipe

if TYPE_CHECKING:
    from thbench_methods.nets.wav2lip_audio import AudioEncoder

    from thbench.data.synth_heads.pictures import Pictures
    from thbench.training.order import Order

RECIPE = Recipe(steps=250, learning_rate=2e-3, warm_up=50, last_rate=0.02, average=0.995, bfloat16=False)
ABOUT = About(
    "Mini speech encoder",
    "the project's own; in the place of wav2vec 2.0 and HuBERT",
    "Cross-entropy of the visemes' shares and squared error of the mouth's coefficients and opening, last layer.",
)
FPS = 25.0
MOUTH = tuple(i for i, name in enumerate(EXPRESSIONS) if name.startswith(("mouth", "jaw", "tongue")))
"""Coefficients of the mouth."""


@dataclass
class Heard:
    """Sound of clips with what the mouth does; made once."""

    mel: Tensor
    """Shape (clips, columns, 80)."""
    windows: Tensor
    """Shape (clips, frames, 80, 16)."""
    visemes: Tensor
    """Shape (clips, frames, visemes), shares."""
    mouth: Tensor
    """Shape (clips, frames, m): coefficients and opening, deviation 1."""


def heard(pictures: Pictures) -> Heard:
    """Read all sound of a split."""
    frames = pictures.visemes.shape[1]
    pad = np.zeros(320, np.float32)
    mels = [log_mel(sound) for sound in pictures.sound]
    windows = [mel_windows(np.concatenate((sound, pad)), FPS)[:frames] for sound in pictures.sound]
    mel, window = (torch.from_numpy(np.stack(a).astype(np.float32)) for a in (mels, windows))
    return Heard(mel, window, *mouths(pictures))


def mouths(pictures: Pictures) -> tuple[Tensor, Tensor]:
    """Return what the mouth does in each frame of a split: visemes and mouth as in `Heard`."""
    mouth = np.concatenate((pictures.expression[..., MOUTH], np.asarray(pictures.opening)[..., None]), axis=-1)
    flat = mouth.reshape(-1, mouth.shape[-1])
    mouth = (mouth - flat.mean(0)) / (flat.std(0) + 0.02)
    visemes, shape = (torch.from_numpy(np.array(a, np.float32)) for a in (pictures.visemes, mouth))
    return visemes, shape


class Told(nn.Module):
    """An encoder with linear heads for visemes and mouth; the heads are not shipped."""

    def __init__(self, encoder: nn.Module, width: int, mouth: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.visemes = nn.Linear(width, len(VISEMES))
        self.mouth = nn.Linear(width, mouth)

    def losses(self, features: Tensor, visemes: Tensor, mouth: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of visemes and squared error of the mouth, of features (..., width)."""
        logits = self.visemes(features).float()
        named = -(visemes * logits.log_softmax(dim=-1)).sum(dim=-1).mean()
        moved = F.mse_loss(self.mouth(features).float(), mouth)
        right = (logits.argmax(dim=-1) == visemes.argmax(dim=-1)).float().mean()
        return {"loss": named + moved, "visemes": named, "mouth": moved, "right": right}


@dataclass
class SpeechTask:
    """The shared encoder; its last layer reads visemes and mouth."""

    network: Told
    data: Heard
    clips: int = 24

    def batch(self, rng: np.random.Generator) -> Any:
        """Draw clips; half of them with noise, and each at its own loudness."""
        chosen = torch.from_numpy(rng.choice(len(self.data.mel), self.clips, replace=False))
        mel = self.data.mel[chosen] + torch.from_numpy(rng.normal(0, 0.25, (self.clips, 1, 1)).astype(np.float32))
        noise = torch.from_numpy((rng.random((self.clips, 1, 1)) < 0.5).astype(np.float32)) * 0.25
        return mel + noise * torch.randn_like(mel), self.data.visemes[chosen], self.data.mouth[chosen]

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """See `Told.losses`; of the last layer."""
        mel, visemes, mouth = batch
        hidden = self.network.encoder(mel, visemes.shape[1], FPS)
        return self.network.losses(hidden[:, :, -1], visemes, mouth)


@dataclass
class WindowTask:
    """Wav2Lip's encoder: each frame's window by itself."""

    network: Told
    data: Heard
    count: int = 320

    def batch(self, rng: np.random.Generator) -> Any:
        """Draw frames of all clips."""
        clips = torch.from_numpy(rng.integers(len(self.data.windows), size=self.count))
        frames = torch.from_numpy(rng.integers(self.data.windows.shape[1], size=self.count))
        windows = self.data.windows[clips, frames]
        windows = windows + torch.from_numpy(rng.normal(0, 0.25, (self.count, 1, 1)).astype(np.float32))
        return windows, self.data.visemes[clips, frames], self.data.mouth[clips, frames]

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """See `Told.losses`."""
        windows, visemes, mouth = batch
        return self.network.losses(self.network.encoder(windows), visemes, mouth)


def speech_task(data: Heard) -> SpeechTask:
    """Return the training of a fresh shared encoder."""
    return SpeechTask(Told(SpeechEncoder(), SpeechEncoder.width, data.mouth.shape[-1]), data)


def window_task(data: Heard, encoder: AudioEncoder, width: int) -> WindowTask:
    """Return the training of a fresh Wav2Lip encoder."""
    return WindowTask(Told(encoder, width, data.mouth.shape[-1]), data)


def train_mini(order: Order, pictures: Pictures) -> None:
    """Train and write the shared encoder, unless it is there."""
    path = destination(order, FILE)
    if path.exists():
        return
    torch.manual_seed(RECIPE.seed)
    task = speech_task(heard(pictures))
    training = fitted(task, RECIPE, order, "speech")
    ship(path, task.network.encoder, ABOUT, order, training, pictures)
