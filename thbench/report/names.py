"""Names of files, of groups of metrics, and of the parts of a variant's name."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SLUG = 48
"""Characters of a file name that come from a variant's name."""
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "Lips and sound": ("lse-c", "lse-d", "av-offset", "lip-audio-corr", "lip-audio-offset", "lip-audio-gap"),
    "Picture": ("psnr", "ssim", "ms-ssim", "lpips", "flicker"),
    "Identity": ("csim",),
    "Sets": ("fid", "kid", "fvd"),
    "Landmarks": ("m-lmd", "m-lvd", "f-lmd", "akd", "landmark-jitter"),
    "Head pose": ("apd", "pose-div", "pose-intensity", "pose-jerk", "head-motion"),
    "Behaviour": ("beat-align", "blink-rate", "blink-duration"),
    "Timing": ("av-drift", "av-start-gap", "av-length-gap", "duration-error"),
}
"""Group of columns to the first words of the metrics that belong to it, in the order in which they are shown."""
OTHER = "Other"
"""Group of metrics that no family names."""


def slug(name: str) -> str:
    """A file name for any text: readable where it can be, unique always, and safe on every file system.

    Example:
        >>> slug("hallo@mini+lightningcp"), slug("<b>")
        ('hallo-mini-lightningcp-95a28bce', 'b-507ca5a2')
    """
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_SLUG].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else digest


def family(metric: str) -> str:
    """The group of a metric, by the first word of its name.

    Example:
        >>> family("csim/iresnet/whole-frame/same-frame"), family("mine")
        ('Identity', 'Other')
    """
    head = metric.partition("/")[0]
    return next((title for title, heads in FAMILIES.items() if head in heads), OTHER)


def method_of(variant: str) -> str:
    """The method in a variant's name: what stands before preset and accelerations.

    Example:
        >>> method_of("hallo@mini+lightningcp")
        'hallo'
    """
    return re.split(r"[@+]", variant, maxsplit=1)[0]


def base_of(variant: str) -> str | None:
    """The variant without accelerations; None if it has none.

    Example:
        >>> base_of("hallo@mini+lightningcp"), base_of("hallo@mini")
        ('hallo@mini', None)
    """
    base, plus, _ = variant.partition("+")
    return base if plus and base else None
