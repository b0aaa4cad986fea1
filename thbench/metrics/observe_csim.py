"""Observes identity similarity: one embedding for each face, whatever the number of rows that look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.backbones import loaded
from thbench.backbones.mode_names import Mode, split_mode
from thbench.faces.alignment import arcface_crop
from thbench.metrics.csim import prepare, similarity, unit
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.backbones.batches import BatchQueue, Ticket
    from thbench.metrics.observer import ClipFacts, Moment, Values, View

WEIGHTS_OF: Mapping[str, str] = {"w600k-r50": "arcface-w600k-r50", "iresnet": "arcface-iresnet"}
"""Model in a metric's name to its weight file."""
SIDE = 112
"""Rows and columns that the networks see."""


@dataclass(frozen=True, slots=True)
class _Way:
    """From a frame to an embedding: network, alignment and mode."""

    model: str
    alignment: str
    mode: Mode
    queue: BatchQueue

    def embed(self, view: View) -> Ticket | None:
        """Queue the face of a frame; None where there is none."""
        return view.once(f"csim/{self.model}/{self.alignment}/{self.mode}", lambda: self._submit(view))

    def _submit(self, view: View) -> Ticket | None:
        if self.alignment == "whole-frame":
            face = np.asarray(cv2.resize(view.rgb, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        elif view.face is None:
            return None
        else:
            face = arcface_crop(view.rgb, view.face, SIDE)
        return self.queue.submit(prepare(face[None])[0])


_Key = tuple[str, str, Mode]
"""Model, alignment and mode."""


class CsimObserver:
    """Keeps one embedding for each frame of both videos."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._asked = {name: _asked(name) for name in sorted(wanted)}
        self._ways: dict[_Key, _Way] = {
            key: _Way(*key, loaded.arcface(WEIGHTS_OF[key[0]], key[2])) for key, _ in self._asked.values()
        }
        self._generated: dict[_Key, list[Ticket | None]] = {key: [] for key in self._ways}
        self._reference: dict[_Key, list[Ticket | None]] = {key: [] for key in self._ways}
        # Only the portrait of the reference is looked at where no metric compares frame by frame.
        self._paired = {key for key, against in self._asked.values() if against == "same-frame"}

    def observe(self, moment: Moment) -> None:
        """Queue the faces of a moment."""
        for key, way in self._ways.items():
            self._generated[key].append(way.embed(moment.generated))
            looked_at = moment.reference is not None and (key in self._paired or moment.index == 0)
            self._reference[key].append(way.embed(moment.reference) if looked_at and moment.reference else None)

    def values(self, clip: ClipFacts) -> Values:
        """Return the mean cosines."""
        return {name: self._value(*asked) for name, asked in self._asked.items()}

    def _value(self, key: _Key, against: str) -> float | Missing:
        generated, reference = self._generated[key], self._reference[key]
        if not any(generated):
            return Missing("no face in any frame")
        if against == "portrait":
            if reference[0] is None:
                return Missing("no face in the portrait (the first frame of the reference)")
            found = similarity(_embeddings(generated), _embeddings(reference[:1])[0])
        else:
            if not any(a and b for a, b in zip(generated, reference, strict=True)):
                return Missing("no frame in which both videos show a face")
            found = similarity(_embeddings(generated), _embeddings(reference))
        return found.value if found.compared else Missing("the network's embeddings are zero or not numbers")


def _asked(name: str) -> tuple[_Key, str]:
    """What a metric's name asks for: model, alignment and mode, and what a face is compared with."""
    exact, mode = split_mode(name)
    _, model, alignment, against = exact.split("/")
    return (model, alignment, mode), against


def _embeddings(tickets: list[Ticket | None]) -> NDArray[np.float64]:
    """Rows at unit length; NaN where a frame has no face."""
    known = [None if ticket is None else ticket.result().numpy() for ticket in tickets]
    size = next(len(row) for row in known if row is not None)
    return unit(np.stack([np.full(size, np.nan) if row is None else row for row in known]))
