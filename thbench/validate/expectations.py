"""What each metric must respond to, and what it must ignore. Data.

Written down from what each metric says it measures, before it was tried. A metric that does not do what stands here
fails and stays marked; the table changes only when it demands what a metric never claimed.

Tolerances come from what a reader would call a difference, not from results: one frame (40 ms) for offsets, one degree
for head poses, half a pixel of a 256 px frame for landmarks, a tenth of the value for rates without a natural step,
half an event per 4 s clip for counts. They bound the mean over clips of the absolute change at any dose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Response = Literal["rises", "falls", "ignores"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """How a metric must respond to one degradation."""

    response: Response
    """`rises` and `falls`: monotone in the dose."""
    within: float = 0.0
    """`ignores`: largest allowed change, in the metric's unit, or as a share of its value on the unchanged clips."""
    relative: bool = False
    """Whether `within` is such a share."""


RISES = Expectation("rises")
FALLS = Expectation("falls")


def ignores(within: float) -> Expectation:
    """At most this change, in the metric's unit."""
    return Expectation("ignores", within)


def ignores_share(within: float) -> Expectation:
    """At most this change, as a share of the value on the unchanged clips."""
    return Expectation("ignores", within, relative=True)


Row = Mapping[str, Expectation]
"""Degradation to expectation."""

NOT_MOVED: Mapping[str, str] = MappingProxyType(
    {
        "av-start-gap": "no degradation here writes a container whose sound starts apart from its picture",
        "beat-align/chance": "a chance level has nothing that it must respond to",
    }
)
"""Metrics that only have to ignore things, and why."""


def _all(names: Iterable[str], expectation: Expectation) -> Row:
    return dict.fromkeys(names, expectation)


_DEAF = _all(("sound-delay", "wrong-sound"), ignores(0.0))
"""What looks at the picture alone must not change in a single bit."""
_PIXEL_DAMAGE = _all(("blur", "noise", "jpeg", "jitter", "wobble"), FALLS)
_ACTED_DAMAGE = _all(("pose-error", "mouth-error", "smoothing", "face-morph"), FALLS)
_FIDELITY = {**_DEAF, **_PIXEL_DAMAGE, **_ACTED_DAMAGE}
"""Closeness of pixels to the reference. Held frames are left out of the plain PSNR, which one equal frame makes
infinite by definition."""


def _mouth(noise: float) -> Row:
    """Distance of centred mouths; `noise` is half a pixel at 256 in the metric's unit."""
    return {
        **_DEAF,
        **_all(("mouth-error", "smoothing", "repeats", "wobble"), RISES),
        **_all(("colour", "blink-removal"), ignores(noise)),
    }


def _mouth_and_head(noise: float) -> Row:
    """Distance of mouths where they are, so that head motion counts."""
    return {**_mouth(noise), **_all(("pose-error", "jitter"), RISES)}


def _face(noise: float) -> Row:
    """Distance of whole faces."""
    return {
        **_DEAF,
        **_all(("pose-error", "mouth-error", "smoothing", "repeats", "wobble", "face-morph"), RISES),
        "colour": ignores(noise),
    }


def _pose_error(degree: float) -> Row:
    return {
        **_DEAF,
        **_all(("pose-error", "smoothing", "repeats"), RISES),
        **_all(("mouth-error", "blink-removal", "colour"), ignores(degree)),
        "face-morph": ignores(2 * degree),
    }


def _spread(tolerance: Expectation) -> Row:
    """How much the head moves."""
    return {
        **_DEAF,
        "pose-scale": RISES,
        **_all(("mouth-gain", "blink-removal", "colour", "jitter"), tolerance),
    }


_LENGTHS = ("sound-delay", "wrong-sound", "blur", "jpeg", "repeats", "jitter", "smoothing")
_LIPS_IGNORE = ("mouth-gain", "pose-gain", "blink-removal", "colour")

_BLINK_RATE = {
    **_DEAF,
    "blink-removal": FALLS,
    **_all(("pose-gain", "mouth-gain", "colour", "jitter", "slow-blinks"), ignores(0.125)),
}
_BEATS = {"wrong-sound": FALLS, "colour": ignores(0.1)}

