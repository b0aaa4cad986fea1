"""How far the candidate's videos lie from the baseline's: what the same requests give under two versions of the code.

Metrics of quality ask whether a video is good; two versions can differ widely and be equally good. This asks whether
the video is another one, which is what a change that should leave the output alone (a refactoring, a faster kernel, a
cache that claims to lose nothing) has to answer. It is 0 for equal files, and needs no reference, face or network.
"""

from __future__ import annotations

import filecmp
import math
from contextlib import closing
from itertools import zip_longest
from pathlib import Path  # noqa: TC003 - a field's type
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.errors import MediaError
from thbench.report.contrast import Evidence
from thbench.report.outcomes import FAILED, NOT_RUN, jobs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.report.contrast import Unit
    from thbench.report.outcomes import Job
    from thbench.run.store import Contents

RMSE = "output/rmse"
"""Root of the mean squared difference over all pixels, channels and frames of a video, of levels 0 to 255."""

NOT_KEPT = "its video was not kept"
"""Reason of a video that was made and is gone."""


class Shown(NamedTuple):
    """One video of a run."""

    identity: str
    """Who speaks."""
    path: Path | None
    """The file; None where `reason` says why there is none."""
    reason: str = ""
    """E.g. `failed`, `not run`."""


def videos_of(contents: Contents) -> dict[str, dict[Unit, Shown]]:
    """Variant to the videos that a run made or was to make, by clip and seed."""
    found: dict[str, dict[Unit, Shown]] = {}
    for job in jobs_of(contents.records, contents.info):
        found.setdefault(job.variant, {})[job.unit] = _shown(job, contents)
    return found


def _shown(job: Job, contents: Contents) -> Shown:
    if job.record is None:
        return Shown(job.identity, None, NOT_RUN)
    if job.record.status != "ok":
        return Shown(job.identity, None, FAILED)
    folder = contents.folders.get(job.key)
    path = folder / job.record.video if folder is not None and job.record.video is not None else None
    return Shown(job.identity, path) if path is not None and path.is_file() else Shown(job.identity, None, NOT_KEPT)


def distances(baseline: Mapping[Unit, Shown], candidate: Mapping[Unit, Shown]) -> tuple[Evidence, Evidence]:
    """Distances of one variant's videos from the baseline's, as what two rows of a table say of a column.

    The baseline's own are 0. A candidate's video of another size or length has none.
    """
    there = {unit: shown for unit, shown in baseline.items() if shown.path is not None}
    values: dict[Unit, float] = {}
    missing: dict[Unit, str] = {}
    for unit, shown in candidate.items():
        first = there[unit].path if unit in there else None
        found = NOT_KEPT if first is None else rmse(first, shown.path) if shown.path is not None else shown.reason
        if isinstance(found, str):
            missing[unit] = found
        else:
            values[unit] = found
    identities = {unit: shown.identity for unit, shown in there.items()}
    return (
        Evidence(values=dict.fromkeys(there, 0.0), identities=identities),
        Evidence(values=values, identities={unit: identities[unit] for unit in values}, missing=missing),
    )


def rmse(a: Path, b: Path) -> float | str:
    """Distance of two videos in levels of 255, frame by frame, or why there is none.

    Args:
        a: A video.
        b: A video.
    """
    if filecmp.cmp(a, b, shallow=False):
        return 0.0
    # Reading videos needs a codec, and judging numbers does not.
    from thbench.media import read_frames

    squares, count = 0, 0
    try:
        with closing(read_frames(a)) as ours, closing(read_frames(b)) as theirs:
            for first, second in zip_longest(ours, theirs):
                if first is None or second is None:
                    return "its video has another number of frames"
                if first.rgb.shape != second.rgb.shape:
                    return "its video has another size"
                difference = first.rgb.astype(np.int32) - second.rgb
                squares += int(np.vdot(difference, difference))
                count += difference.size
    except MediaError as error:
        return f"a video cannot be read: {error}"
    return math.sqrt(squares / count) if count else 0.0
