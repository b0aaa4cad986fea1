"""Adapters of the motion metrics to their parity fixtures: published functions on given numbers, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.metrics import beat, pose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.parity import Fixture


def beat_align(fixture: Fixture) -> Mapping[str, Any]:
    """Beat alignment as KDTalker, Bailando and AIST++ (`reverse`) define it."""
    given = fixture.inputs
    sway = np.cumsum(np.asarray(given["sway"], np.float64), axis=0)[: len(given["walk"])]
    points = given["walk"] + sway
    fps = float(fixture.config["kdtalker"]["fps"])
    audio = np.asarray(given["audio_gap"], np.float64)
    motion = beat.kdtalker_motion_beats(points, fps)
    speed = beat.point_speed(points)
    body = np.asarray(given["body"], np.float64)
    flagged = np.flatnonzero(given["music_flag"] > 0.93)
    music = flagged[flagged < len(body) - 1]
    return {
        "kdtalker.speed": beat.smoothed(speed, beat.SMOOTHING_FRAMES),
        "kdtalker.motion_beats": beat.minima(speed, beat.SMOOTHING_FRAMES),
        "kdtalker.score": np.array([beat.kdtalker_score(audio, points, fps)]),
        "kdtalker.per_beat": beat.alignment(audio, motion, beat.SIGMA_SECONDS),
        "reverse.score": np.array([beat.score(motion, audio)]),
        "bailando.motion_beats": beat.minima(beat.point_speed(body), beat.SMOOTHING_FRAMES),
        "bailando.music_beats": music,
        "bailando.score": np.array([beat.bailando_score(music, body)]),
    }


def diversity(fixture: Fixture) -> Mapping[str, Any]:
    """KDTalker's logit diversity, its contrast in degrees, and 3DXTalker's pose variation."""
    given = fixture.inputs
    videos = [given["peak"] + given["drift"], given["peak"][:, ::-1] + given["drift2"]]
    per_video = np.stack([pose.hopenet_logit_diversity(video) for video in videos])
    degrees = [pose.hopenet_degrees(video) for video in videos]
    degrees_std = np.stack([pose.temporal_std(angles) for angles in degrees])
    angles = np.asarray(given["angles"], np.float64)
    return {
        "logits.per_video": per_video,
        "logits.per_angle": per_video.mean(axis=0),
        "logits.diversity": np.array([per_video.mean()]),
        "degrees": degrees[0],
        "degrees.std": degrees_std,
        "degrees.diversity": np.array([degrees_std.mean()]),
        "angles.std": pose.temporal_std(angles),
        "angles.var": np.array([pose.mean_variance(angles)]),
        "angles.mean_step": np.array([pose.mean_step(angles)]),
    }
