"""What changes are of: the portrait, moved as coefficients move a mean head. The small preset's own.

What is denoised are changes of the portrait, and where a head turns or speaks, most of the change is that parts of it
went elsewhere. The linear face model that the small DreamTalk knows (`dreamtalk.mean_face`) tells where, for its
coefficients are the same angles and named expressions; what it does not know, teeth, lids, shadows and whose face it
is, remains to be denoised. Coefficients do not tell where in the picture a head is: in use it turns about a point of
the neck, in training it is where the truth has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.dreamtalk import faces
from thbench_methods.dreamtalk.faces import ANGLES, CENTRE, SCALE, UNIT
from thbench_methods.dreamtalk.mean_face import USUAL, MeanFace, measured_face, rotations, warped
from thbench_methods.dreamtalk.motion import POSE
from thbench_methods.flap.coefficients import expressions
from torch import Tensor

from thbench.backbones.mini.face import SIDE
from thbench.backbones.mini.places import attitude_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.flap.config import Layout

UP = (1.0, -1.0)
"""Across and up of a head, in the picture's directions."""
LIDS = 1.6
"""How much further lids of a mean head are moved than coefficients tell: on its map, whose cells are 0.6 cm wide, the
edge of a lid is spread out, and lids that are told to be shut would be half open."""


class MovingHead(MeanFace):
    """A mean head that turns about a point of its neck; its numbers are those that `keep` finds."""

    pivot: Tensor
    """Shape (3,): that point, centimetres from the centroid of nose and eyes of a head that faces the viewer."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.register_buffer("pivot", torch.zeros(3))

    @torch.no_grad()
    def keep(self, values: Tensor, places: Tensor) -> None:
        """Measure the mean head of synth-heads, and find the point about which heads turn by least squares.

        Args:
            values: Head coefficients, (clips, frames, total).
            places: Where heads are, (clips, frames, 3), as `places_of` gives them.
        """
        self.load_state_dict({**measured_face(), "pivot": self.pivot})
        turned = self.turned_by(values.flatten(0, 1))
        size = self.centimetre(places[..., 0].flatten(), turned).view(*places.shape[:2], 1)
        turned = turned.view(*places.shape[:2], 3, 3)
        gone = (places[..., 1:] - places[:, :1, 1:]) * places.new_tensor(UP) / size
        about = (turned - turned[:, :1])[..., :2, :]
        # In double precision: results are to be the same bytes wherever arrays lie in memory.
        found = torch.linalg.lstsq(about.reshape(-1, 3).double(), gone.reshape(-1, 1).double())
        self.pivot.copy_(-found.solution[:, 0])

    def led(self, own: Tensor, place: Tensor, values: Tensor) -> Tensor:
        """Return where a head goes that turns about its pivot, (F, 3), as `places_of` gives it; its size stays.

        Args:
            own: Head coefficients of the portrait, (total,).
            place: Where its head is, (3,).
            values: Head coefficients of frames, (F, total).
        """
        first, turned = self.turned_by(own[None]), self.turned_by(values)
        size = self.centimetre(place[None, 0], first)
        spread = size * self.seen_spread(turned) / USUAL
        gone = -((turned - first) @ self.pivot)[:, :2] * size * place.new_tensor(UP)
        return torch.cat((spread[:, None], place[1:] + gone), dim=1)

    def moved(self, picture: NDArray[np.uint8], own: Tensor, place: Tensor, values: Tensor, places: Tensor) -> Tensor:
        """Return a portrait whose head is moved, (F, 3, size, size), range [-1, 1].

        Args:
            picture: Shape (size, size, 3).
            own: Its head coefficients, (total,).
            place: Where its head is, (3,).
            values: Head coefficients of the frames, (F, total).
            places: Where heads are in them, (F, 3).
        """
        count, size = len(values), len(picture)
        own, place = own.expand(count, -1), place.expand(count, -1)
        flow = self(self._face(own, place), self._face(values, places), size).flow
        shown = torch.from_numpy(np.array(picture)).to(flow).permute(2, 0, 1).expand(count, -1, -1, -1) / 127.5 - 1
        return warped(shown, flow)

    def _face(self, values: Tensor, places: Tensor) -> Tensor:
        """Return coefficients (N, total) and places (N, 3) as a mean face takes them."""
        pose = values.new_zeros(len(values), POSE)
        pose[:, ANGLES] = values[:, : self.layout.rotation]
        pose[:, SCALE], pose[:, CENTRE] = places[:, 0], places[:, 1:]
        told = values.clone()
        told[:, self.layout.lid_places] *= LIDS
        return torch.cat((UNIT * expressions(told, self.layout), pose), dim=1)

    def turned_by(self, values: Tensor) -> Tensor:
        """Return the rotations (N, 3, 3) of coefficients (N, total)."""
        return rotations(values[:, : self.layout.rotation])


def places_of(landmarks: NDArray[np.floating]) -> Tensor:
    """Return where heads are (..., 3): spread of nose and eyes over the usual one, and their centroid, -1 to 1.

    Args:
        landmarks: Their 68 points, (..., 68, 2), in shares of the picture.
    """
    return torch.from_numpy(faces.places_of(attitude_of(SIDE * np.asarray(landmarks, np.float64))).astype(np.float32))
