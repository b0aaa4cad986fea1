"""What is known of a run as a whole: the content of `run.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from thbench.errors import UsageError
from thbench.run.environment import Environment, environment
from thbench.run.hashing import canonical_json, content_hash
from thbench.spec import Direction, SetStatistic
from thbench.types import Document

if TYPE_CHECKING:
    from thbench.spec import MetricSpec

__all__ = [
    "Attempt",
    "Environment",
    "Kind",
    "MetricInfo",
    "Planned",
    "Recipe",
    "RunInfo",
    "describe_metric",
    "environment",
    "join",
]

Status = Literal["started", "success", "failed", "cancelled"]
"""`started` is also what a run that was killed says: nobody was left to say more."""

Kind = Literal["ground-truth", "baseline", "method"]
"""What a row of the leaderboard stands for; only methods compete."""


class MetricInfo(Document):
    """What a table must say of a metric; enough to print it where the metric is not installed."""

    title: str
    """A few words for people."""
    version: int
    """Version of the metric."""
    direction: Direction
    """Which way is better."""
    unit: str
    """`dB`, `deg`, ...; `1` for a pure number."""
    low: float = float("-inf")
    """Smallest possible value."""
    high: float = float("inf")
    """Largest possible value."""
    protocol: str
    """Every choice that the number depends on."""
    source: str
    """Paper, equation or public repository file that defines it."""
    statistic: SetStatistic | None = None
    """For a metric of a set of videos: how its number comes of their features."""
    approximates: str | None = None
    """Name of the metric that this one stands for at less cost."""


def describe_metric(spec: MetricSpec) -> MetricInfo:
    """What a table must say of the metric of `spec`."""
    return MetricInfo(**{name: getattr(spec, name) for name in MetricInfo.model_fields})


class Recipe(Document):
    """Which metrics under which protocols, and what stands before every metric."""

    metrics: Mapping[str, MetricInfo]
    """Metric name to what it is, in the order of the tables."""
    fps: float | None
    """Instants per second of the evaluation; None for each clip's own."""
    faces: str
    """Face pass: detector, landmarker and their settings."""
    decoder: str
    """Who decoded the videos, with version."""
    resampler: str
    """Who resampled the sound, with settings."""
    missing_face: str
    """Policy for frames without a face."""

    @property
    def key(self) -> str:
        """Content hash; `Record.recipe` refers to it."""
        return content_hash(self, length=12)

    @property
    def context(self) -> dict[str, float | str | None]:
        """What stands before every metric; a column has one protocol and one context."""
        return self.model_dump(exclude={"metrics"})


class Attempt(Document):
    """One start of a run."""

    started: datetime
    """When, UTC."""
    ended: datetime | None = None
    """When it ended in an orderly way; None if it was killed or still runs."""
    seconds: float | None = None
    """Wall seconds, by a clock that never jumps; None like `ended`."""
    workers: int = Field(ge=1)
    """Clips at a time."""
    environment: Environment | None = None
    """On what it ran; None if on the same as the run's first start."""


class Planned(Document):
    """One record that is to be; it counts in the denominators whether or not it was ever tried."""

    key: str
    """Content hash of the job."""
    variant: str
    """Row of the tables."""
    clip: str
    """Clip id."""
    identity: str
    """Who speaks."""
    seed: int = 0
    """Seed of the generation."""
    recipe: str
    """Key of the recipe under which it is scored."""


class RunInfo(Document):
    """What is known of a run as a whole."""

    schema_version: Literal[1] = 1
    """Version of this layout; old versions stay readable."""
    suite: Mapping[str, Any]
    """The suite as resolved, or what `thbench eval` was asked."""
    status: Status = "started"
    """How it ended."""
    environment: Environment
    """On what it was first started."""
    attempts: tuple[Attempt, ...] = ()
    """All starts, oldest first; the `Record.attempt` of a run's own records counts them from 0."""
    recipes: Mapping[str, Recipe]
    """Recipe key to recipe."""
    weights: Mapping[str, str] = {}
    """Name to SHA-256 of every weight file that was used."""
    kinds: Mapping[str, Kind] = {}
    """Variant to what it stands for; those not listed are methods, but for the ground truth."""
    planned: tuple[Planned, ...] = ()
    """All records that are to be."""

    @property
    def environments(self) -> tuple[Environment, ...]:
        """All that it ran on, the first start's first, each once."""
        found = [self.environment]
        found += [a.environment for a in self.attempts if a.environment is not None and a.environment not in found]
        return tuple(found)

    def begun(self, *, workers: int, started: datetime, on: Environment) -> RunInfo:
        """This run with one more start."""
        attempt = Attempt(started=started, workers=workers, environment=None if on == self.environment else on)
        return self.model_copy(update={"status": "started", "attempts": (*self.attempts, attempt)})

    def ended(self, status: Status, *, ended: datetime, seconds: float) -> RunInfo:
        """This run with its last start ended."""
        if not self.attempts:
            raise ValueError("a run that was never begun cannot end")
        last = self.attempts[-1].model_copy(update={"ended": ended, "seconds": seconds})
        return self.model_copy(update={"status": status, "attempts": (*self.attempts[:-1], last)})

    def extended(self, other: RunInfo) -> RunInfo:
        """This run with the recipes, weights, kinds and planned records of `other` beside its own.

        Raises:
            UsageError: A weight file differs, so that numbers of the two could not stand in one table.
        """
        return self.model_copy(
            update={
                "recipes": {**self.recipes, **other.recipes},
                "weights": _joined_weights([self.weights, other.weights]),
                "kinds": {**self.kinds, **other.kinds},
                "planned": _distinct([*self.planned, *other.planned]),
            }
        )


def join(infos: Sequence[RunInfo]) -> RunInfo:
    """One description for several runs, e.g. shards of one suite on several machines.

    The result does not depend on the order of `infos`. Attempts are ordered by start; those that ran elsewhere than the
    first say so.

    Raises:
        UsageError: There is no run, or a weight file differs between runs.
    """
    if not infos:
        raise UsageError("there is no run to join; give at least one run folder")
    if len(infos) == 1:
        return infos[0]
    ordered = sorted(infos, key=canonical_json)
    first = ordered[0]
    joined = first
    for info in ordered[1:]:
        joined = joined.extended(info)
    suites = {canonical_json(info.suite): info.suite for info in ordered}
    return joined.model_copy(
        update={
            "suite": first.suite if len(suites) == 1 else {"merged": list(suites.values())},
            "status": _joined_status([info.status for info in ordered]),
            "attempts": _joined_attempts(ordered, first.environment),
        }
    )


def _joined_weights(several: Iterable[Mapping[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for weights in several:
        for name, digest in weights.items():
            if joined.setdefault(name, digest) != digest:
                raise UsageError(
                    f"weight file {name!r} has SHA-256 {joined[name]} in one run and {digest} in another; their "
                    "numbers cannot stand in one table, so report the runs apart or use a new --out"
                )
    return joined


def _joined_status(several: Sequence[Status]) -> Status:
    """The status that promises least."""
    for status in ("started", "cancelled", "failed"):
        if status in several:
            return status
    return "success"


def _joined_attempts(infos: Sequence[RunInfo], common: Environment) -> tuple[Attempt, ...]:
    attempts = [
        attempt.model_copy(
            update={"environment": None if (on := attempt.environment or info.environment) == common else on}
        )
        for info in infos
        for attempt in info.attempts
    ]
    return tuple(sorted(attempts, key=lambda a: (a.started, canonical_json(a))))


def _distinct(planned: Iterable[Planned]) -> tuple[Planned, ...]:
    return tuple({entry.key: entry for entry in planned}.values())
