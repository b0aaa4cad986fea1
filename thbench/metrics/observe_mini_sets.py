"""Observes FID, KID and FVD on the mini encoders: features of every frame, and of every 16 frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.backbones.mini import loaded
from thbench.backbones.mini.clip_encoder import MiniClipEncoder
from thbench.backbones.mini.frame_encoder import MiniFrameEncoder
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.metrics.observe_fid import checked
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.backbones.batches import Ticket
    from thbench.metrics.observer import ClipFacts, Features, Moment, View

FRAME_FEATURES = "mini-frame-encoder"
"""Name of the features behind `fid/mini` and `kid/mini`."""
CLIP_FEATURES = "mini-clip-encoder"
"""Name of the features behind `fvd/mini`."""


class MiniFrameObserver:
    """Runs the frame encoder once for each frame."""

    def __init__(self, wanted: frozenset[str]) -> None:
        """Start a video; `fid/mini` and `kid/mini` want the same features."""
        self._queue = loaded.frame_queue()
        self._tickets: list[Ticket] = []

    def observe(self, moment: Moment) -> None:
        """Queue the frame."""
        self._tickets.append(moment.generated.once(FRAME_FEATURES, lambda: self._submit(moment.generated)))

    def features(self, clip: ClipFacts) -> Features:
        """Return the features, one row for each frame."""
        if not self._tickets:
            return {FRAME_FEATURES: Missing("the video has no frame")}
        return {FRAME_FEATURES: checked(np.stack([ticket.result().numpy() for ticket in self._tickets]))}

    def _submit(self, view: View) -> Ticket:
        return self._queue.submit(as_input(whole_frame(view.rgb, MiniFrameEncoder.INPUT_SIZE)))


class MiniClipObserver:
    """Runs the clip encoder on the clips of 16 frames that follow each other."""

    def __init__(self, wanted: frozenset[str]) -> None:
        """Start a video."""
        self._network = loaded.clip_encoder()
        self._frames: list[NDArray[np.uint8]] = []
        self._rows: list[torch.Tensor] = []
        self._seen = 0

    def observe(self, moment: Moment) -> None:
        """Take in the frame."""
        self._seen += 1
        self._frames.append(whole_frame(moment.generated.rgb, MiniClipEncoder.INPUT_SIZE))
        if len(self._frames) == MiniClipEncoder.FRAMES:
            self._run(np.stack(self._frames))
            self._frames.clear()

    def features(self, clip: ClipFacts) -> Features:
        """Return the features, one row for each clip of frames."""
        if not self._rows:
            reason = f"the video has {self._seen} frames; this FVD needs at least {MiniClipEncoder.FRAMES}"
            return {CLIP_FEATURES: Missing(reason)}
        return {CLIP_FEATURES: checked(torch.cat(self._rows).numpy())}

    @torch.inference_mode()
    def _run(self, frames: NDArray[np.uint8]) -> None:
        self._rows.append(self._network(as_input(frames[None])))
