"""What figures are drawn from: the data of the site, and what is kept beside it for figures alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thbench.accel.calibrate import Calibration
from thbench.types import Document

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from thbench.report.site.data import SiteData
    from thbench.validate.document import Validation


class LipCurve(Document):
    """Mean distance of lips and sound at each shift, over the clips of a variant."""

    variant: str
    """Row of the leaderboard."""
    protocol: str
    """Of the lip-sync metric."""
    shifts: tuple[float, ...]
    """Frames by which the sound is moved."""
    mean: tuple[float, ...]
    """Mean over clips."""
    low: tuple[float, ...]
    """Lower end of its interval over identities; the mean itself where there is none."""
    high: tuple[float, ...]
    """Upper end."""
    clips: int
    """Clips that entered."""


class FigureInputs(Document):
    """What figures need of a run beside the data of the site; kept, so that they can be drawn again."""

    lip_curves: tuple[LipCurve, ...] = ()
    """Lip-sync distances."""
    calibrations: tuple[Calibration, ...] = ()
    """How much features change over denoising steps."""
    missing: Mapping[str, str] = {}
    """Kind of figure to the reason why what it needs could not be read."""


@dataclass(frozen=True, slots=True)
class ContactSheet:
    """Frames of one clip, as every variant made it."""

    clip: str
    seconds: tuple[float, ...]
    """When."""
    rows: Mapping[str, tuple[NDArray[np.uint8], ...]]
    """Variant to frames (height, width, 3), RGB, one for each time."""


@dataclass(frozen=True, slots=True)
class FigureData:
    """All that figures are made of."""

    site: SiteData
    """Leaderboard, clips, videos."""
    inputs: FigureInputs = field(default_factory=FigureInputs)
    """What was read beside it."""
    sheets: tuple[ContactSheet, ...] = ()
    """Frames of the shown videos."""
    no_sheets: str = "the site shows no videos"
    """Why there are no frames."""
    validation: Validation | None = None
    """What `thbench validate-metrics` found, in full; without it the verdicts that come with thbench are drawn."""
