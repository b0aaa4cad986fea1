"""Tells in whose style somebody speaks from expressions alone: linear discriminants that no network is trained with.

StyleSim of the paper (arXiv 2409.03270) is a cosine of codes by an encoder that is not published. An encoder that was
trained for one person's clips reads who it is before it reads how they speak: of true pictures of one person in the
style of another, who say one speech, DreamTalk's small style encoder finds the style with an area under the ROC curve
of .80. Here statistics of expression are mapped to the directions in which styles differ most over what differs within
a style (Fisher, 1936; what differs within is shrunk towards the same in all directions, Friedman, 1989), learnt of
training people with their own and with another's face.
What it reads are expressions as the mini face regressor gives them, which SVP reads its style clips with, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from scipy.linalg import eigh
from thbench_methods.common.presets import shipped
from thbench_methods.svp.objective import statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

FILE = Path(__file__).parent / "mini_style_reader.safetensors"
DIRECTIONS = 8
"""As many as there are emotions."""
SHRINKAGE = 0.1
"""Share of what differs within a style that is taken to be the same in all directions."""


@dataclass(frozen=True, slots=True)
class StyleReader:
    """A linear map of standardised statistics."""

    centre: Values
    """Mean of the statistics, (3 expressions,)."""
    unit: Values
    """Their deviation, above 0."""
    directions: Values
    """Shape (3 expressions, directions)."""

    def __call__(self, expression: NDArray[np.float32]) -> Values:
        """Return codes (N, directions) of expressions (N, frames, expressions), range [0, 1], at the reader's rate."""
        return ((_statistics(expression) - self.centre) / self.unit) @ self.directions


def fit_style_reader(
    expression: NDArray[np.float32], kind: NDArray[np.integer], directions: int = DIRECTIONS
) -> StyleReader:
    """Return the reader that tells styles apart.

    Args:
        expression: Of clips, (N, frames, expressions), range [0, 1].
        kind: Shape (N,): number of the style of each.
        directions: At most one less than styles are of use.

    Raises:
        ValueError: There is only one style.
    """
    kinds, numbers = np.unique(kind, return_inverse=True)
    if len(kinds) < 2:
        raise ValueError(f"there is {len(kinds)} style; a reader tells at least 2 apart")
    rows = _statistics(expression)
    centre, unit = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    rows = (rows - centre) / unit
    middles = np.stack([rows[numbers == number].mean(axis=0) for number in range(len(kinds))])
    away, apart = rows - middles[numbers], middles - middles.mean(axis=0)
    within = away.T @ away / len(away)
    level = np.trace(within) / len(within)
    shrunk = (1 - SHRINKAGE) * within + SHRINKAGE * level * np.eye(len(within))
    _, found = eigh(apart.T @ apart / len(apart), shrunk)  # ascending
    return StyleReader(centre, unit, found[:, ::-1][:, : min(directions, len(kinds) - 1)])


def save_style_reader(reader: StyleReader, path: Path) -> None:
    """Write a reader."""
    values = {"centre": reader.centre, "unit": reader.unit, "directions": reader.directions}
    save_file({name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}, path)


def load_style_reader(path: Path = FILE) -> StyleReader:
    """Read the shipped reader.

    Raises:
        MissingWeightsError: The file was not installed.
    """
    return StyleReader(**{name: value.astype(np.float64) for name, value in load_file(shipped(path)).items()})


def _statistics(expression: NDArray[np.float32]) -> Values:
    return np.asarray(statistics(torch.from_numpy(np.ascontiguousarray(expression))).double())
