"""Reads what figures need beside the data of the site: distances of lips and sound, frames, calibrations."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thbench.accel.calibrate import read as read_calibration
from thbench.accel.calibrate import stored_beside
from thbench.errors import MediaError, UsageError
from thbench.registry import METHODS
from thbench.report.figures.contact_sheet import MOST_ROWS
from thbench.report.figures.data import ContactSheet, FigureData, FigureInputs, LipCurve
from thbench.report.names import base_of, method_of
from thbench.stats.many import People, mean_estimates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.accel.calibrate import Calibration
    from thbench.report.site.data import Scene, SiteData
    from thbench.run.store import Contents
    from thbench.validate.document import Validation

LIP_CURVE = "lse-curve-"
"""How the names of extractors begin that keep mean distances of lips and sound; the protocol follows."""
CALIBRATIONS_FOLDER = "calibrations"
"""Folder of a run folder that holds calibrations, `*.json`; those that come with methods count too."""
SHEETS, COLUMNS = 2, 6
"""Clips, and instants of each."""


def inputs_of(contents: Contents, variants: Sequence[str]) -> FigureInputs:
    """What figures need of a run.

    Args:
        contents: The run.
        variants: Rows of its leaderboard, in order.
    """
    missing = {}
    if not any(name.startswith(LIP_CURVE) for record in contents.records for name in record.features):
        missing["lip-curves"] = "no lip-sync metric kept its distances: runs of this version keep them"
    return FigureInputs(
        lip_curves=tuple(_lip_curves(contents, variants)),
        calibrations=tuple(_calibrations(contents, variants)),
        missing=missing,
    )


def figure_data(
    site: SiteData, inputs: FigureInputs, folder: Path, *, validation: Validation | None = None
) -> FigureData:
    """Gather what figures are made of.

    Args:
        site: Data of the site.
        inputs: What was read of the run.
        folder: Folder of the report, in which the shown videos lie.
        validation: What `thbench validate-metrics` found.
    """
    data = FigureData(site=site, inputs=inputs, validation=validation)
    try:
        return replace(data, sheets=tuple(_sheet(scene, folder) for scene in site.media.scenes[:SHEETS]))
    except (MediaError, ModuleNotFoundError) as error:
        return replace(data, no_sheets=f"frames cannot be read: {error}")


def _lip_curves(contents: Contents, variants: Sequence[str]) -> Iterator[LipCurve]:
    found: dict[tuple[str, str], list[tuple[str, NDArray[np.float64]]]] = {}
    for record in contents.records:
        for name in record.features:
            rows = contents.features(name, record.key) if name.startswith(LIP_CURVE) else None
            if rows is not None and len(rows) and np.isfinite(rows[0]).all():
                key = (name.removeprefix(LIP_CURVE), record.variant)
                found.setdefault(key, []).append((record.identity, rows[0].astype(np.float64)))
    for protocol, variant in sorted(found, key=lambda key: (key[0], variants.index(key[1]))):
        clips = found[protocol, variant]
        curves = np.stack([curve for _, curve in clips if len(curve) == len(clips[0][1])])
        shift = curves.shape[1] // 2
        estimates = mean_estimates(curves.T, People.of([who for who, _ in clips]), resamples=0)
        means = [e.value for e in estimates if e is not None]
        ends = [(e.value, e.value) if e.interval is None else (e.interval.low, e.interval.high) for e in estimates if e]
        yield LipCurve(
            variant=variant,
            protocol=protocol,
            shifts=tuple(range(-shift, shift + 1)),
            mean=tuple(round(mean, 4) for mean in means),
            low=tuple(round(low, 4) for low, _ in ends),
            high=tuple(round(high, 4) for _, high in ends),
            clips=len(curves),
        )


def _sheet(scene: Scene, folder: Path) -> ContactSheet:
    from thbench.media import read_frames

    seconds = tuple(float(s) for s in np.linspace(0, scene.seconds, COLUMNS + 1)[:-1] + scene.seconds / COLUMNS / 2)
    wanted = [round(second * scene.fps) for second in seconds]
    rows: dict[str, tuple[NDArray[np.uint8], ...]] = {}
    for track in scene.tracks[:MOST_ROWS]:
        frames: list[NDArray[np.uint8]] = []
        stream = read_frames(folder / track.video, scene.fps)
        try:
            for number, frame in enumerate(stream):
                if number == wanted[len(frames)]:
                    frames.append(np.array(frame.rgb))
                if len(frames) == len(wanted):
                    break
        finally:
            stream.close()
        rows[track.variant] = tuple(frames)
    return ContactSheet(scene.clip, seconds, rows)


def _calibrations(contents: Contents, variants: Sequence[str]) -> Iterator[Calibration]:
    """Those in the run folders, then those that come with the methods of the table."""
    found: dict[str, Calibration] = {}
    for folder in sorted(set(contents.folders.values())):
        for path in sorted((folder / CALIBRATIONS_FOLDER).glob("*.json")):
            calibration = read_calibration(path)
            found.setdefault(calibration.method, calibration)
    shipped: Mapping[str, str] = {
        base_of(variant) or variant: method_of(variant) for variant in variants if "@" in variant
    }
    for name, method in shipped.items():
        # What is not installed here, or was never calibrated, has none.
        with contextlib.suppress(UsageError, KeyError, ModuleNotFoundError):
            path = stored_beside(METHODS[method].factory.partition(":")[0], name.partition("@")[2])
            if path.is_file():
                calibration = read_calibration(path)
                found.setdefault(calibration.method, calibration)
    yield from found.values()