_DAMAGE = ("blur", "noise", "jpeg")
_LPIPS = {
    **_DEAF,
    **_all((*_DAMAGE, "jitter", "wobble", "colour", "repeats"), RISES),
    **_all(("pose-error", "mouth-error", "smoothing", "face-morph"), RISES),
}
_FID = {**_DEAF, **_all(_DAMAGE, RISES)}
_FVD = {**_DEAF, **_all((*_DAMAGE, "repeats", "jitter", "wobble"), RISES)}
"""Unlike FID, it sees motion."""
_CSIM = {
    **_DEAF,
    **_all(("face-morph", "blur"), FALLS),
    **_all(("mouth-gain", "blink-removal"), ignores(0.05)),
}
_SYNC_IGNORES = _all(("sound-delay", *_LIPS_IGNORE), ignores(1.0))
"""A constant delay is searched for; one unit, on scales of about ten."""
_LSE_C = {"wrong-sound": FALLS, **_SYNC_IGNORES}
_LSE_D = {"wrong-sound": RISES, **_SYNC_IGNORES}
_AV_OFFSET = {"sound-delay": FALLS, **_all(_LIPS_IGNORE, ignores(1.0))}
_FRECHET_VIDEO = ("16", "32", "disco", "latentsync", "styleganv-16f", "videogpt-16f")
_LSE_TRACKS = ("joonson", "joonson-lossy", "shared-faces", "wav2lip-lrs")
_IDENTITIES = (
    "iresnet/mediapipe-5pt/portrait",
    "iresnet/mediapipe-5pt/same-frame",
    "iresnet/whole-frame/portrait",
    "iresnet/whole-frame/same-frame",
    "w600k-r50/mediapipe-5pt/portrait",
    "w600k-r50/mediapipe-5pt/same-frame",
    "w600k-r50/whole-frame/portrait",
    "w600k-r50/whole-frame/same-frame",
)


def _family(family: str, variants: Iterable[str], row: Row) -> Mapping[str, Row]:
    return {f"{family}/{variant}": row for variant in variants}


_PUBLISHED: Mapping[str, Row] = {
    **_family("fid", ("clean-fid", "pytorch-fid", "torch-fidelity", "torchmetrics"), _FID),
    "fid-infinity/pytorch-fid": _FID,
    **_family("kid", ("clean-fid", "pytorch-fid", "torch-fidelity"), _FID),
    **_family("fvd", _FRECHET_VIDEO, _FVD),
    **_family("lpips", ("alex", "vgg"), _LPIPS),
    **_family("csim", _IDENTITIES, _CSIM),
    **_family("lse-c", _LSE_TRACKS, _LSE_C),
    **_family("lse-d", _LSE_TRACKS, _LSE_D),
    **_family("av-offset", _LSE_TRACKS, _AV_OFFSET),
    "pose-div/hopenet-degrees": _spread(ignores(1.0)),
    "pose-div/hopenet-logits": {**_DEAF, "pose-scale": RISES},
    "pose-div/sixdrepnet-degrees": _spread(ignores(1.0)),
    "aed/deep3d": {**_DEAF, "mouth-error": RISES},
    "e-fid/deep3d": {**_DEAF, "mouth-error": RISES},
    "apd/deep3d-deg": _pose_error(1.0),
    "apd/deep3d-rad": _pose_error(0.0175),
}
"""Metrics of published networks; the fast mode must do what the exact one does."""

