"""What figures are drawn from: the data of the site, and what is read beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from thbench.accel.calibrate import Calibration
    from thbench.report.site.data import SiteData
    from thbench.validate.document import Validation


@dataclass(frozen=True, slots=True)
class LipCurve:
    """Mean distance of lips and sound at each shift, over the clips of a variant."""

    variant: str
    protocol: str
    """Of the lip-sync metric."""
    shifts: NDArray[np.float64]
    """Frames by which the sound is moved."""
    mean: NDArray[np.float64]
    """Mean over clips."""
    low: NDArray[np.float64]
    """Lower end of its interval over identities."""
    high: NDArray[np.float64]
    """Upper end."""
    clips: int
    """Clips that entered."""


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
    lip_curves: tuple[LipCurve, ...] = ()
    """Lip-sync distances."""
    sheets: tuple[ContactSheet, ...] = ()
    """Frames."""
    calibrations: tuple[Calibration, ...] = ()
    """How much features change over denoising steps."""
    validation: Validation | None = None
    """What `thbench validate-metrics` found, in full; without it the verdicts that come with thbench are drawn."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Kind of figure to the reason why what it needs could not be read."""
