"""The portrait with the face of a style: what changes of a clip in that style are of. The small preset's own.

A style shows in how a face rests, too: brows, lids, cheeks and the corners of the mouth of who is angry are elsewhere
through the whole clip. Which expressions rest where is read off the code, linearly as stage 1 trains it to be told
(`train.StyleTraining`); the linear face model that the small DreamTalk knows (`dreamtalk.mean_face`) moves the portrait
from its own expressions to those. Lids that shut and gaze are not moved: they come and go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.dreamtalk.mean_face import warped

from thbench.data.synth_heads.expression import EXPRESSIONS

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.faces import Face
    from thbench_methods.dreamtalk.mean_face import MeanFace
    from torch import Tensor

PASSING = tuple(name.startswith(("eyeLook", "eyeBlink")) for name in EXPRESSIONS)
"""Expressions that are not held."""


def with_manner(model: MeanFace, picture: Tensor, own: Face, wanted: Tensor, strength: float) -> Tensor:
    """Return a portrait with the expressions of a style, (F, 3, size, size), range [-1, 1].

    Args:
        model: The linear face model.
        picture: The portrait, (1, 3, size, size), range [-1, 1].
        own: Its coefficients, one row.
        wanted: Expressions of each frame, (F, expressions), in units of `faces.UNIT`.
        strength: Share of the way from its own expressions to those: 0 leaves it as it is, 1 goes all of it; more goes
            on as far as expressions do.
    """
    count, size = len(wanted), picture.shape[-1]
    expression, pose = (part.to(wanted).expand(count, -1) for part in (own.expression, own.pose))
    passing = torch.tensor(PASSING, device=wanted.device)
    held = (expression + strength * (wanted - expression)).clamp(0, UNIT)
    held = torch.where(passing, expression, held)
    before, after = (torch.cat((part, pose), dim=1) for part in (expression, held))
    # What the model has of flow where nothing moves, it has by rounding to its own grid.
    flow = model(before, after, size).flow - model(before, before, size).flow
    return warped(picture.expand(count, -1, -1, -1), flow)
