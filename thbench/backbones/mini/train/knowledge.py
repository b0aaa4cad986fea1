"""What the encoders learn from: the truth of a split as standardised targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.backdrop import KINDS
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import About, identity_vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thbench.data.synth_heads.scene import Scene
    from thbench.types import Clip

    Floats = NDArray[np.float32]

CLAMP = 3.0
"""Standardised targets are cut off here: a rare colour must not outweigh a face."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and spread of a quantity over the training split."""

    mean: Floats
    """Shape (d,)."""
    spread: Floats
    """Shape (d,); 1 where a quantity does not vary."""

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """Measure values of shape (..., d)."""
        rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
        spread = rows.std(axis=0)
        return cls(rows.mean(axis=0).astype(np.float32), np.where(spread > 1e-6, spread, 1).astype(np.float32))

    def __call__(self, values: Floats) -> Floats:
        """Standardise and cut off."""
        return np.asarray(((values - self.mean) / self.spread).clip(-CLAMP, CLAMP), np.float32)


def about(clip: Clip) -> About:
    """Description of a clip, without the rest of its truth, which takes far longer to read."""
    with np.load(clip.path.with_suffix(".npz"), allow_pickle=False) as archive:
        return About.model_validate_json(archive["about"].tobytes())


def identities(clips: Sequence[Clip]) -> Floats:
    """Identity vectors of the people of clips, shape (clips, d)."""
    vectors: dict[str, list[float]] = {}
    for clip in clips:
        if clip.identity not in vectors:
            vectors[clip.identity] = list(identity_vector(about(clip).person).values())
    return np.array([vectors[clip.identity] for clip in clips], np.float32)


def scenes(clips: Sequence[Clip]) -> Floats:
    """Camera, light, palette and kind of backdrop of clips, shape (clips, d)."""
    return np.stack([_scene(make_scene(about(clip).seed)) for clip in clips])


def _scene(scene: Scene) -> Floats:
    light = scene.light
    directions = (light.key_direction, light.rim_direction)
    colours = (light.key, light.sky, light.ground, light.rim, scene.palette.ravel())
    kind = np.array([name == scene.backdrop for name in KINDS], np.float64)
    camera = np.array((scene.camera.view, scene.camera.height, scene.camera.distance))
    return np.concatenate((camera, *directions, *colours, kind)).astype(np.float32)
