"""Observes lip sync by SyncNet: whole frames, crops by the shared face pass, or the published pipeline."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from thbench.backbones import loaded
from thbench.backbones.mode_names import in_mode, split_mode
from thbench.errors import MediaError
from thbench.faces.landmarks import face_box
from thbench.metrics.joonson import Joonson
from thbench.metrics.lip_stream import CropTracks, LipStream
from thbench.metrics.lse import FPS, SAMPLES_PER_FRAME, SyncValues, curve_features, scored, whole_frame
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from thbench.backbones.mode_names import Mode
    from thbench.backbones.syncnet import SyncNet
    from thbench.metrics.observer import ClipFacts, Features, Moment, Values, View


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


PROTOCOLS: Mapping[str, Callable[[SyncNet, Mode], _Protocol]] = {
    "wav2lip-lrs": lambda network, _: WholeFrames(network),
    "shared-faces": lambda network, _: SharedFaces(network),
    "joonson": Joonson,
    "joonson-lossy": partial(Joonson, lossy=True),
}
"""Name to protocol."""
FIELDS: Mapping[str, str] = {"lse-c": "lse_c", "lse-d": "lse_d", "av-offset": "offset"}
"""Family of a metric to the field of its protocol's values."""


class LseObserver:
    """Runs every protocol that a wanted metric belongs to."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        asked = {split_mode(name.partition("/")[2]) for name in wanted}
        self._protocols = {
            in_mode(name, mode): PROTOCOLS[name](loaded.syncnet(mode), mode) for name, mode in sorted(asked)
        }
        self._found: dict[str, SyncValues | Missing] = {}

    def observe(self, moment: Moment) -> None:
        """Show the frame to every protocol."""
        for protocol in self._protocols.values():
            protocol.add(moment.generated)

    def values(self, clip: ClipFacts) -> Values:
        """Return the scores."""
        found = self._found = {name: self._scored(protocol, clip) for name, protocol in self._protocols.items()}
        return {name: _field(found[name.split("/")[1]], FIELDS[name.split("/")[0]]) for name in self._wanted}

    def features(self, clip: ClipFacts) -> Features:
        """Return the distances at each shift, once values were asked for: reports draw them."""
        return curve_features(self._found)

    def _scored(self, protocol: _Protocol, clip: ClipFacts) -> SyncValues | Missing:
        if clip.fps != FPS:
            return Missing(f"SyncNet takes {FPS} frames per second, this evaluation has {clip.fps:g}; use --fps {FPS}")
        if clip.generated.read_int16 is None:
            return Missing("no sound track")
        try:
            return protocol.finish(clip.generated.read_int16())
        except MediaError as error:
            return Missing(str(error))


def _field(found: SyncValues | Missing, field: str) -> float | Missing:
    return found if isinstance(found, Missing) else float(getattr(found, field))
