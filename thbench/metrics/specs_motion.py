"""Specs of the metrics of motion and sound: lip sync, head pose, blinks, beat alignment."""

from __future__ import annotations

from typing import Any

from thbench.spec import MetricSpec, Need

_FACE = "mediapipe-face-landmarker"
_GAPS = "gaps<=5-frames-interpolated"
_SYNC = (
    f"{_FACE}/3d-distances/[inner-lip-gap/outer-eye-corners~10ms-hann25-levels-1-4kHz-minus-100-500Hz,"
    "log(nose-base-to-chin/mouth-width)~0.5-1.5kHz-minus-4-8kHz]/floor-p95-50dB/gauss-bandpass-0.04s-0.5s/mean-pearson/"
)
_POSE = f"{_FACE}/weighted-procrustes-to-canonical-face/"
_BLINK = f"{_FACE}/ear-both-eyes-3d/0.6-of-running-p90-2s/2-12-frames-at-25fps/merge<=2/{_GAPS}"
_ONSETS = "onsets:40-mel-log-flux-20ms,median-1s+1.5dB"
_BEATS = f"{_POSE}geodesic-speed/gauss-0.2s/minima/{_ONSETS}/"
_BAILANDO = "Siyao et al., Bailando (CVPR 2022), on head rotation; lisiyao21/Bailando utils/beat_align_score.py"
_THEVAL = "THEval (arXiv 2511.04520); Newbyl/THEval "


def _sync(**fields: Any) -> MetricSpec:
    return MetricSpec(needs=frozenset({"face", "audio"}), observer="thbench.metrics.sync:SyncObserver", **fields)


def _pose(*, protocol: str, needs: tuple[Need, ...] = ("face",), **fields: Any) -> MetricSpec:
    return MetricSpec(
        needs=frozenset(needs), observer="thbench.metrics.pose:PoseObserver", protocol=_POSE + protocol, **fields
    )


def _blink(**fields: Any) -> MetricSpec:
    return MetricSpec(
        needs=frozenset({"face"}),
        observer="thbench.metrics.blink:BlinkObserver",
        source="DAWN (ICLR 2025), blinks per second; eye aspect ratio: Soukupova and Cech (CVWW 2016)",
        direction="closer-to-real",
        low=0,
        **fields,
    )


def _beat(*, needs: tuple[Need, ...] = ("face", "audio"), **fields: Any) -> MetricSpec:
    return MetricSpec(needs=frozenset(needs), observer="thbench.metrics.beat:BeatObserver", **fields)


def _diversity(name: str, title: str, protocol: str) -> MetricSpec:
    return _pose(
        name=name,
        title=title,
        direction="closer-to-real",
        unit="deg",
        low=0,
        protocol=f"{protocol}/unwrapped/ddof0/{_GAPS}",
        source="standard deviation of head-pose angles over time; not SadTalker's Diversity, which is in logits",
    )


SYNC_METRICS: tuple[MetricSpec, ...] = (
    _sync(
        name="lip-audio-corr",
        title="Correlation of mouth and sound at their best lag",
        direction="higher",
        unit="1",
        low=-1,
        high=1,
        protocol=_SYNC + "max-over-15-frames-either-way",
        source="thbench.metrics.sync; lag search as in SyncNet (Chung and Zisserman, ACCV-W 2016)",
    ),
    _sync(
        name="lip-audio-offset",
        title="How late the sound is against the lips (positive: sound late)",
        direction="closer-to-real",
        unit="ms",
        protocol=_SYNC + "argmax-within-15-frames-either-way/parabola",
        source="thbench.metrics.sync; lag search as in SyncNet (Chung and Zisserman, ACCV-W 2016)",
    ),
    _sync(
        name="av-drift",
        title="Change of the lip-audio offset over time (positive: sound falls behind)",
        direction="closer-to-real",
        unit="ms/min",
        protocol=_SYNC + "windows-4s-hop-2s/best-straight-line-within-15-frames-either-way/clips>=15s",
        source="thbench.metrics.sync",
    ),
    _sync(
        name="lip-audio-gap/theval-energy",
        title="Gap between normalised mouth opening and volume",
        direction="closer-to-real",
        unit="1",
        low=0,
        high=1,
        protocol=f"{_FACE}/vertical-inner-lip-gap/eye-distance-2d/rms-50ms/min-max-over-speech/"
        "speech-within-30dB-of-p95/mean-abs",
        source=_THEVAL + "Synchronization/lip_sync.py, with an energy threshold in place of its speech detector",
    ),
)

