"""Trains the mini frame encoder: `python -m thbench.backbones.mini.train.frame_encoder`.

Everything that is true of a frame must be read off the features by one linear layer: who it is, pose, gaze, expression,
landmarks, light and backdrop, and how strongly the frame is blurred, noisy or compressed. A distance between sets of
features then sees what a set shows and how well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from thbench.backbones.mini.frame_encoder import MiniFrameEncoder
from thbench.backbones.mini.train.damage import PICTURE, damaged, dose_of, told
from thbench.backbones.mini.train.held_out import Held, embed, graded
from thbench.backbones.mini.train.knowledge import Scale, identities, scenes
from thbench.backbones.mini.train.readout import FixedReadout, error
from thbench.backbones.mini.train.ship import Trial, channels_last, train
from thbench.backbones.mini.whole_frame import as_input
from thbench.training import Recipe, Score
from thbench.validate.catalogue import BY_NAME
from thbench.validate.judge import MONOTONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.backbones.mini.train.held_out import Network
    from thbench.data.synth_heads.pictures import Pictures

BATCH = 48
SIDE = MiniFrameEncoder.INPUT_SIZE
UNDAMAGED = 0.4
"""Share of the frames that are left as they are."""
WEIGHTS: Mapping[str, float] = {"identity": 1.0, "scene": 1.0, "motion": 1.0, "landmarks": 2.0, "damage": 15.0}


class Batch(NamedTuple):
    """Frames and what is true of them."""

    frames: Tensor
    """Shape (N, 3, 128, 128)."""
    targets: Mapping[str, Tensor]
    """Name in `WEIGHTS` to shape (N, d)."""


class Heads(nn.Module):
    """The encoder with one linear layer for each kind of truth; that of damage is fixed."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder = MiniFrameEncoder()
        features = MiniFrameEncoder.FEATURES
        self.heads = nn.ModuleDict({name: nn.Linear(features, size) for name, size in sizes.items()})
        self.heads["damage"] = FixedReadout(features, sizes["damage"])


class FrameTask:
    """Tell everything that is true of a frame."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._of_clip = {
            name: Scale.of(values)(values)
            for name, values in (("identity", identities(pictures.clips)), ("scene", scenes(pictures.clips)))
        }
        motion = _motion(pictures, slice(None, None, 10))
        self._motion_scale = Scale.of(motion)
        self._landmark_scale = Scale.of(_landmarks(pictures, slice(None, None, 10)))
        sizes = {name: values.shape[1] for name, values in self._of_clip.items()}
        sizes |= {"motion": motion.shape[-1], "landmarks": 2 * 68, "damage": len(PICTURE)}
        self.network = channels_last(Heads(sizes))

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw frames of any clips, most of them damaged in one way."""
        clips = rng.integers(len(self._pictures), size=BATCH)
        instants = rng.integers(self._pictures.frames.shape[1], size=BATCH)
        drawn = [_damaged(np.array(self._pictures.frames[c, i]), rng) for c, i in zip(clips, instants, strict=True)]
        at = clips, instants
        targets = {name: values[clips] for name, values in self._of_clip.items()} | {
            "motion": self._motion_scale(_motion(self._pictures, at)),
            "landmarks": self._landmark_scale(_landmarks(self._pictures, at)),
            "damage": np.stack([damage for _, damage in drawn]),
        }
        frames = as_input(np.stack([frame for frame, _ in drawn]))
        return Batch(frames, {name: torch.from_numpy(values) for name, values in targets.items()})

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Error of each kind of truth."""
        features = self.network.encoder(batch.frames).float()
        with torch.autocast("cpu", enabled=False):
            errors = {name: error(name, self.network.heads[name](features), t) for name, t in batch.targets.items()}
        return {"loss": sum((WEIGHTS[name] * error for name, error in errors.items()), torch.zeros(())), **errors}


def _damaged(frame: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A frame, damaged or not, and its doses."""
    doses = np.zeros(len(PICTURE), np.float32)
    if rng.random() < UNDAMAGED:
        return frame, doses
    kind = int(rng.integers(len(PICTURE)))
    dose = dose_of(PICTURE[kind], rng)
    doses[kind] = told(PICTURE[kind], dose)
    return damaged([frame], PICTURE[kind], dose, rng)[0], doses