EXPECTATIONS: Mapping[str, Row] = MappingProxyType(
    {
        "psnr": {**_FIDELITY, "colour": FALLS},
        "psnr/cap100": {**_FIDELITY, "colour": FALLS, "repeats": FALLS},
        "psnr/pooled": {**_FIDELITY, "colour": FALLS, "repeats": FALLS},
        "ssim": {**_FIDELITY, "colour": ignores(0.02), "repeats": FALLS},
        "ssim/rgb": {**_FIDELITY, "colour": FALLS, "repeats": FALLS},
        "ssim/skimage": {**_FIDELITY, "repeats": FALLS},
        "ms-ssim": {**_FIDELITY, "colour": ignores(0.02), "repeats": FALLS},
        "flicker": {
            **_DEAF,
            **_all(("noise", "jitter", "wobble", "pose-scale"), FALLS),
            **_all(("repeats", "blur"), RISES),
            "colour": ignores(0.005),
        },
        "duration-error": {**_all(_LENGTHS, ignores(0.0)), "drops": RISES},
        "av-length-gap": {**_all(_LENGTHS, ignores(1.0)), "drops": RISES},
        "av-start-gap": _all((*_LENGTHS, "drops"), ignores(1.0)),
        "m-lmd/eat": _mouth(0.5),
        "m-lmd/centred": _mouth(0.5),
        "m-lmd/atvgnet": _mouth(10.0),
        "m-lmd/interocular": _mouth(0.01),
        "m-lmd/mini": _mouth(0.01),
        "m-lmd/plain": _mouth_and_head(0.5),
        "m-lmd/vico": _mouth_and_head(0.5),
        "m-lmd/thm68": _mouth_and_head(0.5 * 20 / 68),
        "m-lvd/eat": {
            **_DEAF,
            **_all(("mouth-error", "smoothing", "repeats", "jitter", "wobble"), RISES),
            "colour": ignores(0.5),
        },
        "f-lmd/eat": _face(0.5),
        "f-lmd/interocular": _face(0.01),
        "f-lmd/mini": _face(0.01),
        "f-lmd/thm": {**_face(0.5), "jitter": RISES},
        "akd/mediapipe68": {**_face(0.5), "jitter": RISES},
        "landmark-jitter": {
            **_DEAF,
            **_all(("jitter", "wobble", "noise"), RISES),
            **_all(("pose-gain", "mouth-gain", "colour"), ignores_share(0.2)),
        },
        "landmark-jitter/shape": {
            **_DEAF,
            **_all(("wobble", "noise"), RISES),
            **_all(("jitter", "pose-gain", "mouth-gain", "colour"), ignores_share(0.2)),
        },
        "apd/mediapipe-deg": _pose_error(1.0),
        "apd/mediapipe-rad": _pose_error(0.0175),
        "apd/geodesic-deg": _pose_error(1.0),
        "apd/mini": _pose_error(1.0),
        "pose-div/deg": _spread(ignores(1.0)),
        "pose-div/mini": _spread(ignores(1.0)),
        "pose-div/yaw-deg": _spread(ignores(1.0)),
        "pose-div/pitch-deg": _spread(ignores(1.0)),
        "pose-div/roll-deg": _spread(ignores(1.0)),
        "pose-div/3dxtalker": _spread(ignores_share(0.1)),
        "head-motion/theval": {
            **_DEAF,
            "pose-scale": RISES,
            **_all(("mouth-gain", "blink-removal", "colour"), ignores_share(0.1)),
        },
        "pose-intensity": {
            **_DEAF,
            "pose-scale": RISES,
            "smoothing": FALLS,
            **_all(("mouth-gain", "blink-removal", "colour"), ignores_share(0.1)),
        },
        "pose-jerk": {
            **_DEAF,
            **_all(("pose-scale", "wobble"), RISES),
            "smoothing": FALLS,
            **_all(("mouth-gain", "blink-removal", "colour"), ignores_share(0.1)),
        },
        "blink-rate": _BLINK_RATE,
        "blink-rate/mini": _BLINK_RATE,
        "blink-duration": {
            **_DEAF,
            "slow-blinks": RISES,
            **_all(("pose-gain", "mouth-gain", "colour", "jitter"), ignores(40.0)),
        },
        "lip-audio-corr": {
            **_all(("wrong-sound", "smoothing"), FALLS),
            "sound-delay": ignores(0.1),
            **_all(_LIPS_IGNORE, ignores(0.1)),
        },
        "lip-audio-offset": {"sound-delay": RISES, **_all(_LIPS_IGNORE, ignores(40.0))},
        "av-drift": {"drift": RISES, "constant-delay": ignores(150.0)},
        "lip-audio-gap/theval-energy": {"wrong-sound": RISES, **_all(_LIPS_IGNORE, ignores(0.05))},
        "beat-align/audio-to-motion": _BEATS,
        "beat-align/motion-to-audio": _BEATS,
        "beat-align/lift": _BEATS,
        "beat-align/chance": {"sound-delay": ignores(0.1), "colour": ignores(0.1)},
        "beat-align/motion-beats": {**_DEAF, "smoothing": FALLS, "pose-gain": ignores(0.125)},
        **_family("fid", ("mini",), _FID),
        **_family("kid", ("mini",), _FID),
        **_family("fvd", ("mini",), _FVD),
        **_family("csim/mini/whole-frame", ("portrait", "same-frame"), _CSIM),
        **_family("lse-c", ("mini",), _LSE_C),
        **_family("lse-d", ("mini",), _LSE_D),
        **_family("av-offset", ("mini",), _AV_OFFSET),
        **_PUBLISHED,
        **{f"{metric}.fast": row for metric, row in _PUBLISHED.items()},
    }
)
"""Metric to what is expected of it."""


def expectation_of(metric: str, degradation: str) -> Expectation | None:
    """What is expected; None where nothing is."""
    return EXPECTATIONS.get(metric, {}).get(degradation)