POSE_METRICS: tuple[MetricSpec, ...] = (
    _pose(
        name="apd/mediapipe-deg",
        title="Head-pose error, mean over yaw, pitch and roll",
        direction="lower",
        unit="deg",
        low=0,
        high=180,
        protocol="mean-abs-difference/frames-with-both-faces",
        source="average pose distance of PIRenderer (ICCV 2021) and StyleHEAT (ECCV 2022), with this head pose",
        needs=("face", "reference"),
    ),
    _pose(
        name="apd/mediapipe-rad",
        title="Head-pose error, mean over yaw, pitch and roll",
        direction="lower",
        unit="rad",
        low=0,
        high=3.141592653589793,
        protocol="mean-abs-difference/frames-with-both-faces",
        source="average pose distance of PIRenderer (ICCV 2021) and StyleHEAT (ECCV 2022), with this head pose",
        needs=("face", "reference"),
    ),
    _pose(
        name="apd/geodesic-deg",
        title="Head-pose error, angle between the rotations",
        direction="lower",
        unit="deg",
        low=0,
        high=180,
        protocol="mean-geodesic-angle/frames-with-both-faces",
        source="Huynh, Metrics for 3D Rotations (JMIV 2009), phi 6",
        needs=("face", "reference"),
    ),
    _diversity("pose-div/deg", "Head-pose diversity, mean over yaw, pitch and roll", "mean-of-three-std"),
    _diversity("pose-div/yaw-deg", "Head-pose diversity, yaw", "std-yaw"),
    _diversity("pose-div/pitch-deg", "Head-pose diversity, pitch", "std-pitch"),
    _diversity("pose-div/roll-deg", "Head-pose diversity, roll", "std-roll"),
    _pose(
        name="pose-div/3dxtalker",
        title="Head-pose variance over axis-angle numbers",
        direction="closer-to-real",
        unit="rad^2",
        low=0,
        protocol=f"axis-angle/mean-of-three-variances/ddof0/{_GAPS}",
        source="3DXTalker; CaesarrWANG/3DXTalker evaluation_utils, there on FLAME's rotation",
    ),
    _pose(
        name="pose-intensity",
        title="Mean rotation speed of the head",
        direction="closer-to-real",
        unit="deg/s",
        low=0,
        protocol=f"mean-geodesic-step*fps/{_GAPS}",
        source="pose variation intensity as in VASA-1 (NeurIPS 2024), with this head pose",
    ),
    _pose(
        name="pose-jerk",
        title="Mean jerk of the head (a still head has none)",
        direction="lower",
        unit="deg/s^3",
        low=0,
        protocol=f"mean-abs-third-difference-of-yaw-pitch-roll*fps^3/unwrapped/{_GAPS}",
        source="thbench.metrics.pose",
    ),
    _pose(
        name="head-motion/theval",
        title="Head-motion dynamics, degrees and pixels mixed",
        direction="closer-to-real",
        unit="1",
        low=0,
        protocol=f"box-of-478-points/sqrt(mean-std*mean-step-var+mean-centre-var)/ddof0/{_GAPS}",
        source=_THEVAL + "Naturalness/head_motion_dynamics.py, with this head pose and box",
    ),
)

BLINK_METRICS: tuple[MetricSpec, ...] = (
    _blink(name="blink-rate", title="Blinks per second", unit="1/s", protocol=_BLINK),
    _blink(name="blink-duration", title="Mean duration of blinks", unit="ms", protocol=_BLINK + "/whole-blinks"),
)

BEAT_METRICS: tuple[MetricSpec, ...] = (
    _beat(
        name="beat-align/audio-to-motion",
        title="Sound beats near head beats",
        direction="closer-to-real",
        unit="1",
        low=0,
        high=1,
        protocol=_BEATS + "sigma-0.1s/mean-over-sound",
        source=_BAILANDO,
    ),
    _beat(
        name="beat-align/motion-to-audio",
        title="Head beats near sound beats",
        direction="closer-to-real",
        unit="1",
        low=0,
        high=1,
        protocol=_BEATS + "sigma-0.1s/mean-over-motion",
        source="Li et al., AI Choreographer (AIST++, ICCV 2021), on head rotation",
    ),
    _beat(
        name="beat-align/chance",
        title="Beat alignment with unrelated sound",
        direction="none",
        unit="1",
        low=0,
        high=1,
        protocol=_BEATS + "sigma-0.1s/mean-over-sound/100-draws-of-other-clips-shifted,else-own-shifted>=1s",
        source=_BAILANDO,
    ),
    _beat(
        name="beat-align/lift",
        title="Beat alignment above chance",
        direction="higher",
        unit="1",
        low=-1,
        high=1,
        protocol=_BEATS + "sigma-0.1s/mean-over-sound/minus-100-draws-of-other-clips-shifted,else-own-shifted>=1s",
        source=_BAILANDO,
    ),
    _beat(
        name="beat-align/motion-beats",
        title="Head beats per second",
        direction="closer-to-real",
        unit="1/s",
        low=0,
        protocol=f"{_POSE}geodesic-speed/gauss-0.2s/minima/{_GAPS}",
        source="thbench.metrics.beat",
        needs=("face",),
    ),
)

MOTION_METRICS: tuple[MetricSpec, ...] = SYNC_METRICS + POSE_METRICS + BLINK_METRICS + BEAT_METRICS
"""All metrics of motion and sound."""
