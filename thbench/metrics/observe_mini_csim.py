"""Observes identity similarity on the mini identity network: whole frames, no face detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.backbones.mini import loaded
from thbench.backbones.mini.identity import MiniIdentity
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.metrics.csim import similarity, unit
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thbench.backbones.batches import Ticket
    from thbench.metrics.observer import ClipFacts, Moment, Values, View


class MiniCsimObserver:
    """Keeps one embedding for each frame of both videos."""

    def __init__(self, wanted: frozenset[str]) -> None:
        """Start a video.

        Args:
            wanted: Names that end with what a frame is compared with: `portrait` or `same-frame`.
        """
        self._against = {name: name.rpartition("/")[2] for name in sorted(wanted)}
        self._queue = loaded.identity_queue()
        self._generated: list[Ticket] = []
        self._reference: list[Ticket | None] = []

    def observe(self, moment: Moment) -> None:
        """Queue the frames of a moment."""
        self._generated.append(self._embed(moment.generated))
        # Only the portrait of the reference is looked at where no metric compares frame by frame.
        looked_at = moment.index == 0 or "same-frame" in self._against.values()
        shown = moment.reference if looked_at else None
        self._reference.append(None if shown is None else self._embed(shown))

    def values(self, clip: ClipFacts) -> Values:
        """Return the mean cosines."""
        return {name: self._value(against) for name, against in self._against.items()}

    def _value(self, against: str) -> float | Missing:
        pairs = list(zip(self._generated, self._reference, strict=True))
        if against == "portrait":
            if not pairs or pairs[0][1] is None:
                return Missing("the reference has no frame")
            found = similarity(_rows(self._generated), _rows([pairs[0][1]])[0])
        else:
            both = [(a, b) for a, b in pairs if b is not None]
            if not both:
                return Missing("the reference has no frame")
            found = similarity(_rows([a for a, _ in both]), _rows([b for _, b in both]))
        return found.value if found.compared else Missing("the network's embeddings are zero or not numbers")

    def _embed(self, view: View) -> Ticket:
        return view.once("csim/mini", lambda: self._submit(view))

    def _submit(self, view: View) -> Ticket:
        return self._queue.submit(as_input(whole_frame(view.rgb, MiniIdentity.INPUT_SIZE)))


def _rows(tickets: Sequence[Ticket]) -> NDArray[np.float64]:
    """Embeddings at unit length."""
    return unit(np.stack([ticket.result().numpy() for ticket in tickets]))
