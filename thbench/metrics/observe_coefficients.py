"""Observes expression and pose as a 3-D face model has them: AED and APD of each video, E-FID of sets of videos."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.backbones import loaded
from thbench.backbones.deep3d import EXPRESSION, align, five_of_68, place
from thbench.backbones.mode_names import Mode, in_mode, split_mode
from thbench.faces.landmarks import landmarks68
from thbench.metrics.coefficients import coefficient_distance
from thbench.metrics.observe_fid import checked
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.backbones.batches import Ticket
    from thbench.metrics.observer import ClipFacts, Features, Moment, Values, View

EXTRACTOR = "deep3d.expression"
"""Name of the features of E-FID."""
_FROM_EDGE = 0.5
"""`Face.points` count from the frame's edge, the published rule from the centre of the first pixel."""


class Regressor:
    """From a frame to its coefficients, once for all observers."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._queue = loaded.deep3d(mode)
        self._standard = loaded.deep3d_standard_face()

    def submit(self, view: View) -> Ticket | None:
        """Queue the face of a frame; None where there is none."""
        return view.once(f"deep3d/{self._mode}", lambda: self._submit(view))

    def _submit(self, view: View) -> Ticket | None:
        if view.face is None:
            return None
        height, width = view.rgb.shape[:2]
        five = five_of_68(landmarks68(view.face.points)) - _FROM_EDGE
        placement = place(five, self._standard, width, height)
        if placement is None:
            return None
        crop = align(view.rgb, placement)
        return self._queue.submit(torch.from_numpy(crop).permute(2, 0, 1).float() / 255)


def _rows(tickets: list[Ticket | None]) -> NDArray[np.float32]:
    """Coefficients by frame; NaN where there is no face."""
    empty = np.full(257, np.nan, np.float32)
    return np.stack([empty if ticket is None else ticket.result().numpy() for ticket in tickets])


class CoefficientObserver:
    """Compares each generated frame with the reference frame of the same instant."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._regressors = {mode: Regressor(mode) for mode in sorted({split_mode(name)[1] for name in wanted})}
        self._pairs: dict[Mode, list[tuple[Ticket | None, Ticket | None]]] = {mode: [] for mode in self._regressors}

    def observe(self, moment: Moment) -> None:
        """Queue the faces of a moment."""
        if moment.reference is None:
            return
        for mode, regressor in self._regressors.items():
            self._pairs[mode].append((regressor.submit(moment.generated), regressor.submit(moment.reference)))

    def values(self, clip: ClipFacts) -> Values:
        """Return the distances."""
        found: dict[str, float] = {}
        for mode, pairs in self._pairs.items():
            if not pairs:
                continue
            distance = coefficient_distance(*(_rows(list(side)) for side in zip(*pairs, strict=True)))
            each = {"aed/deep3d": distance.expression, "apd/deep3d-rad": distance.pose}
            each["apd/deep3d-deg"] = math.degrees(distance.pose)
            found |= {in_mode(name, mode): value for name, value in each.items()}
        return {name: _checked(found.get(name)) for name in self._wanted}


def _checked(value: float | None) -> float | Missing:
    if value is None:
        return Missing("no instant in common with the reference")
    return value if math.isfinite(value) else Missing("no frame in which both videos show a face")


class ExpressionObserver:
    """Keeps the expression of each frame of the video."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._regressors = {mode: Regressor(mode) for mode in sorted({split_mode(name)[1] for name in wanted})}
        self._tickets: dict[Mode, list[Ticket]] = {mode: [] for mode in self._regressors}

    def observe(self, moment: Moment) -> None:
        """Queue the face of the frame."""
        for mode, regressor in self._regressors.items():
            ticket = regressor.submit(moment.generated)
            if ticket is not None:
                self._tickets[mode].append(ticket)

    def features(self, clip: ClipFacts) -> Features:
        """Return the expressions, one row for each frame with a face."""
        found: dict[str, NDArray[np.float32] | Missing] = {}
        for mode, tickets in self._tickets.items():
            name = in_mode(EXTRACTOR, mode)
            found[name] = checked(_rows(list(tickets))[:, EXPRESSION]) if tickets else Missing("no face in any frame")
        return found
