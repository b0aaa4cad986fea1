"""The published way from a video to lip-sync scores: S3FD, shots, tracks, crops; with its lossy steps or without.

Source: joonson/syncnet_python, run_pipeline.py and run_syncnet.py.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from thbench.backbones import loaded
from thbench.backbones.batches import BATCH
from thbench.backbones.s3fd import find_faces_in_batch
from thbench.errors import MediaError
from thbench.faces.alignment import smooth_track, syncnet_crop
from thbench.media.lossy import FINE, Jpeg, Mpeg4, through_mp3, through_xvid
from thbench.metrics.key_frames import EVERY, boxes_of_all_frames
from thbench.metrics.lip_stream import FrameSpool, LipStream
from thbench.metrics.lse import FPS, SAMPLES_PER_FRAME, SyncValues, scored
from thbench.metrics.scenes import SceneCuts
from thbench.metrics.sync_tracks import Track, TrackSettings, track_faces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from thbench.backbones.mode_names import Mode
    from thbench.backbones.syncnet import SyncNet
    from thbench.metrics.observer import View

DETECTABLE = 128
"""Pixels of the shorter side of a frame: below that the detector's maps at a quarter of the size are empty."""


class Joonson:
    """Finds faces while the frames come, a few frames at a time; crops and scores at the end.

    In the mode `fast` the detector sees the key frames only.
    """

    def __init__(self, network: SyncNet, mode: Mode = "exact", *, lossy: bool = False) -> None:
        """Begin a video.

        Args:
            network: SyncNet, in the same mode.
            mode: That of the detector.
            lossy: Whether frames and sound go through the encodings of the published pipeline.
        """
        self._network = network
        self._detector = loaded.s3fd(mode)
        self._every = EVERY if mode == "fast" else 1
        self._lossy = _Recoded() if lossy else None
        self._frames = FrameSpool()
        self._cuts = SceneCuts()
        self._waiting: list[int] = []
        self._found: dict[int, NDArray[np.float64]] = {}
        self._too_small: str | None = None

    def add(self, view: View) -> None:
        """Take in the next frame."""
        height, width = view.rgb.shape[:2]
        if min(height, width) < DETECTABLE:
            self._too_small = f"frames are {width}x{height}; S3FD at a quarter needs {DETECTABLE} pixels on each side"
        elif self._lossy is None:
            self._take(view.rgb, view.rgb)
        else:
            for shown, frame in self._lossy.add(view.rgb):
                self._take(shown, frame)

    def _take(self, shown: NDArray[np.uint8], frame: NDArray[np.uint8]) -> None:
        index = self._frames.frames
        self._cuts.add(shown)
        self._frames.add(frame)
        if index % self._every == 0:
            self._waiting.append(index)
        if len(self._waiting) == BATCH:
            self._detect()

    def _detect(self) -> None:
        """Find the faces of the frames that wait."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            faces = find_faces_in_batch(self._detector, [self._frames[index] for index in waiting])
            self._found |= dict(zip(waiting, faces, strict=True))

    def finish(self, audio: NDArray[np.int16]) -> SyncValues:
        """Return the means over the tracks; the offset is that of the longest one.

        Raises:
            MediaError: There is nothing to score; the message says why.
        """
        try:
            for shown, frame in self._lossy.finish() if self._lossy else ():
                self._take(shown, frame)
            tracks = [track for start, stop in self._cuts.shots() for track in self._tracks(start, stop)]
            if not tracks:
                raise MediaError(self._nothing())
            sound = through_mp3(audio) if self._lossy else audio
            found = [self._scored(track, sound) for track in tracks]
        finally:
            self._frames.close()
        longest = max(range(len(tracks)), key=lambda i: len(tracks[i].frames))
        means = fmean(v.lse_c for v in found), fmean(v.lse_d for v in found)
        return SyncValues(*means, found[longest].offset, found[longest].curve)

    def _tracks(self, start: int, stop: int) -> list[Track]:
        """The tracks of a shot, whose first and last frames are key frames too."""
        if stop == start:
            return []
        self._waiting += sorted({start, stop - 1} - {*self._found, *self._waiting})
        self._detect()
        keys = {index - start: faces for index, faces in self._found.items() if start <= index < stop}
        return track_faces(boxes_of_all_frames(keys, stop - start), start)

    def _scored(self, track: Track, audio: NDArray[np.int16]) -> SyncValues:
        lips = LipStream(self._network)
        crops = self._crops(track)
        for crop in self._lossy.crops(crops) if self._lossy else crops:
            lips.add(crop)
        start, stop = int(track.frames[0]), int(track.frames[-1]) + 1
        return scored(self._network, lips, audio[start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME])

    def _crops(self, track: Track) -> Iterator[NDArray[np.uint8]]:
        """Yield the crops of a track, BGR."""
        for index, place in zip(track.frames, smooth_track(track.boxes), strict=True):
            yield np.ascontiguousarray(syncnet_crop(self._frames[int(index)], place)[..., ::-1])

    def _nothing(self) -> str:
        if self._too_small:
            return self._too_small
        if not any(len(faces) for faces in self._found.values()):
            return "S3FD finds no face in any frame"
        needed, shots = TrackSettings(), self._cuts.shots()
        within = f"the {self._frames.frames} frames of this clip" + (f" ({len(shots)} shots)" if shots[1:] else "")
        return f"no face track of more than {needed.longer_than} frames and {needed.larger_than:g} pixels in {within}"


class _Recoded:
    """Frames on their way through the encodings of the published pipeline."""

    def __init__(self) -> None:
        self._video = Mpeg4(FPS)
        self._stills = Jpeg(FPS, FINE)

    def add(self, rgb: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yield frames as the shot detection sees them and as the face detection and the crop do, both RGB."""
        yield from self._pairs(self._video.add(rgb))

    def finish(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yield the frames that are left."""
        yield from self._pairs(self._video.finish())

    def _pairs(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        for frame in frames:
            still = self._stills.pass_through(frame)
            yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8), still[..., ::-1]

    def crops(self, crops: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        """Yield the crops of one track, BGR, as the network sees them."""
        stills = Jpeg(FPS)
        for frame in through_xvid(crops, FPS):
            yield stills.pass_through(frame)
