"""Trains the mini clip encoder: `python -m thbench.backbones.mini.train.clip_encoder`.

One linear layer must read off the features how the head looks and moves over 16 frames, which emotion it shows, and how
strongly the clip was damaged: frames out of order, held, too fast, backwards, shaking or bending, and blurred, noisy or
compressed. A distance between sets of features then sees motion, which one between sets of frames cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from thbench.backbones.batches import in_fixed_batches
from thbench.backbones.mini.clip_encoder import MiniClipEncoder
from thbench.backbones.mini.train.damage import MOTION, PICTURE, damaged, dose_of, order_of, told, unsteady
from thbench.backbones.mini.train.held_out import Held, graded
from thbench.backbones.mini.train.knowledge import Scale, identities
from thbench.backbones.mini.train.readout import FixedReadout, error
from thbench.backbones.mini.train.ship import Trial, channels_last, train
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.data.synth_heads.emotion import EMOTIONS
from thbench.training import Recipe, Score
from thbench.validate.catalogue import BY_NAME
from thbench.validate.judge import MONOTONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.backbones.mini.train.held_out import Network
    from thbench.data.synth_heads.pictures import Pictures

    Image = NDArray[np.uint8]

BATCH = 20
SIDE, FRAMES = MiniClipEncoder.INPUT_SIZE, MiniClipEncoder.FRAMES
UNMOVED, UNDAMAGED = 0.35, 0.55
"""Shares of the clips whose order and steadiness, and whose pictures, are left as they are."""
SHUFFLES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the frames of a video that change places, for the held-out score."""
WEIGHTS: Mapping[str, float] = {"motion": 1.0, "identity": 0.3, "damage": 15.0, "emotion": 0.05}


class Batch(NamedTuple):
    """Clips and what is true of them."""

    clips: Tensor
    """Shape (N, 16, 3, 64, 64)."""
    emotion: Tensor
    """Number in `EMOTIONS`, shape (N,)."""
    targets: Mapping[str, Tensor]
    """Name to shape (N, d)."""


class Heads(nn.Module):
    """The encoder with one linear layer for each kind of truth; that of damage is fixed."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder = MiniClipEncoder()
        features = MiniClipEncoder.FEATURES
        self.heads = nn.ModuleDict({name: nn.Linear(features, size) for name, size in sizes.items()})
        self.heads["damage"] = FixedReadout(features, sizes["damage"])


class ClipTask:
    """Tell how a clip moves and how it was damaged."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._emotion = np.array([EMOTIONS.index(name) for name in pictures.emotion])
        vectors = identities(pictures.clips)
        self._identity = Scale.of(vectors)(vectors)
        self._motion = np.concatenate(
            (pictures.pose, pictures.gaze, pictures.expression, pictures.visemes), axis=-1, dtype=np.float32
        )
        usual = [_summary(clip[start : start + FRAMES]) for clip in self._motion for start in (0, 30, 60)]
        self._scale = Scale.of(np.stack(usual))
        sizes = {
            "motion": len(self._scale.mean),
            "identity": vectors.shape[1],
            "damage": len(MOTION) + len(PICTURE),
            "emotion": len(EMOTIONS),
        }
        self.network = channels_last(Heads(sizes))

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, most of them damaged."""
        chosen = rng.integers(len(self._pictures), size=BATCH)
        drawn = [self._clip(int(clip), rng) for clip in chosen]
        targets = {
            "motion": self._scale(np.stack([motion for _, motion, _ in drawn])),
            "identity": self._identity[chosen],
            "damage": np.stack([doses for _, _, doses in drawn]),
        }
        return Batch(
            as_input(np.stack([frames for frames, _, _ in drawn])),
            torch.from_numpy(self._emotion[chosen]),
            {name: torch.from_numpy(values) for name, values in targets.items()},
        )

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Error of each kind of truth, and the cross-entropy of the emotion."""
        features = self.network.encoder(batch.clips).float()
        with torch.autocast("cpu", enabled=False):
            heads = self.network.heads
            errors = {name: error(name, heads[name](features), target) for name, target in batch.targets.items()}
            errors["emotion"] = F.cross_entropy(heads["emotion"](features), batch.emotion)
        return {"loss": sum((WEIGHTS[name] * error for name, error in errors.items()), torch.zeros(())), **errors}

    def _clip(self, clip: int, rng: np.random.Generator) -> tuple[Image, NDArray[np.float32], NDArray[np.float32]]:
        """Frames (16, 64, 64, 3), summary of the motion, doses."""
        doses = np.zeros(len(MOTION) + len(PICTURE), np.float32)
        moved = "" if rng.random() < UNMOVED else MOTION[int(rng.integers(len(MOTION)))]
        dose = dose_of(moved, rng) if moved not in ("", "reversed") else 1.0
        shown = order_of(moved, dose, FRAMES, rng)
        shown += int(rng.integers(self._pictures.frames.shape[1] - int(shown.max())))
        frames = list(np.asarray(self._pictures.frames[clip, shown]))
        if moved:
            doses[MOTION.index(moved)] = told(moved, dose)
        if moved in ("jitter", "wobble"):
            frames = unsteady(frames, moved, dose, rng)
        if rng.random() >= UNDAMAGED:
            kind = int(rng.integers(len(PICTURE)))
            dose = dose_of(PICTURE[kind], rng)
            doses[len(MOTION) + kind] = told(PICTURE[kind], dose)
            frames = damaged(frames, PICTURE[kind], dose, rng)
        small = np.stack([whole_frame(frame, SIDE) for frame in frames])
        return small, _summary(self._motion[clip, shown]), doses


