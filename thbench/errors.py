"""Errors that speak to the user.

Every message says what was wrong, the value, what is allowed, and the next step, in one or two sentences. The command
line prints a `ThbenchError` as that text without a traceback and exits with its `exit_code`; any other exception is a
defect of thbench and keeps its traceback.
"""

from __future__ import annotations

import difflib
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


EXTRA_OF_PACKAGE: Mapping[str, str] = {
    "av": "eval",
    "soxr": "eval",
    "scipy": "eval",
    "cv2": "eval",
    "mediapipe": "eval",
    "torch": "torch",
    "safetensors": "torch",
    "lpips": "lpips",
    "torchmetrics": "lpips",
    "ray": "cluster",
    "jinja2": "report",
    "markupsafe": "report",
    "transformers": "text",
    "espeakng_loader": "synth",
}
"""Top-level package to the extra of thbench that installs it."""


class ExitCode(IntEnum):
    """Exit codes of every command; an interface."""

    OK = 0
    """Everything asked for was done."""
    FAILED = 1
    """Done, but some clips failed (run, eval), a check failed, or a regression was found (gate)."""
    UNDECIDED = 2
    """Nothing could be measured, so nothing can be said."""
    USAGE = 3
    """The request itself was wrong: an argument, a path, a missing extra."""


class ThbenchError(Exception):
    """Base of all errors meant for the user."""

    exit_code: ExitCode = ExitCode.FAILED


class UsageError(ThbenchError):
    """The request cannot be carried out as given."""

    exit_code = ExitCode.USAGE


class NothingMeasuredError(ThbenchError):
    """The request was fine, but no clip gave a value."""

    exit_code = ExitCode.UNDECIDED


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed; run: pip install 'thbench[{extra}]'"
        )


class MissingWeightsError(ThbenchError):
    """A weight file is not on this machine."""


class WeightsMismatchError(ThbenchError):
    """A weight file is not the published one."""


class MediaError(ThbenchError):
    """A video or audio file cannot be read or written as asked."""


class MethodError(ThbenchError):
    """A method refused its request or returned what its spec does not allow."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` with the nearest of `known`, or the whole list when nothing is near.

    Args:
        name: What the user wrote.
        known: The names that exist.

    Example:
        >>> did_you_mean("psrn", ["psnr", "ssim"])
        "; did you mean 'psnr'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "; known: " + (", ".join(names) if names else "none")
