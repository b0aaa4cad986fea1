"""Trains the mini identity: `python -m thbench.backbones.mini.train.identity`.

An additive angular margin tells the people of the training split apart. Because they are few, the embedding's direction
must also give the truth of the identity vector (shape, colours, age, ...), which carries over to people never seen.
Below the chin, pictures change their clothes with those of others, so that nobody is known by a shirt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from thbench.backbones.mini.identity import MiniIdentity
from thbench.backbones.mini.train.held_out import Held, area_under_curve, embed
from thbench.backbones.mini.train.knowledge import Scale, identities
from thbench.backbones.mini.train.ship import Trial, channels_last, train
from thbench.backbones.mini.train.stills import open_stills, stills_folder
from thbench.backbones.mini.whole_frame import as_input
from thbench.training import Recipe, Score
from thbench.validate.picture import compressed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

    Image = NDArray[np.uint8]

BATCH = 64
MARGIN, SCALE = 0.3, 30.0
"""Of the angular margin: radians, and the factor of the cosines."""
OTHER_CLOTHES = 0.6
"""Share of the pictures that change their clothes."""
STILLS = 256
"""People beyond those of the split, of whom there are single pictures."""
CHIN = 8
"""Number of the chin among the 68 landmarks."""
SIDE = MiniIdentity.INPUT_SIZE


class Batch(NamedTuple):
    """Pictures of people."""

    frames: Tensor
    """Shape (N, 3, 112, 112)."""
    person: Tensor
    """Shape (N,)."""
    vector: Tensor
    """Standardised identity vectors, shape (N, d)."""


class Network(nn.Module):
    """The embedding with what it is trained through."""

    def __init__(self, people: int, vector: int) -> None:
        super().__init__()
        self.encoder = MiniIdentity()
        self.centres = nn.Parameter(torch.randn(people, MiniIdentity.FEATURES))
        self.vector = nn.Linear(MiniIdentity.FEATURES, vector)


class Source(NamedTuple):
    """Pictures to draw from; all arrays begin with (rows, pictures) or (rows,)."""

    frames: NDArray[np.uint8]
    """Shape (rows, pictures, size, size, 3), RGB."""
    chins: NDArray[np.float32]
    """Row of the chin in each picture, shape (rows, pictures)."""
    person: NDArray[np.int64]
    """Number of the person, shape (rows,)."""
    vectors: NDArray[np.float32]
    """Identity vector, shape (rows, d)."""


class IdentityTask:
    """Tell people apart, and tell what they look like."""

    def __init__(self, sources: Sequence[Source]) -> None:
        """Prepare the task.

        Args:
            sources: Drawn from equally often; no person is in two of them.
        """
        self._sources = sources
        self._firsts = np.cumsum([0] + [int(s.person.max()) + 1 for s in sources])
        self._scale = Scale.of(np.concatenate([s.vectors for s in sources]))
        people, vector = int(self._firsts[-1]), sources[0].vectors.shape[1]
        self.network = channels_last(Network(people, vector))

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw pictures."""
        frames, people, vectors = [], [], []
        for number in range(BATCH):
            which = number % len(self._sources)
            source = self._sources[which]
            row = int(rng.integers(len(source.frames)))
            frames.append(_picture(source, row, rng))
            people.append(int(self._firsts[which] + source.person[row]))
            vectors.append(source.vectors[row])
        vector = torch.from_numpy(self._scale(np.stack(vectors)))
        return Batch(as_input(np.stack(frames)), torch.tensor(people), vector)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Margin loss, and the error of the identity vector read off the embedding's direction."""
        embedding = self.network.encoder(batch.frames).float()
        with torch.autocast("cpu", enabled=False):
            unit = F.normalize(embedding, dim=1)
            margin = angular_margin_loss(unit, F.normalize(self.network.centres, dim=1), batch.person)
            told = self.network.vector(unit * MiniIdentity.FEATURES**0.5)
            vector = F.smooth_l1_loss(told, batch.vector)
        return {"loss": 0.1 * margin + 4 * vector, "margin": margin, "vector": vector}


def _picture(source: Source, row: int, rng: np.random.Generator) -> Image:
    instant = int(rng.integers(source.frames.shape[1]))
    picture = np.array(source.frames[row, instant])
    if rng.random() < OTHER_CLOTHES:
        other, then = int(rng.integers(len(source.frames))), int(rng.integers(source.frames.shape[1]))
        chins = source.chins[row, instant], source.chins[other, then]
        picture = other_clothes(picture, source.frames[other, then], *chins, below=rng.uniform(2, 8))
    return augmented(picture, rng)


def angular_margin_loss(unit: Tensor, centres: Tensor, person: Tensor) -> Tensor:
    """ArcFace's loss (Deng et al., CVPR 2019, equation 3).

    Args:
        unit: Embeddings at unit length, (N, d).
        centres: One direction for each person at unit length, (people, d).
        person: Who it is, (N,).
    """
    cosine = (unit @ centres.T).clamp(-1 + 1e-6, 1 - 1e-6)
    own = cosine.gather(1, person[:, None])
    # Beyond pi - m the margin would turn the slope round.
    with_margin = torch.cos((own.acos() + MARGIN).clamp(max=torch.pi))
    return F.cross_entropy(SCALE * cosine.scatter(1, person[:, None], with_margin), person)


