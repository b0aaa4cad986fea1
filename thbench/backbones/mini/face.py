"""The mini face regressor: 68 landmarks, head pose, expression and blinks of a synth-heads-like frame.

Two small networks: one finds the head in the whole frame, one looks at it upright and close. Landmarks are expectations
over heat maps (soft-argmax; Sun et al., "Integral human pose regression", ECCV 2018), corrected by a linear layer that
sees them all and the coarsest map with its places; what the maps look at is what the expression is read from. They know
drawn heads of about the size that synth-heads shows, nothing else: `presence` says whether a frame is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thbench.backbones.mini.mirror import MIRROR_OF_EXPRESSIONS, MIRROR_OF_POINTS, MIRRORED_POSE
from thbench.backbones.mini.places import WHOLE, Attitude, attitude_of, cut, moved
from thbench.backbones.mini.threads import one_thread
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.faces.pose import head_pose_degrees, rotation_from_degrees

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 128
"""Rows and columns of frames."""
FAR_SIDE = 64
"""Rows and columns in which the head is searched."""
NEAR_SIDE = 72
"""Rows and columns of the upright cut of the face."""
CELLS = NEAR_SIDE // 4
"""Rows and columns of a heat map."""
POINTS = 68
BLINK = (EXPRESSIONS.index("eyeBlinkLeft"), EXPRESSIONS.index("eyeBlinkRight"))
"""Places of the two lids among the expressions."""
PRESENT = 0.5
"""Probability of a synth-heads-like head from which on a frame is measured."""
LOOKS = 2
"""How often the face is cut: where the head was found, then where its landmarks were. The last cut is looked at in a
mirror as well: what a network sees better from one side than from the other cancels out."""
CHUNK = 16
"""Frames at a time, always as many: a last batch is filled up, so that rounding does not depend on the neighbours."""
_CELL = 4
_CHANNELS = 16
"""Channels that are read at each landmark, and of the coarsest map where its places count."""
_COARSE = 4 * _CELL
"""Pixels of the cut along a cell of the coarsest map."""
_USUALLY = 6.0
"""Standard deviation of landmarks about their usual places with which training begins, pixels of the cut."""
USUAL_SPREAD = 13.3
"""Of nose and eyes in frames of synth-heads, pixels."""


class Seen(NamedTuple):
    """What the networks say of frames; arrays begin with (frames,)."""

    landmarks: NDArray[np.float32]
    """Shape (frames, 68, 2): pixels of the 128 px frame, the corner of the image is (0, 0); 300-W order."""
    pose: NDArray[np.float32]
    """Yaw, pitch, roll, degrees, signs of `thbench.faces.head_pose_degrees`."""
    expression: NDArray[np.float32]
    """Coefficients in the order of `synth_heads.expression.EXPRESSIONS`, [0, 1]."""
    presence: NDArray[np.float32]
    """Probability that the frame shows one head as synth-heads does."""

    @property
    def blink(self) -> NDArray[np.float32]:
        """Closure of the lids, 0 open to 1 shut: the mean of both eyes."""
        return np.asarray(self.expression[:, list(BLINK)].mean(axis=1))


class Far(NamedTuple):
    """Where the head is."""

    presence: Tensor
    """Logits, shape (N,)."""
    centroid: Tensor
    """Of nose and eyes, shape (N, 2): from -1 to 1 across the frame."""
    spread: Tensor
    """Logarithm of the spread of nose and eyes over the usual one, shape (N,)."""
    tilt: Tensor
    """Of the line of the eyes, clockwise as seen, radians, shape (N,)."""


class Near(NamedTuple):
    """What an upright cut of a face shows."""

    heat: Tensor
    """Logits of the heat maps, shape (N, 68, 18, 18), float32."""
    landmarks: Tensor
    """Shape (N, 68, 2), pixels of the cut."""
    pose: Tensor
    """Relative to the upright cut, shape (N, 3), degrees."""
    expression: Tensor
    """Shape (N, 53), not limited to [0, 1]."""


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input goes too."""

    FOLDS = (("first", "norm1"), ("second", "norm2"), ("around", "norm3"))

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.around = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else nn.Identity()
        self.norm3 = nn.BatchNorm2d(outputs) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, rows, columns) to (N, outputs, rows / stride, columns / stride), halves rounded up."""
        y = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        return F.relu(self.norm3(self.around(x)) + y)


class Stem(nn.Module):
    """Cells of 4x4 pixels as channels: as sharp as strided convolutions, and several times as fast on CPUs."""

    FOLDS = (("mix", "norm"),)

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3 * _CELL**2, outputs, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (N, 3, side, side) in [0, 255] to (N, outputs, side / 4, side / 4)."""
        return F.relu(self.norm(self.mix(F.pixel_unshuffle((frames - 127.5) / 64, _CELL))))


