"""Motion as vectors: each method lists the same parameters in an order of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from thbench_methods.nets.liveportrait.keypoints import HeadPose, Motion, as_points

if TYPE_CHECKING:
    from torch import Tensor

_TRANSLATION = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parameters of a motion lie in its vector."""

    order: tuple[str, ...]
    """`scale`, `pitch`, `yaw`, `roll`, `t` and `exp`, each once."""
    num_kp: int = 21
    """Number of key-points K."""

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each parameter, in order."""
        special = {"t": _TRANSLATION, "exp": 3 * self.num_kp}
        return {name: special.get(name, 1) for name in self.order}

    @property
    def size(self) -> int:
        """Length of the vector; 70 for 21 key-points."""
        return sum(self.sizes.values())

    def place(self, name: str) -> slice:
        """Return where a parameter lies."""
        before = self.order[: self.order.index(name)]
        start = sum(self.sizes[other] for other in before)
        return slice(start, start + self.sizes[name])

    def pack(self, motion: Motion) -> Tensor:
        """Return a motion of leading shape (...) as vectors (..., size)."""
        parts = {
            **{name: angle[..., None] for name, angle in motion.pose._asdict().items()},
            "scale": motion.scale[..., None],
            "t": motion.translation,
            "exp": motion.expression.flatten(-2),
        }
        return torch.cat([parts[name] for name in self.order], dim=-1)

    def unpack(self, vectors: Tensor) -> Motion:
        """Return vectors (..., size) as a motion of leading shape (...)."""
        parts = dict(zip(self.order, torch.split(vectors, list(self.sizes.values()), dim=-1), strict=True))
        return Motion(
            pose=HeadPose(*(parts[angle][..., 0] for angle in HeadPose._fields)),
            translation=parts["t"],
            expression=as_points(parts["exp"]),
            scale=parts["scale"][..., 0],
        )