def _motion(pictures: Pictures, at: object) -> NDArray[np.float32]:
    """Pose, gaze, expression and visemes, shape (..., d)."""
    where = at if isinstance(at, tuple) else (slice(None), at)
    parts = (pictures.pose[where], pictures.gaze[where], pictures.expression[where], pictures.visemes[where])
    return np.concatenate(parts, axis=-1)


def _landmarks(pictures: Pictures, at: object) -> NDArray[np.float32]:
    """Landmarks, shape (..., 136)."""
    where = at if isinstance(at, tuple) else (slice(None), at)
    points = np.asarray(pictures.landmarks68[where])
    return points.reshape(*points.shape[:-2], -1)


def responses(network: Network, held: Held, kinds: Sequence[str]) -> dict[str, list[NDArray[np.float64]]]:
    """Features (clips, frames, d) of held-out frames at each dose of `thbench.validate`, for each kind of damage."""
    flat = list(held.frames.reshape(-1, *held.frames.shape[2:]))

    def features(kind: str, dose: float) -> NDArray[np.float64]:
        changed = np.stack(damaged(flat, kind, dose, np.random.default_rng(1)))
        return embed(network, changed.reshape(held.frames.shape), SIDE)

    clean = embed(network, held.frames, SIDE)
    return {kind: [features(kind, dose) if dose else clean for dose in BY_NAME[kind].doses] for kind in kinds}


def evaluate(network: Network, held: Held) -> tuple[Score, ...]:
    """Response of the Frechet distance to damage of known order, on people never seen."""
    scores = []
    for kind, sets in responses(network, held, PICTURE).items():
        doses = BY_NAME[kind].doses
        for apart in (False, True):
            found = graded(sets, doses, held.people, apart=apart)
            against = "undamaged frames of the other half of the people" if apart else "the same frames undamaged"
            distances = ", ".join(f"{d:.3g}" for d in found.distances)
            scores.append(
                Score(
                    name=f"Spearman of {kind} and FID (mini)" + (", other people" if apart else ""),
                    value=found.rho.value,
                    low=found.rho.low,
                    high=found.rho.high,
                    bar=f">= {MONOTONE:g}",
                    n=held.frames.shape[0] * held.frames.shape[1],
                    people=len(set(held.people)),
                    protocol=f"doses {', '.join(f'{d:g}' for d in doses)} against {against}: {distances}",
                )
            )
    return tuple(scores)


TRIAL = Trial(
    name="frame_encoder",
    title="Mini frame encoder",
    source="a small residual network (He et al., CVPR 2016) under many tasks; stands in for Inception in FID and KID",
    objective=(
        "smooth L1 errors of standardised truth read off the features by one linear layer each: identity vector, scene"
        " (camera, light, backdrop), motion (pose, gaze, expression, visemes), landmarks, doses of blur, noise and"
        f" JPEG (squared, along fixed directions); weights {', '.join(f'{k} {v:g}' for k, v in WEIGHTS.items())}"
    ),
    recipe=Recipe(steps=800, learning_rate=2e-3, warm_up=50, weight_decay=0.02, average=0.99),
    every=10,
    task=FrameTask,
    network=MiniFrameEncoder,
    evaluate=evaluate,
    notes=(
        "Sees the whole frame at 128 x 128; made for synthetic heads.",
        "Distances of these features are FID (mini); they say nothing about values of the published FID.",
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ship and measure."""
    train(TRIAL, arguments)


if __name__ == "__main__":
    main()
