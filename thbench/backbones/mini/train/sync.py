"""Trains the mini SyncNet on synth-heads: `python -m thbench.backbones.mini.train.sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from thbench.backbones.mini.places import LIPS, Attitude, attitude_of, cut
from thbench.backbones.mini.sync import EMBEDDING, SIDE, MiniSync
from thbench.backbones.mini.train import augment
from thbench.backbones.mini.train.ship import Trial, channels_last, train
from thbench.backbones.mini.train.sync_scores import evaluate, read_spoken
from thbench.backbones.syncnet import MFCC_WINDOW, WINDOW
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.metrics.lse import MFCC_PER_FRAME, SAMPLES_PER_FRAME, audio_windows
from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.data.synth_heads.pictures import Pictures

CLIPS = 24
"""In a batch."""
WINDOWS = 20
"""Consecutive windows of each clip in a batch: more than the largest shift of the protocol."""
RANGES = augment.Ranges(gain=0.2, mixing=0.04, offset=12.0, damage=0.08)
"""How far pictures are changed, all frames of a clip alike."""
READING = 8.0
"""Weight of the squared errors of the mouth, to that of contrast."""
LONGEST_SILENCE = 10
"""Frames of silence that may stand in place of a clip's first sound."""


class Batch(NamedTuple):
    """Lips and speech of the same instants."""

    lips: Tensor
    """Shape (clips, windows + 4, 3, 48, 48), BGR, float32 in [0, 255]."""
    mfcc: Tensor
    """Shape (clips * windows, 1, 13, 20)."""
    heard: Tensor
    """Shape (clips * windows,), bool: whether the sound is the speaker's."""
    mouths: Tensor
    """What `mouths` says of the five frames, shape (clips * windows, 5 * facts)."""


class Network(nn.Module):
    """Both towers, and what reads the mouth off either embedding."""

    def __init__(self, facts: int) -> None:
        super().__init__()
        self.encoder = MiniSync()
        self.reader = nn.Linear(EMBEDDING, WINDOW * facts)


