"""What is heard and what moves: waveform, mouth and head of a scene over time, one line for each video."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thbench.report.names import base_of
from thbench.report.site.svg import element, join, number, polyline, tick_label, ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from thbench.report.site.data import Scene, Track

WIDTH, LANE, GAP, LEFT = 960.0, 74.0, 14.0, 104.0
WAVE = 44.0
MOST_FAMILIES = 6
"""Variants with accelerations that have a button of their own."""
LANES = (("mouth", "mouth", "of eye span"), ("yaw", "yaw", "deg"), ("pitch", "pitch", "deg"), ("roll", "roll", "deg"))
"""Curve, its title and its unit."""


def picture(scene: Scene) -> Markup:
    """Draw all lanes of a scene on one time axis; `data-left` and `data-width` say where time runs."""
    top = 18.0
    parts = _time_axis(scene, top)
    if scene.wave:
        parts += _wave(scene, top)
        top += WAVE + GAP
    for name, title, unit in LANES:
        drawn = _lane(scene, name, title, unit, top)
        if drawn:
            parts += drawn
            top += LANE + GAP
    parts.append(element("path", class_="playhead", d=f"M{LEFT:g} 14V{top - GAP:g}"))
    return element(
        "svg",
        join(parts),
        class_="curves",
        viewBox=f"0 0 {WIDTH:g} {top:g}",
        data_left=LEFT,
        data_width=WIDTH - LEFT,
        data_seconds=scene.seconds,
        aria_hidden="true",
        focusable="false",
    )


def has_curves(scene: Scene) -> bool:
    """Whether there is anything to draw."""
    return bool(scene.wave) or any(track.curves is not None for track in scene.tracks)


def families(tracks: Sequence[Track]) -> list[str]:
    """Variants of a scene that are also there with an acceleration."""
    names = [track.variant for track in tracks]
    return [name for name in names if any(base_of(other) == name for other in names)][:MOST_FAMILIES]


def classes(track: Track, tracks: Sequence[Track]) -> str:
    """CSS classes that say which comparison with and without acceleration a track belongs to."""
    if track.kind == "ground-truth":
        return "ref"
    of = [i for i, name in enumerate(families(tracks)) if name in {track.variant, base_of(track.variant)}]
    return " ".join(f"f{i}" for i in of)


def _time_axis(scene: Scene, top: float) -> list[Markup]:
    marks = ticks(0.0, scene.seconds, 9)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    return [
        element(
            "text", f"{tick_label(mark, step)} s", class_="tick mid" if mark else "tick", x=_across(mark, scene), y=10
        )
        for mark in marks
        if _across(mark, scene) < WIDTH - 12
    ]


def _across(second: float, scene: Scene) -> float:
    return LEFT + second / scene.seconds * (WIDTH - LEFT) if scene.seconds > 0 else LEFT


def _wave(scene: Scene, top: float) -> list[Markup]:
    middle = top + WAVE / 2
    step = (WIDTH - LEFT) / len(scene.wave)
    path = "".join(
        f"M{number(LEFT + (i + 0.5) * step)} {number(middle - height)}v{number(2 * height)}"
        for i, peak in enumerate(scene.wave)
        if (height := max(peak, 0.01) * WAVE / 2)
    )
    return [element("text", "sound", class_="lane", x=0, y=middle + 4), element("path", class_="wave", d=path)]


def _lane(scene: Scene, name: str, title: str, unit: str, top: float) -> list[Markup]:
    series = {place: getattr(track.curves, name) for place, track in enumerate(scene.tracks) if track.curves}
    finite = [v for values in series.values() for v in values if v is not None and math.isfinite(v)]
    if not finite:
        return []
    low, high = min(finite), max(finite)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    low, high = low - margin, high + margin

    def up(value: float | None) -> float | None:
        return None if value is None else top + LANE - (value - low) / (high - low) * LANE

    marks = ticks(low, high, 3)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    parts = [
        element("text", title, class_="lane", x=0, y=top + 12),
        element("text", unit, class_="tick", x=0, y=top + 26),
    ]
    for mark in marks:
        at = up(mark) or 0.0
        parts.append(element("path", class_="grid", d=f"M{LEFT:g} {number(at)}H{WIDTH:g}"))
        parts.append(
            element("text", tick_label(mark, step), class_="tick end", x=LEFT - 6, y=min(at + 3.5, top + LANE))
        )
    for place, values in series.items():
        points = ((_across((i + 0.5) / scene.fps, scene), up(value)) for i, value in enumerate(values))
        look = f"line t{place} {classes(scene.tracks[place], scene.tracks)}".strip()
        parts.append(element("path", class_=look, d=polyline(points)))
    return parts


def summary(tracks: Sequence[Track]) -> list[tuple[str, str, str]]:
    """Variant, range of the mouth and range of yaw, as text for those who do not see the curves."""
    rows = []
    for track in tracks:
        if track.curves is None:
            rows.append((track.variant, track.lack or "no curves", ""))
            continue
        rows.append((track.variant, _range(track.curves.mouth, 3), _range(track.curves.yaw, 1)))
    return rows


def _range(values: Sequence[float | None], decimals: int) -> str:
    found = [value for value in values if value is not None and math.isfinite(value)]
    return f"{min(found):.{decimals}f} to {max(found):.{decimals}f}" if found else "no face"
