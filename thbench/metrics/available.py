"""Which metrics can be computed here, and what each of the others lacks."""

from __future__ import annotations

import fnmatch
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from thbench.backbones.mode_names import in_mode, split_mode
from thbench.backbones.weights import about, command_for, find
from thbench.errors import EXTRA_OF_PACKAGE, UsageError, did_you_mean
from thbench.registry import METRICS
from thbench.spec import WeightSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thbench.backbones.mode_names import Mode
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
    lacking = {name: lack for name, spec in specs.items() if (lack := lack_of(spec)) is not None}
    return Selection(specs=specs, lacking=lacking)


def in_modes(selection: Selection, modes: Sequence[Mode], known: Mapping[str, MetricSpec] = METRICS) -> Selection:
    """Return a selection in other modes; a metric that has no fast twin is the same in each.

    Args:
        selection: Metrics in the mode `exact`, or asked for by name in `fast`.
        modes: `exact`, `fast` or both.
        known: The metrics that exist.
    """
    names: dict[str, None] = {}
    for name in selection.specs:
        exact, asked = split_mode(name)
        twins = (name,) if asked == "fast" else tuple(in_mode(exact, mode) for mode in modes)
        names |= dict.fromkeys(twin if twin in known else name for twin in twins)
    return select(names, known)


def lack_of(spec: MetricSpec) -> str | None:
    """Say what a metric lacks here and how to get it, weights first, then packages; None when it lacks nothing."""
    wanted = (FACE_WEIGHTS, *spec.weights) if "face" in spec.needs else spec.weights
    absent = [name for name in wanted if find(name) is None]
    if absent:
        return f"needs weights {', '.join(absent)}: {_commands(absent)}"
    for package in spec.packages:
        choices = package.split("|")
        if not any(installed(choice) for choice in choices):
            return f"needs the package {' or '.join(choices)}: pip install 'thbench[{EXTRA_OF_PACKAGE[choices[0]]}]'"
    return None


def _commands(names: Sequence[str]) -> str:
    """The commands that bring weight files; one command for all that can be downloaded."""
    downloads = [name for name in names if isinstance(about(name), WeightSpec)]
    others = [command_for(name) for name in names if name not in downloads]
    return " && ".join([f"thbench weights get {' '.join(downloads)}", *others] if downloads else others)


@lru_cache(maxsize=32)
def installed(package: str) -> bool:
    """Whether a package is installed; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def _matching(pattern: str, known: Mapping[str, MetricSpec]) -> list[str]:
    if pattern == "all":
        return [name for name, spec in known.items() if not spec.on_request]
    if pattern in known:
        return [pattern]
    # A family is asked for in one mode: its fast metrics are no further variants of it.
    of_mode = [name for name in known if split_mode(name)[1] == split_mode(pattern)[1]]
    return [n for n in of_mode if fnmatch.fnmatchcase(n, pattern) or n.startswith(f"{pattern}/")]
