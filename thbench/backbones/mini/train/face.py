"""Trains the mini face regressor on synth-heads: `python -m thbench.backbones.mini.train.face`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thbench.backbones.mini.face import (
    BLINK,
    CELLS,
    FAR_SIDE,
    NEAR_SIDE,
    SIDE,
    USUAL_SPREAD,
    Far,
    MiniFace,
    Near,
    as_tensor,
    cell_middles,
    turned,
)
from thbench.backbones.mini.mirror import MIRROR_OF_EXPRESSIONS, MIRROR_OF_POINTS, MIRRORED_POSE
from thbench.backbones.mini.places import WHOLE, Attitude, attitude_of, cut, moved
from thbench.backbones.mini.train import augment
from thbench.backbones.mini.train.face_scores import as_they_are, evaluate
from thbench.backbones.mini.train.ship import Trial, channels_last, train
from thbench.backbones.mini.train.strangers import EACH, open_strangers, strangers_folder
from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.backbones.mini.train.strangers import Strangers
    from thbench.data.synth_heads.pictures import Pictures

NEAR_BATCH = 48
STRANGERS = 30
"""Of the near frames: the last, single pictures of faces that are in no split."""
HEADS = 160
"""Painted heads behind the strangers, each with many shapes."""
SHUT = 9
"""Of the near frames: those drawn among frames in which the lids are half shut or more, which are rare."""
FAR_BATCH = 16
NO_HEADS = 3
"""Of the far frames: those that show no head."""
BLOB = 4.0
"""Standard deviation of the heat maps' targets, pixels of the cut."""
WEIGHTS = {
    "landmarks": 20.0,
    "heat": 0.2,
    "pose": 0.2,
    "expression": 20.0,
    "blink": 10.0,
    "presence": 0.3,
    "centroid": 10.0,
    "spread": 5.0,
    "tilt": 5.0,
}
"""Of the losses."""
UNSURE = {"shift": 0.12, "size": 0.05, "tilt": 2.5}
"""Jitter of the cuts of a first look: what the far sight errs by, and then some."""
SURE = {"shift": 0.025, "size": 0.015, "tilt": 0.8}
"""Jitter of the cuts of a second look, which are placed by the landmarks of the first."""
SECOND = 0.7
"""Share of the cuts that are jittered as those of a second look: its landmarks are what is told in the end."""
DAMAGED = 0.35
"""Share of the near cuts that may be damaged; the others are as sharp as the videos."""


class NearBatch(NamedTuple):
    """Upright cuts with what is true of them."""

    cuts: Tensor
    """Shape (N, 3, 72, 72), float32 in [0, 255]."""
    landmarks: Tensor
    """Shape (N, 68, 2), pixels of the cut."""
    pose: Tensor
    """Relative to the cut, shape (N, 3), degrees."""
    expression: Tensor
    """Shape (N, 53)."""


class FarBatch(NamedTuple):
    """Whole frames with where the head is; the first `NO_HEADS` show none."""

    frames: Tensor
    """Shape (N, 3, 64, 64), float32 in [0, 255]."""
    attitude: Tensor
    """Centroid, spread and tilt as `Far` holds them, shape (N, 4)."""


class Shown(NamedTuple):
    """Whole frames and what is true of them."""

    frames: list[NDArray[np.uint8]]
    """Each (128, 128, 3), RGB."""
    landmarks: NDArray[np.float32]
    """Shape (N, 68, 2), pixels of the frame."""
    pose: NDArray[np.float32]
    """Shape (N, 3), degrees."""
    expression: NDArray[np.float32]
    """Shape (N, 53)."""