class FarSight(nn.Module):
    """Finds the head in a whole frame."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(Stem(48), Residual(48, 64, 2), Residual(64, 96, 2))
        self.head = nn.Sequential(nn.Linear(96 * (FAR_SIDE // 16) ** 2, 64), nn.ReLU(), nn.Linear(64, 5))

    def forward(self, frames: Tensor) -> Far:
        """Look at frames (N, 3, 64, 64), RGB, range [0, 255]."""
        said = self.head(self.body(frames).flatten(1)).float()
        return Far(said[:, 0], said[:, 1:3], said[:, 3], said[:, 4])


class NearSight(nn.Module):
    """Measures an upright cut of a face."""

    FOLDS = (("mix", "mix_norm"), ("refine", "refine_norm"))

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            (
                Stem(64),
                nn.Sequential(Residual(64, 96, 2), Residual(96, 96)),
                nn.Sequential(Residual(96, 128, 2), Residual(128, 128)),
            )
        )
        self.across = nn.ModuleList(nn.Conv2d(width, 64, 1) for width in (64, 96, 128))
        self.mix = nn.Conv2d(64, 64, 3, 1, 1, bias=False)
        self.mix_norm = nn.BatchNorm2d(64)
        self.refine = nn.Conv2d(64, 64, 3, 1, 1, bias=False)
        self.refine_norm = nn.BatchNorm2d(64)
        self.heat = nn.Conv2d(64, POINTS, 1)
        self.prior = nn.Parameter(torch.zeros(POINTS, CELLS, CELLS))
        self.look = nn.Conv2d(64, _CHANNELS, 1)
        self.pose = nn.Sequential(nn.Linear(128 + 2 * POINTS, 128), nn.ReLU(), nn.Linear(128, 3))
        self.squeeze = nn.Conv2d(128, _CHANNELS, 1)
        facts = 128 + (2 + _CHANNELS) * POINTS + _CHANNELS * (-(-NEAR_SIDE // _COARSE)) ** 2
        self.offset = nn.Linear(facts, 2 * POINTS)
        self.expression = nn.Sequential(nn.Linear(facts, 192), nn.ReLU(), nn.Linear(192, len(EXPRESSIONS)))
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    @torch.no_grad()
    def expect(self, landmarks: Tensor) -> None:
        """Begin with the usual places of the landmarks, shape (68, 2), pixels of the cut."""
        away = (landmarks[:, None] - cell_middles()).square().sum(dim=-1)
        self.prior.copy_(-0.5 * (away / _USUALLY**2).view_as(self.prior))

    def forward(self, cuts: Tensor) -> Near:
        """Look at cuts (N, 3, 72, 72), RGB, range [0, 255]."""
        x, levels = cuts, []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        up: Tensor = self.across[2](levels[2])
        for level, across in zip(levels[1::-1], (self.across[1], self.across[0]), strict=True):
            up = F.interpolate(up, size=list(level.shape[2:]), mode="nearest") + across(level)
        maps = F.relu(self.mix_norm(self.mix(up)))
        maps = F.relu(self.refine_norm(self.refine(maps)))
        heat = self.heat(maps).float() + self.prior
        share = heat.flatten(2).softmax(dim=-1)
        peaks = share @ cell_middles(heat.device)
        looks = self.look(maps).flatten(2)
        seen = (share.to(looks.dtype) @ looks.transpose(1, 2)).flatten(1).float()
        whole = levels[2].mean(dim=(2, 3)).float()
        places = ((peaks - NEAR_SIDE / 2) / (NEAR_SIDE / 4)).flatten(1)
        coarse = F.relu(self.squeeze(levels[2])).flatten(1).float()
        facts = torch.cat((whole, places, seen, coarse), dim=1)
        landmarks = peaks + self.offset(facts).float().view_as(peaks)
        pose = self.pose(torch.cat((whole, places), dim=1)).float() * 20
        return Near(heat, landmarks, pose, self.expression(facts).float())


class MiniFace(nn.Module):
    """Both networks."""

    def __init__(self) -> None:
        super().__init__()
        self.far = FarSight()
        self.near = NearSight()


def cell_middles(device: torch.device | str = "cpu") -> Tensor:
    """Middles of the heat maps' cells, x and y in pixels of the cut, shape (18 * 18, 2)."""
    line = (torch.arange(CELLS, device=device, dtype=torch.float32) + 0.5) * _CELL
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((x, y), dim=-1).reshape(-1, 2)


