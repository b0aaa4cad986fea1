"""How heads move: yaw, pitch and roll over time, and the path of yaw and pitch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.report.figures.style import PAGE, figure, looks_of, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from thbench.report.figures.data import FigureData
    from thbench.report.figures.style import Look
    from thbench.report.site.data import Scene, Track

MOST_TRACKS, MOST_SCENES = 8, 2
ANGLES = ("yaw", "pitch", "roll")


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """One figure for each clip that the site shows."""
    looks = looks_of(data.site.leaderboard)
    scenes = [scene for scene in data.site.media.scenes if any(track.curves for track in scene.tracks)]
    drawn = {
        f"pose-{number}": _trajectories(scene, looks) for number, scene in enumerate(scenes[:MOST_SCENES], start=1)
    }
    return drawn or "no clip that the site shows has curves of a face"


def _trajectories(scene: Scene, looks: Mapping[str, Look]) -> Figure:
    drawing = figure(PAGE, 3.1)
    parts = drawing.subplot_mosaic([["yaw", "path"], ["pitch", "path"], ["roll", "path"]], width_ratios=(1.9, 1))
    for track in _shown(scene.tracks):
        look = looks[track.variant]
        angles = {name: _numbers(getattr(track.curves, name)) for name in ANGLES}
        for name, values in angles.items():
            seconds = (np.arange(len(values)) + 0.5) / scene.fps
            parts[name].plot(seconds, values, color=look.colour, linestyle=look.dash, linewidth=1.1)
        label = short(track.variant)
        parts["path"].plot(
            angles["yaw"], angles["pitch"], color=look.colour, linestyle=look.dash, linewidth=0.9, label=label
        )
    for name in ANGLES:
        parts[name].set_ylabel(f"{name}, deg")
        parts[name].sharex(parts["roll"])
        if name != "roll":
            parts[name].tick_params(labelbottom=False)
    parts["roll"].set_xlabel("seconds")
    parts["path"].set(xlabel="yaw, deg", ylabel="pitch, deg")
    parts["path"].set_aspect("equal", adjustable="datalim")
    parts["yaw"].set_title(f"clip {short(scene.clip)}")
    drawing.align_ylabels([parts[name] for name in ANGLES])
    drawing.legend(loc="outside lower center", ncols=4)
    return drawing


def _shown(tracks: Sequence[Track]) -> list[Track]:
    return [track for track in tracks if track.curves is not None][:MOST_TRACKS]


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