class SyncTask:
    """Which of many moments of speech belongs to these lips, and the other way round.

    One linear layer must read the mouth off both embeddings, frame by frame: by contrast alone two fresh towers do not
    find each other for a long time.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._mouths = mouths(pictures)
        self.network = channels_last(Network(self._mouths.shape[-1]))
        self.pictures = pictures

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips and a stretch of each."""
        clips = rng.choice(len(self.pictures), CLIPS, replace=False)
        last = self.pictures.frames.shape[1] - WINDOW - WINDOWS
        parts = [self._stretch(rng, int(clip), int(rng.integers(last + 1))) for clip in clips]
        lips, mfcc, heard, shown = zip(*parts, strict=True)
        return Batch(
            torch.from_numpy(np.stack(lips)).permute(0, 1, 4, 2, 3).float(),
            torch.cat(mfcc),
            torch.from_numpy(np.concatenate(heard)),
            torch.from_numpy(np.concatenate(shown)),
        )

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Cross-entropy of both directions, and how often the nearest is the right one."""
        video = self.network.encoder.lips_of_clips(batch.lips).flatten(0, 1).float()
        audio = self.network.encoder.audio(batch.mfcc).float()
        to_audio, to_video, right = contrast(video, audio, batch.heard)
        seen = (self.network.reader(video).float() - batch.mouths).square().mean()
        heard = (self.network.reader(audio).float() - batch.mouths)[batch.heard].square().mean()
        loss = to_audio + to_video + READING * (seen + heard)
        return {"loss": loss, "to_audio": to_audio, "to_video": to_video, "right": right, "seen": seen, "heard": heard}

    def _stretch(
        self, rng: np.random.Generator, clip: int, start: int
    ) -> tuple[NDArray[np.uint8], Tensor, NDArray[np.bool_], NDArray[np.float32]]:
        silent = int(rng.integers(1, LONGEST_SILENCE + 1)) if rng.random() < 0.3 else 0
        stop = start + WINDOWS + MFCC_WINDOW // MFCC_PER_FRAME
        sound = self.pictures.sound[clip, start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME]
        mfcc = audio_windows(_spoiled(rng, sound, (silent - start) * SAMPLES_PER_FRAME), WINDOWS)
        heard = np.arange(start, start + WINDOWS) >= silent
        span = slice(start, start + WINDOWS + WINDOW - 1)
        five = np.lib.stride_tricks.sliding_window_view(self._mouths[clip, span], WINDOW, axis=0)
        return self._lips(rng, clip, span), mfcc, heard, five.swapaxes(1, 2).reshape(WINDOWS, -1)

    def _lips(self, rng: np.random.Generator, clip: int, span: slice) -> NDArray[np.uint8]:
        attitude = attitude_of(self.pictures.landmarks68[clip, span])
        matrices = _unsteady(rng, attitude).place(LIPS).matrix(SIDE)
        frames = self.pictures.frames[clip, span]
        # One tall picture, so that all frames of a clip change alike.
        tall = np.concatenate([cut(frame, m, SIDE) for frame, m in zip(frames, matrices, strict=True)])
        if rng.random() < 0.5:
            tall = np.ascontiguousarray(tall[:, ::-1])
        tall = augment.damaged(rng, augment.recolour(rng, tall, RANGES), RANGES)
        return np.ascontiguousarray(tall.reshape(-1, SIDE, SIDE, 3)[..., ::-1])


def mouths(pictures: Pictures) -> NDArray[np.float32]:
    """What the mouth does in each frame, less what it does all the time, standardised: shape (clips, frames, facts).

    Shares of the visemes, the opening, and the coefficients of jaw and mouth.
    """
    columns = [i for i, name in enumerate(EXPRESSIONS) if name.startswith(("jaw", "mouth"))]
    facts = np.concatenate(
        (pictures.visemes, pictures.opening[..., None], pictures.expression[..., columns]), axis=-1, dtype=np.float32
    )
    facts -= facts.mean(axis=1, keepdims=True)
    return np.asarray(facts / facts.std(axis=(0, 1)).clip(0.02), np.float32)


def _unsteady(rng: np.random.Generator, attitude: Attitude) -> Attitude:
    """Another place of the whole clip, and the trembling of landmarks that a network finds."""
    clip = augment.jittered(rng, Attitude(np.zeros((1, 2)), np.ones(1), np.eye(2)[:1]), shift=0.12, size=0.05, tilt=3)
    (dx, dy), size, (cosine, sine) = clip.centroid[0], clip.spread[0], clip.across[0]
    x, y = attitude.across.T
    whole = Attitude(
        attitude.centroid + np.array((dx, dy)) * attitude.spread[:, None],
        attitude.spread * size,
        np.stack((cosine * x - sine * y, sine * x + cosine * y), axis=-1),
    )
    return augment.jittered(rng, whole, shift=0.012, size=0.008, tilt=0.5)


def _spoiled(rng: np.random.Generator, sound: NDArray[np.float32], silent: int) -> NDArray[np.int16]:
    """Another loudness, noise, and silence in the first samples."""
    changed = sound * 10 ** (rng.uniform(-12, 6) / 20)
    if rng.random() < 0.5:
        level = np.sqrt(np.square(changed).mean()) * 10 ** (rng.uniform(-60, -20) / 20)
        changed = changed + rng.standard_normal(len(changed)) * level
    changed[: max(silent, 0)] = 0
    return np.clip(np.round(changed * 32768), -32768, 32767).astype(np.int16)


def contrast(video: Tensor, audio: Tensor, heard: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of lips among sounds and of sounds among lips, and the share of lips whose nearest sound is theirs.

    Logits are negative Euclidean distances, so that distances are in nats. Zero is one of the sounds: it is what the
    protocol sets beyond the ends of a clip.

    Args:
        video: Shape (n, features).
        audio: Shape (n, features).
        heard: Shape (n,): pairs that count.
    """
    sounds = torch.cat((audio, torch.zeros_like(audio[:1])))
    logits = -torch.cdist(video, sounds, compute_mode="donot_use_mm_for_euclid_dist")
    truth = torch.arange(len(video))
    to_audio = torch.nn.functional.cross_entropy(logits[heard], truth[heard])
    to_video = torch.nn.functional.cross_entropy(logits[:, :-1].T[heard], truth[heard])
    right = (logits[heard].argmax(dim=1) == truth[heard]).float().mean()
    return to_audio, to_video, right


TRIAL = Trial(
    name="sync",
    title="Mini SyncNet",
    source=(
        "SyncNet (Chung and Zisserman, ACCV-W 2016) in the form of joonson/syncnet_python at small size, trained by"
        " contrast with many moments at once (van den Oord et al., 2018) in place of pairs"
    ),
    objective=(
        f"cross-entropy of the right moment of speech among {CLIPS} clips of {WINDOWS} consecutive windows and zero,"
        " and of the right lips among as many, logits being negative Euclidean distances; squared errors of visemes,"
        " opening and coefficients of the mouth in the five frames, read off both embeddings by one linear layer,"
        f" weight {READING:g}"
    ),
    recipe=Recipe(steps=800, learning_rate=2e-3, warm_up=20, average=0.99),
    every=1,
    task=SyncTask,
    network=MiniSync,
    evaluate=evaluate,
    notes=(
        "Lips are cut by the landmarks of the mini face regressor, in training by true landmarks with jitter.",
        "Distances are in nats; LSE-C and LSE-D (mini) cannot be compared with values of the published SyncNet.",
    ),
    read=read_spoken,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ship and measure."""
    train(TRIAL, arguments)


if __name__ == "__main__":
    main()