def _summary(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean, and mean change from frame to frame, of (frames, d): shape (2 d,)."""
    return np.concatenate((motion.mean(axis=0), np.abs(np.diff(motion, axis=0)).mean(axis=0)))


def encode(network: Network, frames: Sequence[Image]) -> NDArray[np.float64]:
    """Features (clips, d) of the clips of 16 frames of a video that follow each other."""
    small = np.stack([whole_frame(frame, SIDE) for frame in frames])
    count = len(small) // FRAMES
    clips = as_input(small[: count * FRAMES].reshape(count, FRAMES, *small.shape[1:]))
    return np.asarray(in_fixed_batches(network, clips, 1).double().numpy())


def doses_of(kind: str) -> tuple[float, ...]:
    """Doses of the held-out scores: those of `thbench.validate` where it has them."""
    return {"shuffled": SHUFFLES, "held": BY_NAME["repeats"].doses}.get(kind) or BY_NAME[kind].doses


def changed(frames: list[Image], kind: str, dose: float, random: np.random.Generator) -> list[Image]:
    """A video with damage of one kind."""
    if not dose:
        return frames
    if kind in PICTURE:
        return damaged(frames, kind, dose, random)
    if kind in ("jitter", "wobble"):
        return unsteady(frames, kind, dose, random)
    return [frames[i] for i in order_of(kind, dose, len(frames), random)]


def responses(network: Network, held: Held, kinds: Sequence[str]) -> dict[str, list[NDArray[np.float64]]]:
    """Features (videos, clips, d) of held-out videos at each dose of `doses_of`, for each kind of damage."""

    def features(kind: str, dose: float) -> NDArray[np.float64]:
        randoms = (np.random.default_rng((1, number)) for number in range(len(held.frames)))
        videos = zip(held.frames, randoms, strict=True)
        return np.stack([encode(network, changed(list(video), kind, dose, random)) for video, random in videos])

    clean = features("", 0.0)
    return {kind: [features(kind, dose) if dose else clean for dose in doses_of(kind)] for kind in kinds}


def evaluate(network: Network, held: Held) -> tuple[Score, ...]:
    """Response of the Frechet distance to damage of known order, on people never seen."""
    scores = []
    for kind, sets in responses(network, held, (*PICTURE, "shuffled", "held")).items():
        doses = doses_of(kind)
        for apart in (False, True):
            found = graded(sets, doses, held.people, apart=apart, ddof=0)
            against = "undamaged clips of the other half of the people" if apart else "the same clips undamaged"
            distances = ", ".join(f"{d:.3g}" for d in found.distances)
            scores.append(
                Score(
                    name=f"Spearman of {kind} and FVD (mini)" + (", other people" if apart else ""),
                    value=found.rho.value,
                    low=found.rho.low,
                    high=found.rho.high,
                    bar=f">= {MONOTONE:g}",
                    n=sets[0].shape[0] * sets[0].shape[1],
                    people=len(set(held.people)),
                    protocol=f"doses {', '.join(f'{d:g}' for d in doses)} against {against}: {distances}",
                )
            )
    return tuple(scores)


TRIAL = Trial(
    name="clip_encoder",
    title="Mini clip encoder",
    source="(2+1)-D blocks (Tran et al., CVPR 2018) at small size; stands in for I3D in FVD",
    objective=(
        "smooth L1 errors of truth read off the features by one linear layer each: motion (mean and mean change of"
        " pose, gaze, expression, visemes), identity vector, doses of nine kinds of damage (squared, fixed directions);"
        f" cross-entropy of the emotion; weights {', '.join(f'{k} {v:g}' for k, v in WEIGHTS.items())}"
    ),
    recipe=Recipe(steps=400, learning_rate=2e-3, warm_up=30, weight_decay=0.02, average=0.99),
    every=1,
    task=ClipTask,
    network=MiniClipEncoder,
    evaluate=evaluate,
    notes=(
        "Sees 16 whole frames at 64 x 64; made for synthetic heads.",
        "Distances of these features are FVD (mini); they say nothing about values of the published FVD.",
        "Held frames hardly move it: held against the same clips it rises, held against other people it falls.",
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ship and measure."""
    train(TRIAL, arguments)


if __name__ == "__main__":
    main()