class FaceTask:
    """Far and near sight, of pictures that were moved, mirrored, recoloured and damaged."""

    def __init__(self, pictures: Pictures, strangers: Strangers) -> None:
        self.network = channels_last(MiniFace())
        self.pictures, self.strangers = pictures, strangers
        self._shut = np.argwhere(pictures.expression[..., list(BLINK)].mean(axis=-1) >= 0.5)
        landmarks = pictures.landmarks68[:, ::25].reshape(-1, 68, 2)
        matrices = attitude_of(landmarks).place(WHOLE).matrix(NEAR_SIDE)
        self.network.near.expect(torch.from_numpy(moved(landmarks, inverse(matrices)).mean(axis=0)).float())

    def batch(self, rng: np.random.Generator) -> tuple[NearBatch, FarBatch]:
        """Draw frames of any clips."""
        return self._near(rng), self._far(rng)

    def losses(self, batch: tuple[NearBatch, FarBatch]) -> Mapping[str, Tensor]:
        """Mean errors; landmarks in inter-ocular distances, pose in degrees."""
        near, far = batch
        parts = {
            **near_errors(self.network.near(near.cuts), near),
            **far_errors(self.network.far(far.frames), far),
        }
        return {"loss": sum((WEIGHTS[name] * value for name, value in parts.items()), torch.zeros(())), **parts}

    def _draw(self, rng: np.random.Generator, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return rng.integers(len(self.pictures), size=count), rng.integers(self.pictures.frames.shape[1], size=count)

    def _shown(self, rng: np.random.Generator) -> Shown:
        """Frames of clips, of which the first have their lids shut, and pictures of strangers."""
        chosen = self._draw(rng, NEAR_BATCH - STRANGERS)
        rows = self._shut[rng.integers(len(self._shut), size=SHUT)]
        chosen[0][:SHUT], chosen[1][:SHUT] = rows.T
        sources = ((self.pictures, chosen), (self.strangers, (rng.integers(len(self.strangers), size=STRANGERS),)))
        return Shown(
            [source.frames[at] for source, places in sources for at in zip(*places, strict=True)],
            *(
                np.concatenate([getattr(source, name)[places] for source, places in sources])
                for name in ("landmarks68", "pose", "expression")
            ),
        )

    def _near(self, rng: np.random.Generator) -> NearBatch:
        shown = self._shown(rng)
        place = _looked_at(rng, attitude_of(shown.landmarks)).place(WHOLE)
        matrices = place.matrix(NEAR_SIDE)
        inside = moved(shown.landmarks, inverse(matrices))
        pose = turned(shown.pose, place.across * (1, -1))
        expression = shown.expression
        cuts = []
        for number, frame in enumerate(shown.frames):
            picture = cut(frame, matrices[number], NEAR_SIDE)
            if rng.random() < 0.5:
                picture = np.ascontiguousarray(picture[:, ::-1])
                inside[number] = ((NEAR_SIDE, 0) + inside[number] * (-1, 1))[MIRROR_OF_POINTS]
                pose[number] *= MIRRORED_POSE
                expression[number] = expression[number, MIRROR_OF_EXPRESSIONS]
            picture = augment.recolour(rng, picture)
            cuts.append(augment.damaged(rng, picture) if rng.random() < DAMAGED else picture)
        return NearBatch(_image(cuts), *(torch.from_numpy(a).float() for a in (inside, pose, expression)))

    def _far(self, rng: np.random.Generator) -> FarBatch:
        chosen = self._draw(rng, FAR_BATCH)
        matrices = augment.random_windows(rng, SIDE, FAR_BATCH).matrix(FAR_SIDE)
        attitude = attitude_of(moved(self.pictures.landmarks68[chosen], inverse(matrices)) * (SIDE / FAR_SIDE))
        frames = []
        for number, (clip, instant) in enumerate(zip(*chosen, strict=True)):
            picture = cut(self.pictures.frames[clip, instant], matrices[number], FAR_SIDE)
            picture = augment.without_head(rng, picture) if number < NO_HEADS else picture
            frames.append(augment.damaged(rng, augment.recolour(rng, picture)))
        return FarBatch(_image(frames), torch.from_numpy(as_far(attitude)).float())


def _looked_at(rng: np.random.Generator, attitude: Attitude) -> Attitude:
    """Where cuts of a first or a second look would be placed."""
    first, second = (augment.jittered(rng, attitude, **jitter) for jitter in (UNSURE, SURE))
    chosen = rng.random(len(attitude.spread)) < SECOND
    return Attitude(
        np.where(chosen[:, None], second.centroid, first.centroid),
        np.where(chosen, second.spread, first.spread),
        np.where(chosen[:, None], second.across, first.across),
    )


def _image(pictures: list[NDArray[np.uint8]]) -> Tensor:
    return as_tensor(pictures).contiguous(memory_format=torch.channels_last)


def inverse(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse maps of points, shape (..., 2, 3)."""
    linear = np.linalg.inv(matrices[..., :2])
    return np.concatenate((linear, -linear @ matrices[..., 2:]), axis=-1)


def as_far(attitude: Attitude) -> NDArray[np.float64]:
    """Centroid, spread and tilt in frames of 128 px as `Far` holds them, shape (N, 4)."""
    return np.column_stack(
        (
            attitude.centroid / (SIDE / 2) - 1,
            np.log(attitude.spread / USUAL_SPREAD),
            np.arctan2(attitude.across[:, 1], attitude.across[:, 0]),
        )
    )


def near_errors(seen: Near, truth: NearBatch) -> dict[str, Tensor]:
    """Losses of the near sight."""
    offsets = (seen.landmarks - truth.landmarks).norm(dim=-1).mean(dim=1)
    # Squares: most coefficients are zero most of the time, and a median would learn just that.
    expression = (seen.expression - truth.expression).square()
    return {
        "landmarks": (offsets / interocular(truth.landmarks)).mean(),
        "heat": -(blobs(truth.landmarks) * seen.heat.flatten(2).log_softmax(dim=-1)).sum(dim=-1).mean(),
        "pose": (seen.pose - truth.pose).abs().mean(),
        "expression": expression.mean(),
        "blink": expression[:, list(BLINK)].mean(),
    }


def far_errors(seen: Far, truth: FarBatch) -> dict[str, Tensor]:
    """Losses of the far sight."""
    wanted = truth.attitude[NO_HEADS:]
    present = (torch.arange(len(truth.frames)) >= NO_HEADS).float()
    return {
        "presence": F.binary_cross_entropy_with_logits(seen.presence, present),
        "centroid": (seen.centroid[NO_HEADS:] - wanted[:, :2]).abs().mean(),
        "spread": (seen.spread[NO_HEADS:] - wanted[:, 2]).abs().mean(),
        "tilt": (seen.tilt[NO_HEADS:] - wanted[:, 3]).abs().mean(),
    }


def interocular(landmarks: Tensor) -> Tensor:
    """Distance between the mean points of the two eyes, shape (N,), pixels."""
    between: Tensor = (landmarks[:, 36:42].mean(dim=1) - landmarks[:, 42:48].mean(dim=1)).norm(dim=-1)
    return between


def blobs(landmarks: Tensor) -> Tensor:
    """Gaussians about landmarks on the cells of the heat maps, shape (N, 68, 18 * 18), each of sum 1."""
    line = cell_middles()[:CELLS, 0]
    across, down = (torch.exp(-0.5 * ((landmarks[..., axis, None] - line) / BLOB) ** 2) for axis in (0, 1))
    both: Tensor = (down[..., :, None] * across[..., None, :]).flatten(2)
    shares: Tensor = both / both.sum(dim=-1, keepdim=True).clamp(min=1e-6)
    return shares


def make_task(pictures: Pictures) -> FaceTask:
    """The task on a made training split and on single pictures of many more faces."""
    return FaceTask(pictures, open_strangers(strangers_folder(), HEADS))


TRIAL = Trial(
    name="face",
    title="Mini face regressor",
    source=(
        "landmarks by integral regression (Sun et al., ECCV 2018) on a small residual network (He et al., CVPR 2016);"
        " stands in for a face landmarker where none can be fetched"
    ),
    objective=(
        "distance of the landmarks in inter-ocular distances, cross-entropy of their heat maps, absolute errors of pose"
        " (degrees) and of the place of the head in the frame, squared errors of expression, cross-entropy of the"
        f" head's presence; weights {', '.join(f'{k} {v:g}' for k, v in WEIGHTS.items())}"
    ),
    recipe=Recipe(steps=2100, learning_rate=1.2e-3, warm_up=100, average=0.998, clip_norm=5.0, bfloat16=False),
    every=1,
    task=make_task,
    network=MiniFace,
    evaluate=evaluate,
    notes=(
        "Made for one synthetic head that fills the frame as in synth-heads; on real faces its numbers mean nothing.",
        "`presence` tells such frames from others; it was trained against spoiled frames, not against photographs.",
        "What it began with had seen the clips alone, 11500 steps at a rate of 2e-3, in the last 5000 bent at random,"
        " and then gone once through this recipe.",
        f"Beside the clips it saw {HEADS * EACH} single pictures of faces that are in no split, no two of one shape.",
    ),
    part="",
    read=as_they_are,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ship and measure."""
    train(TRIAL, arguments)


if __name__ == "__main__":
    main()
