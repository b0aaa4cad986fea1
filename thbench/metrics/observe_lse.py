"""Observes lip sync by SyncNet: whole frames, crops by the shared face pass, or the published pipeline."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from thbench.backbones import loaded
from thbench.backbones.s3fd import find_faces
from thbench.errors import MediaError
from thbench.faces.alignment import smooth_track, syncnet_crop
from thbench.faces.landmarks import face_box
from thbench.metrics.lip_stream import CropTracks, FrameSpool, LipStream
from thbench.metrics.lse import SAMPLES_PER_FRAME, audio_windows, score, whole_frame, window_count
from thbench.metrics.observer import Missing
from thbench.metrics.sync_tracks import Track, TrackSettings, track_faces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from thbench.backbones.syncnet import SyncNet
    from thbench.metrics.observer import ClipFacts, Moment, Values, View

FPS = 25
"""Frames per second that the network was trained on."""

DETECTABLE = 128
"""Pixels of the shorter side of a frame: below that the detector's maps at a quarter of the size are empty."""


class SyncValues(NamedTuple):
    """What one protocol says of a clip."""

    lse_c: float
    lse_d: float
    offset: float


class _Protocol(Protocol):
    """One way from frames to scores."""

    def add(self, view: View) -> None:
        """Take in the next frame."""
        ...

    def finish(self, audio: NDArray[np.int16]) -> SyncValues:
        """Score the clip.

        Raises:
            MediaError: There is nothing to score; the message says why.
        """
        ...


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return samples in [-1, 1] as 16-bit integers, as a WAV file of the published pipeline holds them."""
    return np.asarray(np.clip(np.round(samples.astype(np.float64) * 32768), -32768, 32767), dtype=np.int16)


def scored(network: SyncNet, lips: LipStream, audio: NDArray[np.int16]) -> SyncValues:
    """Score embedded lips against the sound that begins with their first frame.

    Raises:
        MediaError: Picture or sound is too short for a window, or the embeddings are not numbers.
    """
    count = window_count(lips.frames, len(audio))
    with torch.inference_mode():
        result = score(lips.finish()[:count], network.audio(audio_windows(audio, count)))
    if not math.isfinite(result.lse_d) or not math.isfinite(result.lse_c):
        raise MediaError("the network's embeddings are not numbers")
    return SyncValues(result.lse_c, result.lse_d, float(result.offset))


class WholeFrames:
    """Wav2Lip's LRS script: the whole frame, no face crop."""

    def __init__(self, network: SyncNet) -> None:
        self._network = network
        self._lips = LipStream(network)

    def add(self, view: View) -> None:
        """Take in the next frame."""
        self._lips.add(whole_frame(view.rgb))

    def finish(self, audio: NDArray[np.int16]) -> SyncValues:
        """Score the clip."""
        return scored(self._network, self._lips, audio)


class SharedFaces:
    """The published crop, placed by the shared face pass."""

    def __init__(self, network: SyncNet) -> None:
        self._network = network
        self._tracks = CropTracks(network)

    def add(self, view: View) -> None:
        """Take in the next frame."""
        self._tracks.add(view.rgb, None if view.face is None else face_box(view.face.points))

    def finish(self, audio: NDArray[np.int16]) -> SyncValues:
        """Score the longest track."""
        track = self._tracks.longest()
        if track is None:
            raise MediaError("no face is followed over 7 frames")
        sound = audio[track.start * SAMPLES_PER_FRAME : (track.start + track.frames) * SAMPLES_PER_FRAME]
        return scored(self._network, track.lips, sound)


class Joonson:
    """The published pipeline: S3FD, tracker, crop; without its lossy encodings and its scene detection."""

    def __init__(self, network: SyncNet) -> None:
        self._network = network
        self._detector = loaded.s3fd()
        self._frames = FrameSpool()
        self._faces: list[NDArray[np.float64]] = []
        self._too_small: str | None = None

    def add(self, view: View) -> None:
        """Find the faces of the next frame."""
        height, width = view.rgb.shape[:2]
        if min(height, width) < DETECTABLE:
            self._too_small = f"frames are {width}x{height}; S3FD at a quarter needs {DETECTABLE} pixels on each side"
            return
        self._frames.add(view.rgb)
        self._faces.append(find_faces(self._detector, view.rgb))

    def finish(self, audio: NDArray[np.int16]) -> SyncValues:
        """Return the means over the tracks; the offset is that of the longest one."""
        tracks = track_faces(self._faces)
        try:
            if not tracks:
                raise MediaError(self._nothing())
            found = [self._scored(track, audio) for track in tracks]
        finally:
            self._frames.close()
        longest = max(range(len(tracks)), key=lambda i: len(tracks[i].frames))
        return SyncValues(fmean(v.lse_c for v in found), fmean(v.lse_d for v in found), found[longest].offset)

    def _scored(self, track: Track, audio: NDArray[np.int16]) -> SyncValues:
        lips = LipStream(self._network)
        for index, place in zip(track.frames, smooth_track(track.boxes), strict=True):
            lips.add(np.ascontiguousarray(syncnet_crop(self._frames[int(index)], place)[..., ::-1]))
        start, stop = int(track.frames[0]), int(track.frames[-1]) + 1
        return scored(self._network, lips, audio[start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME])

    def _nothing(self) -> str:
        if self._too_small:
            return self._too_small
        if not any(len(faces) for faces in self._faces):
            return "S3FD finds no face in any frame"
        needed = TrackSettings()
        return (
            f"no face track of more than {needed.longer_than} frames and {needed.larger_than:g} pixels in the "
            f"{len(self._faces)} frames of this clip"
        )


PROTOCOLS: Mapping[str, Callable[[SyncNet], _Protocol]] = {
    "wav2lip-lrs": WholeFrames,
    "shared-faces": SharedFaces,
    "joonson": Joonson,
}
"""Name to protocol."""
FIELDS: Mapping[str, str] = {"lse-c": "lse_c", "lse-d": "lse_d", "av-offset": "offset"}
"""Family of a metric to the field of its protocol's values."""


class LseObserver:
    """Runs every protocol that a wanted metric belongs to."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        network = loaded.syncnet()
        self._protocols = {name: PROTOCOLS[name](network) for name in sorted({n.split("/")[1] for n in wanted})}

    def observe(self, moment: Moment) -> None:
        """Show the frame to every protocol."""
        for protocol in self._protocols.values():
            protocol.add(moment.generated)

    def values(self, clip: ClipFacts) -> Values:
        """Return the scores."""
        found = {name: self._scored(protocol, clip) for name, protocol in self._protocols.items()}
        return {name: _field(found[name.split("/")[1]], FIELDS[name.split("/")[0]]) for name in self._wanted}

    def _scored(self, protocol: _Protocol, clip: ClipFacts) -> SyncValues | Missing:
        if clip.fps != FPS:
            return Missing(f"SyncNet takes {FPS} frames per second, this evaluation has {clip.fps:g}; use --fps {FPS}")
        if clip.generated.read_samples is None:
            return Missing("no sound track")
        try:
            return protocol.finish(to_int16(clip.generated.read_samples()))
        except MediaError as error:
            return Missing(str(error))


def _field(found: SyncValues | Missing, field: str) -> float | Missing:
    return found if isinstance(found, Missing) else float(getattr(found, field))
