"""Videos for the player: which clips are shown, and where their files lie."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, NamedTuple

from thbench.errors import MediaError, MissingExtraError
from thbench.report.names import slug
from thbench.report.site.data import Curves, Media, Scene, Track

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thbench.report.leaderboard import Leaderboard
    from thbench.run.store import Contents
    from thbench.types import Record

EXTRACTOR = "curves"
"""Where the one pass keeps what the face does; see `thbench.metrics.observe_curves`."""
Unit = tuple[str, int]
"""One video of a variant: clip id and seed."""
FOLDER = "site/media"
"""Where the videos lie, relative to the folder of the report."""
MOST_TRACKS = 12
"""Variants that are shown side by side."""
LONGEST = 20.0
"""Seconds of a clip that are drawn."""
WAVE_PIECES = 300
"""Pieces of the waveform."""


class _Source(NamedTuple):
    """A video that is to be shown."""

    record: Record
    kind: str
    path: Path


def collect_media(contents: Contents, leaderboard: Leaderboard, folder: Path, *, clips: int) -> Media:
    """Choose clips that most variants have, and put their videos below `folder`.

    Args:
        contents: The run.
        leaderboard: Its leaderboard, for the order of the variants.
        folder: Folder of the report.
        clips: How many clips to show; 0 shows none.

    Returns:
        What is shown; what is not has a note.
    """
    sources, notes = _chosen(contents, leaderboard, clips)
    _forget(folder / FOLDER, {slug(f"{clip} {seed}") for clip, seed in sources})
    if not sources:
        return Media(notes=tuple(notes))
    fps = next((r.fps for r in contents.info.recipes.values() if r.fps), 25.0)
    try:
        scenes = [_scene(unit, several, contents, folder, fps, notes) for unit, several in sources.items()]
    except ModuleNotFoundError as error:
        return Media(notes=(*notes, str(MissingExtraError(error.name or "", "eval", "showing videos"))))
    return Media(scenes=tuple(scene for scene in scenes if scene is not None), notes=tuple(notes))


def _chosen(contents: Contents, leaderboard: Leaderboard, clips: int) -> tuple[dict[Unit, list[_Source]], list[str]]:
    """Sources by (clip, seed): clips that most variants have, from as many identities as there are."""
    shown = {row.variant: row.kind for row in leaderboard.rows[:MOST_TRACKS]}
    found: dict[Unit, dict[str, _Source]] = {}
    for record in contents.records if clips else ():
        path = _video_of(record, contents.folders) if record.variant in shown and record.status == "ok" else None
        if path is not None:
            several = found.setdefault((record.clip, record.seed), {})
            several[record.variant] = _Source(record, shown[record.variant], path)
    identity = {unit: next(iter(several.values())).record.identity for unit, several in found.items()}
    chosen: list[Unit] = []
    while len(chosen) < clips and (left := [unit for unit in found if unit not in chosen]):
        people = [identity[unit] for unit in chosen]
        chosen.append(min(left, key=lambda u: (people.count(identity[u]), -len(found[u]), u)))
    notes = []
    if clips and len(chosen) < len(found):
        notes.append(f"Shown are {len(chosen)} of {len(found)} clips that have videos.")
    if found and len(leaderboard.rows) > MOST_TRACKS:
        notes.append(f"Shown are the first {MOST_TRACKS} of {len(leaderboard.rows)} variants.")
    order = list(shown)
    return {u: sorted(found[u].values(), key=lambda s: order.index(s.record.variant)) for u in chosen}, notes


def _video_of(record: Record, folders: Mapping[str, Path]) -> Path | None:
    """The file that people look at, where there is one, else the file that was scored."""
    if record.video is None or record.key not in folders:
        return None
    path = folders[record.key] / record.video
    return next((p for p in (path.with_suffix(".mp4"), path) if p.is_file()), None)


def _scene(
    unit: Unit, sources: list[_Source], contents: Contents, folder: Path, fps: float, notes: list[str]
) -> Scene | None:
    """One clip; None, with a note, if none of its videos can be read."""
    from thbench.report.site import film

    clip, seed = unit
    where = f"{FOLDER}/{slug(f'{clip} {seed}')}"
    tracks = []
    for source in sources:
        try:
            tracks.append(_track(source, where, contents, folder, fps))
        except MediaError as error:
            notes.append(f"{source.record.variant} / {clip}: {error}")
    if not tracks:
        return None
    # The reference stands first, where there is one.
    shown = folder / tracks[0].video
    size = film.size_of(shown, fps)
    portrait = f"{where}/portrait.jpg"
    film.save_portrait(shown, folder / portrait)
    drawn = min(size.seconds, LONGEST)
    return Scene(
        clip=clip,
        identity=sources[0].record.identity,
        seed=seed,
        fps=fps,
        seconds=drawn,
        width=size.width,
        height=size.height,
        portrait=portrait,
        wave=film.wave_of(shown, drawn, WAVE_PIECES),
        tracks=tuple(tracks),
    )


def _track(source: _Source, where: str, contents: Contents, folder: Path, fps: float) -> Track:
    from thbench.report.site import film

    record = source.record
    video = f"{where}/{slug(record.variant)}.mp4"
    film.copy_playable(source.path, folder / video)
    curves = _curves(contents, record.key, fps) if EXTRACTOR in record.features else None
    lack = None if curves is not None else "no curves: the face was not looked for, or the run is of an older version"
    return Track(key=record.key, variant=record.variant, kind=source.kind, video=video, curves=curves, lack=lack)


def _curves(contents: Contents, key: str, fps: float) -> Curves | None:
    """What the one pass kept of the face, up to `LONGEST` seconds."""
    rows = contents.features(EXTRACTOR, key)
    if rows is None:
        return None
    columns = rows[: round(LONGEST * fps)].T.tolist()
    digits = (4, 2, 2, 2)
    mouth, yaw, pitch, roll = (
        tuple(round(v, places) if math.isfinite(v) else None for v in column)
        for column, places in zip(columns, digits, strict=True)
    )
    return Curves(mouth=mouth, yaw=yaw, pitch=pitch, roll=roll)


def _forget(folder: Path, keep: set[str]) -> None:
    """Remove what an earlier report showed and this one does not."""
    if folder.is_dir():
        for old in folder.iterdir():
            if old.is_dir() and old.name not in keep:
                shutil.rmtree(old, ignore_errors=True)
