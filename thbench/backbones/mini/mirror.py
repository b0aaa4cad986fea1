"""What becomes of the truth of a face in a mirrored picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.faces.landmarks import MIRROR_OF_68

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _mirror_of_expressions() -> NDArray[np.intp]:
    def other(name: str) -> str:
        for side, opposite in (("Left", "Right"), ("Right", "Left")):
            if name.endswith(side):
                return name.removesuffix(side) + opposite
        return name

    return np.array([EXPRESSIONS.index(other(name)) for name in EXPRESSIONS])


MIRROR_OF_EXPRESSIONS = _mirror_of_expressions()
"""Which expression each becomes."""
MIRROR_OF_POINTS = np.array(MIRROR_OF_68)
"""Which of the 68 points each becomes."""
MIRRORED_POSE = np.array((-1.0, 1.0, -1.0), np.float32)
"""Signs of yaw, pitch and roll."""