def other_clothes(picture: Image, other: Image, chin: float, other_chin: float, *, below: float) -> Image:
    """Put another picture's rows below the chin.

    Args:
        picture: Shape (height, width, 3); changed in place.
        other: The same shape.
        chin: Row of the chin in `picture`.
        other_chin: Row of the chin in `other`.
        below: Rows between the chin and the cut.
    """
    rows = np.arange(max(round(float(chin + below)), 0), len(picture))
    picture[rows] = other[(rows + round(float(other_chin - chin))).clip(0, len(other) - 1)]
    return picture


def augmented(picture: Image, rng: np.random.Generator) -> Image:
    """Turn, shift, scale, light and blur a picture at random, and bring it to the network's size.

    Never mirrored: faces are not symmetric, and nobody is their mirror image.
    """
    size = len(picture)
    scale = SIDE / size * rng.uniform(0.9, 1.12)
    matrix = np.asarray(cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0, 4), scale), np.float64)
    matrix[:, 2] += SIDE / 2 - size / 2 + rng.normal(0, 0.03 * SIDE, 2)
    small = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    small = cv2.LUT(small, _curves(rng))
    if rng.random() < 0.2:
        small = compressed(np.asarray(small, np.uint8), rng.uniform(5, 60))
    if rng.random() < 0.2:
        # Light only: who cannot be made out is not to be recognised.
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 0.8))
    if rng.random() < 0.2:
        noise = rng.standard_normal(small.shape, dtype=np.float32) * np.float32(rng.uniform(2, 12))
        small = (small + noise).clip(0, 255)
    return np.asarray(small, np.uint8)


def _curves(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Gain, gamma and offset of each channel as a table (1, 256, 3)."""
    level = np.linspace(0, 1, 256)[:, None]
    gain = rng.uniform(0.8, 1.2) * rng.normal(1, 0.03, 3).clip(0.9, 1.1)
    table = gain * level ** np.exp(rng.normal(0, 0.15)) + rng.normal(0, 0.02)
    return np.asarray((255 * table).clip(0, 255)[None], np.uint8)


def evaluate(network: Callable[[Tensor], Tensor], held: Held) -> tuple[Score, ...]:
    """Verification on people never seen: pairs of frames from different clips."""
    features = embed(network, held.frames, SIDE)
    found = area_under_curve(features, held.people)
    swapped = area_under_curve(embed(network, undressed(held), SIDE), held.people)
    common = {"n": held.frames.shape[0] * held.frames.shape[1], "people": len(set(held.people))}
    each = f"every {held.every}th frame of each clip"
    return (
        Score(
            name="verification AUC",
            value=found.value,
            low=found.low,
            high=found.high,
            bar=">= 0.99",
            protocol=f"{each}; all pairs of frames from different clips (other scene, light, emotion, sentence)",
            **common,
        ),
        Score(
            name="verification AUC, everybody in the clothes of somebody else",
            value=swapped.value,
            low=swapped.low,
            high=swapped.high,
            protocol="as above, rows below the chin from the next person's clip",
            **common,
        ),
    )


def undressed(held: Held) -> NDArray[np.uint8]:
    """Frames whose rows below the chin come from another person's clip, another one for each clip of a person."""
    frames = held.frames.copy()
    count = len(frames)
    for clip in range(count):
        turn = 1 + held.people[:clip].count(held.people[clip])
        others = [k % count for k in range(clip + 1, clip + count) if held.people[k % count] != held.people[clip]]
        other = others[(7 * turn) % len(others)]
        for i in range(frames.shape[1]):
            chins = held.landmarks68[clip, i, CHIN, 1], held.landmarks68[other, i, CHIN, 1]
            frames[clip, i] = other_clothes(frames[clip, i], held.frames[other, i], *chins, below=5)
    return frames


def make_task(pictures: Pictures) -> IdentityTask:
    """The task on a made training split and on single pictures of more people."""
    more = open_stills(stills_folder(), STILLS)
    return IdentityTask(
        (
            Source(
                pictures.frames,
                np.asarray(pictures.landmarks68[:, :, CHIN, 1]),
                pictures.person,
                identities(pictures.clips),
            ),
            Source(more.frames, more.landmarks68[:, :, CHIN, 1], np.arange(STILLS), more.vectors),
        )
    )


TRIAL = Trial(
    name="identity",
    title="Mini identity embedding",
    source="Deng et al., ArcFace (CVPR 2019), at small size",
    objective=(
        f"additive angular margin (m {MARGIN}, s {SCALE:g}) over the people of the split and {STILLS} more of whom"
        " there are single pictures, times 0.1, plus 4 times the smooth L1 error of the standardised identity vector"
        " read off the embedding's direction"
    ),
    recipe=Recipe(steps=2000, learning_rate=2e-3, warm_up=50, weight_decay=0.05, average=0.995),
    every=10,
    task=make_task,
    network=MiniIdentity,
    evaluate=evaluate,
    notes=(
        "Sees the whole frame at 112 x 112, no face detector; made for synthetic heads, not for people.",
        "Trained on the people of the train split and on 256 more with eight single pictures each.",
        "Only its direction means something: compare by cosine.",
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ship and measure."""
    train(TRIAL, arguments)


if __name__ == "__main__":
    main()