def attitude_from(far: Far) -> Attitude:
    """Where the head is in frames of 128 px."""
    centroid = (far.centroid.double().numpy() + 1) * (SIDE / 2)
    tilt = far.tilt.double().numpy()
    spread = USUAL_SPREAD * np.exp(far.spread.double().numpy().clip(-1.5, 1.5))
    return Attitude(centroid, spread, np.stack((np.cos(tilt), np.sin(tilt)), axis=-1))


def turned(pose: NDArray[np.floating], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Head pose in the frame of what an upright cut shows.

    Args:
        pose: Yaw, pitch, roll in the cut, shape (..., 3), degrees.
        across: Direction of the cut's rows in the frame, shape (..., 2).
    """
    cosine, sine = across[..., 0], -across[..., 1]
    none, one = np.zeros_like(sine), np.ones_like(sine)
    rows = ((cosine, -sine, none), (sine, cosine, none), (none, none, one))
    about_z = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    return head_pose_degrees(about_z @ rotation_from_degrees(pose))


def look(network: MiniFace, frames: NDArray[np.uint8]) -> Seen:
    """Measure frames.

    Args:
        network: In evaluation mode.
        frames: Shape (N, 128, 128, 3), RGB; `picture` makes them of frames of any size.
    """
    filled = np.concatenate((frames, np.repeat(frames[-1:], -len(frames) % CHUNK, axis=0)))
    pieces = [_look(network, filled[start : start + CHUNK]) for start in range(0, len(filled), CHUNK)]
    return Seen(*(np.concatenate(part)[: len(frames)] for part in zip(*pieces, strict=True)))


@one_thread()
@torch.inference_mode()
def _look(network: MiniFace, frames: NDArray[np.uint8]) -> Seen:
    far = network.far(as_tensor([resized(frame, FAR_SIDE) for frame in frames]))
    attitude = attitude_from(far)
    for number in range(LOOKS):
        place = attitude.place(WHOLE)
        matrices = place.matrix(NEAR_SIDE)
        cuts = [cut(frame, m, NEAR_SIDE) for frame, m in zip(frames, matrices, strict=True)]
        near = _near(network.near, cuts)
        if number == LOOKS - 1:
            near = _middle(near, _mirrored(_near(network.near, [np.ascontiguousarray(c[:, ::-1]) for c in cuts])))
        landmarks = moved(near.landmarks, matrices)
        attitude = attitude_of(landmarks)
    return Seen(
        landmarks.astype(np.float32),
        turned(near.pose, place.across).astype(np.float32),
        near.expression.clip(0, 1),
        far.presence.sigmoid().numpy(),
    )


class _Cuts(NamedTuple):
    """What upright cuts show."""

    landmarks: NDArray[np.float32]
    """Shape (N, 68, 2), pixels of the cut."""
    pose: NDArray[np.float32]
    """Shape (N, 3), degrees."""
    expression: NDArray[np.float32]
    """Shape (N, 53)."""


def _near(network: NearSight, cuts: list[NDArray[np.uint8]]) -> _Cuts:
    near = network(as_tensor(cuts))
    return _Cuts(near.landmarks.numpy(), near.pose.numpy(), near.expression.numpy())


def _mirrored(seen: _Cuts) -> _Cuts:
    """What the mirror images of the cuts show."""
    side, across = np.array((NEAR_SIDE, 0), np.float32), np.array((-1, 1), np.float32)
    landmarks = (side + seen.landmarks * across)[:, MIRROR_OF_POINTS]
    return _Cuts(landmarks, seen.pose * MIRRORED_POSE, seen.expression[:, MIRROR_OF_EXPRESSIONS])


def _middle(first: _Cuts, second: _Cuts) -> _Cuts:
    landmarks, pose, expression = ((a + b) / np.float32(2) for a, b in zip(first, second, strict=True))
    return _Cuts(landmarks, pose, expression)


def as_tensor(frames: list[NDArray[np.uint8]]) -> Tensor:
    """Stack frames (side, side, 3) to float32 (N, 3, side, side)."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float()


def resized(square: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A square picture at another size; OpenCV's area average to shrink, bilinear to enlarge."""
    import cv2

    if len(square) == side:
        return np.ascontiguousarray(square)
    how = cv2.INTER_AREA if len(square) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (side, side), interpolation=how), np.uint8)


def picture(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle square of a frame (height, width, 3) at 128 px."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resized(rgb[top : top + side, left : left + side], SIDE)
