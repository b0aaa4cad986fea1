"""Observes FVD: the clips that each protocol takes from a video, while its frames come."""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from thbench.backbones import loaded
from thbench.backbones.mode_names import Mode, in_mode, split_mode
from thbench.errors import MediaError
from thbench.faces.landmarks import face_box
from thbench.metrics.fvd import SIDE, clip_starts, offset_priorities, protocol
from thbench.metrics.observe_fid import checked
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from thbench.metrics.fvd import FvdProtocol, Rule
    from thbench.metrics.observer import ClipFacts, Features, Moment, View

    Network = Callable[[torch.Tensor], torch.Tensor]

VIDEOGPT_FILE = frozenset({"videogpt-16f", "disco"})
"""Protocols that use VideoGPT's weight file; the others use StyleGAN-V's."""
FACE_CROPS = frozenset({"latentsync"})
"""Protocols that see face crops instead of frames."""


def extractors(name: str, mode: Mode = "exact") -> tuple[str, str]:
    """Return the names of the features of generated and of reference videos; one name where the clips are the same."""
    chosen = protocol(name)
    if chosen.generated == chosen.reference:
        both = in_mode(f"i3d.{name}", mode)
        return both, both
    return in_mode(f"i3d.{name}.generated", mode), in_mode(f"i3d.{name}.reference", mode)


class ClipFeatures:
    """The logits of the clips that a rule takes from a video, whose frames come one after another."""

    def __init__(self, rule: Rule, chosen: FvdProtocol, network: Network) -> None:
        self._rule = rule
        self._chosen = chosen
        self._network = network
        self._last: deque[NDArray[np.uint8]] = deque(maxlen=chosen.frames)
        self._prepared: list[torch.Tensor] = []
        self._drawn: tuple[float, Sequence[NDArray[np.uint8]]] = (-1.0, ())
        self._random: np.random.Generator | None = None
        self._rows: list[torch.Tensor] = []
        self._seen = 0

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Take in the next frame (height, width, 3), RGB."""
        index, self._seen = self._seen, self._seen + 1
        if self._chosen.frames is None:
            self._prepared.append(self._prepare(frame))
            return
        start = self._chosen.start
        if self._rule == "first" and not start <= index < start + self._chosen.frames:
            return
        if self._random is None:
            # What is drawn depends on the video alone, not on its name or its place in the data set.
            self._random = offset_priorities(f"{zlib.crc32(np.ascontiguousarray(frame).data)}")
        self._last.append(frame)
        if len(self._last) == self._chosen.frames:
            self._whole_clip(self._random)

    def finish(self) -> NDArray[np.float32] | Missing:
        """Return the logits, shape (clips, 400), or why there are none."""
        try:
            clip_starts(self._rule, self._seen, self._chosen, clip="the video")
        except MediaError as error:
            return Missing(str(error))
        if self._chosen.frames is None:
            self._run(self._prepared)
        elif self._rule == "random":
            self._run([self._prepare(frame) for frame in self._drawn[1]])
        return checked(torch.cat(self._rows).numpy())

    def _whole_clip(self, random: np.random.Generator) -> None:
        if self._rule == "random":
            priority = float(random.random())
            if priority > self._drawn[0]:
                self._drawn = priority, tuple(self._last)
            return
        self._run([self._prepare(frame) for frame in self._last])
        self._last.clear()

    def _prepare(self, frame: NDArray[np.uint8]) -> torch.Tensor:
        return self._chosen.prepare(torch.from_numpy(np.ascontiguousarray(frame))[None, None])

    @torch.inference_mode()
    def _run(self, frames: list[torch.Tensor]) -> None:
        self._rows.append(self._network(torch.cat(frames, dim=2)).cpu())


class _Protocol:
    """One protocol on one video: its clips as a generated one, and, while its frames are the real ones, as a reference.

    A ground-truth row may be a copy of the reference, so it is known by its frames and not by its file.
    """

    def __init__(self, name: str, mode: Mode) -> None:
        self.name = name
        chosen = protocol(name)
        own_file = name in VIDEOGPT_FILE
        network = loaded.i3d_videogpt(chosen.pool_frames, mode) if own_file else loaded.i3d_torchscript(mode)
        own, real = extractors(name, mode)
        self._own = {own: ClipFeatures(chosen.generated, chosen, network)}
        self._real = {real: ClipFeatures(chosen.reference, chosen, network)} if real != own else {}
        self._faceless = 0
        self._is_real = True

    def add(self, moment: Moment) -> None:
        self._is_real = self._is_real and _equal(moment)
        frame = _frame(self.name, moment.generated)
        if frame is None:
            self._faceless += 1
            return
        for clips in self._clips().values():
            clips.add(frame)

    def features(self) -> dict[str, NDArray[np.float32] | Missing]:
        if self._faceless:
            return {key: Missing(f"no face in {self._faceless} frames") for key in self._clips()}
        return {key: clips.finish() for key, clips in self._clips().items()}

    def _clips(self) -> dict[str, ClipFeatures]:
        return self._own | self._real if self._is_real else self._own


class FvdObserver:
    """Runs every protocol that is asked for."""

    def __init__(self, wanted: frozenset[str]) -> None:
        asked = sorted(map(split_mode, wanted))
        self._protocols = [_Protocol(name.removeprefix("fvd/"), mode) for name, mode in asked]

    def observe(self, moment: Moment) -> None:
        """Take in the frame."""
        for chosen in self._protocols:
            chosen.add(moment)

    def features(self, clip: ClipFacts) -> Features:
        """Return the logits, one row for each clip of frames."""
        return {key: rows for chosen in self._protocols for key, rows in chosen.features().items()}


def _equal(moment: Moment) -> bool:
    """Whether the frame is that of the reference."""
    ours, theirs = moment.generated, moment.reference
    return theirs is not None and (ours is theirs or np.array_equal(ours.rgb, theirs.rgb))


def _frame(name: str, view: View) -> NDArray[np.uint8] | None:
    """What a protocol sees of a frame: the frame, or the box of its face at 224x224."""
    if name not in FACE_CROPS:
        return view.rgb
    if view.face is None:
        return None
    left, top, right, bottom = np.round(face_box(view.face.points)).astype(int)
    box = view.rgb[max(top, 0) : bottom, max(left, 0) : right]
    return np.asarray(cv2.resize(box, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8) if box.size else None
