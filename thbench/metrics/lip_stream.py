"""Lip embeddings and SyncNet crops of a video whose frames come one after another, a few of them in memory."""

from __future__ import annotations

import tempfile
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.backbones.syncnet import WINDOW
from thbench.faces.alignment import smooth_track, syncnet_crop
from thbench.metrics.sync_tracks import TrackSettings, intersection_over_union

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from thbench.backbones.syncnet import SyncNet

CHUNK = 32
"""Windows that the network sees at a time."""
REACH = 6
"""Frames to either side that the smoothing of a crop's place looks at."""
SHORTEST = 7
"""Frames of a track; `smooth_track` needs as many."""
TRACK = TrackSettings()
"""The published overlap and gap within a track."""


class LipStream:
    """Embeds every window of five frames."""

    def __init__(self, network: SyncNet, chunk: int = CHUNK) -> None:
        self._network = network
        self._chunk = chunk
        self._waiting: list[NDArray[np.uint8]] = []
        self._embeddings: deque[torch.Tensor] = deque()
        self.frames = 0
        """Frames so far."""

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Take in one frame (224, 224, 3), BGR."""
        self.frames += 1
        self._waiting.append(frame)
        if len(self._waiting) == self._chunk + WINDOW - 1:
            self._embed()

    def pieces(self, count: int) -> Iterator[torch.Tensor]:
        """Yield the embeddings of the first `count` windows, (n, 1024) on the CPU, and forget them.

        A long video's embeddings take as much memory as all else, and nothing needs them twice.

        Args:
            count: At most four fewer than there are frames.
        """
        if len(self._waiting) >= WINDOW:
            self._embed()
        while self._embeddings and count > 0:
            piece = self._embeddings.popleft()[:count]
            count -= len(piece)
            yield piece
        self._embeddings.clear()

    @torch.inference_mode()
    def _embed(self) -> None:
        frames = torch.from_numpy(np.stack(self._waiting)).permute(3, 0, 1, 2).float()
        self._embeddings.append(self._network.lips_of_clip(frames).cpu())
        self._waiting = self._waiting[1 - WINDOW :]


class CropTrack:
    """Cuts the SyncNet crops of one face and embeds them; a frame waits until the places around it are known."""

    def __init__(self, network: SyncNet, start: int, rgb: NDArray[np.uint8], box: NDArray[np.float64]) -> None:
        self.start = start
        """Number of the first frame."""
        self.lips = LipStream(network)
        """The embeddings."""
        self._boxes: list[NDArray[np.float64]] = [box]
        self._waiting: deque[NDArray[np.uint8]] = deque([rgb])
        self._gap = 0

    @property
    def frames(self) -> int:
        """Frames from the first face to the last."""
        return len(self._boxes)

    def takes(self, box: NDArray[np.float64] | None) -> bool:
        """Whether the next frame belongs to this track: the face is near its last place, or gone for a moment."""
        if box is None:
            return self._gap < TRACK.gap
        return intersection_over_union(box, self._boxes[-1]) > TRACK.overlap

    def add(self, rgb: NDArray[np.uint8], box: NDArray[np.float64] | None) -> None:
        """Take in the next frame."""
        self._waiting.append(rgb)
        if box is None:
            self._gap += 1
            return
        last, steps = self._boxes[-1], self._gap + 1
        self._boxes += [last + (box - last) * (step / steps) for step in range(1, steps)]
        self._boxes.append(box)
        self._gap = 0
        self._cut(len(self._boxes) - REACH)

    def finish(self) -> None:
        """Cut what is left; a track that is too short has no crops."""
        if len(self._boxes) >= SHORTEST:
            self._cut(len(self._boxes))
        self._waiting.clear()

    def _cut(self, until: int) -> None:
        while self.lips.frames < until:
            index = self.lips.frames
            first = max(0, index - REACH)
            around = self._boxes[first : index + REACH + 1]
            place = smooth_track(np.stack(around))[index - first]
            self.lips.add(np.ascontiguousarray(syncnet_crop(self._waiting.popleft(), place)[..., ::-1]))


class CropTracks:
    """Follows the face of a video; a jump or a long absence begins another track."""

    def __init__(self, network: SyncNet) -> None:
        self._network = network
        self._current: CropTrack | None = None
        self._best: CropTrack | None = None
        self._index = 0

    def add(self, rgb: NDArray[np.uint8], box: NDArray[np.float64] | None) -> None:
        """Take in the next frame and the box of its face."""
        if self._current is not None and not self._current.takes(box):
            self._end()
        if self._current is not None:
            self._current.add(rgb, box)
        elif box is not None:
            self._current = CropTrack(self._network, self._index, rgb, box)
        self._index += 1

    def longest(self) -> CropTrack | None:
        """Return the longest track, the first of equals; None if none is long enough for a crop."""
        self._end()
        return self._best if self._best is not None and self._best.lips.frames else None

    def _end(self) -> None:
        if self._current is not None:
            self._current.finish()
            if self._best is None or self._current.frames > self._best.frames:
                self._best = self._current
        self._current = None


class FrameSpool:
    """Frames of one video in a temporary file, for rules that look at all of it before they cut."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the spool
        self._shape: tuple[int, ...] = ()
        self.frames = 0
        """Frames so far."""

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """Append a frame; all have one shape."""
        self._shape = rgb.shape
        self._file.write(np.ascontiguousarray(rgb).data)
        self.frames += 1

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        size = int(np.prod(self._shape))
        self._file.seek(index * size)
        return np.frombuffer(self._file.read(size), np.uint8).reshape(self._shape)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
