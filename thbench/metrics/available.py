"""Which metrics can be computed here, and what each of the others lacks."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.backbones.weights import find
from thbench.errors import UsageError, did_you_mean
from thbench.registry import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from thbench.spec import MetricSpec

FACE_WEIGHTS = "face-landmarker"
"""Weight file that the shared face pass needs."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The metrics asked for."""

    specs: Mapping[str, MetricSpec]
    """All of them, by name."""
    lacking: Mapping[str, str]
    """Those that cannot be computed here, with the reason and the command that helps."""

    @property
    def computable(self) -> tuple[MetricSpec, ...]:
        """Those that can be computed here."""
        return tuple(spec for name, spec in self.specs.items() if name not in self.lacking)

    @property
    def needs_faces(self) -> bool:
        """Whether any computable metric reads faces."""
        return any("face" in spec.needs for spec in self.computable)

    @property
    def needs_audio(self) -> bool:
        """Whether any computable metric reads sound."""
        return any("audio" in spec.needs for spec in self.computable)


def select(patterns: Iterable[str], known: Mapping[str, MetricSpec] = METRICS) -> Selection:
    """Resolve names and globs to metrics.

    Args:
        patterns: Metric names, families (`m-lmd` takes `m-lmd/*`) or globs; `all` takes everything but the variants
            that must be asked for.
        known: The metrics that exist.

    Raises:
        UsageError: A pattern matches nothing.
    """
    names: list[str] = []
    for pattern in patterns:
        found = _matching(pattern, known)
        if not found:
            raise UsageError(f"no metric is called {pattern!r}{did_you_mean(pattern, known)}")
        names += [name for name in found if name not in names]
    specs = {name: known[name] for name in sorted(names)}
    lacking = {name: lack for name, spec in specs.items() if (lack := missing_weights(spec)) is not None}
    return Selection(specs=specs, lacking=lacking)


def missing_weights(spec: MetricSpec) -> str | None:
    """Say which weight files a metric lacks and how to get them; None when it lacks none."""
    wanted = (FACE_WEIGHTS, *spec.weights) if "face" in spec.needs else spec.weights
    absent = [name for name in wanted if find(name) is None]
    if not absent:
        return None
    return f"needs weights {', '.join(absent)}: thbench weights get {' '.join(absent)}"


def _matching(pattern: str, known: Mapping[str, MetricSpec]) -> list[str]:
    if pattern == "all":
        return [name for name, spec in known.items() if not spec.on_request]
    exact = [name for name in known if name == pattern]
    return exact or [n for n in known if fnmatch.fnmatchcase(n, pattern) or n.startswith(f"{pattern}/")]
