"""Names to specs, through entry points, without importing what they describe.

Anybody's package takes part by declaring entry points in the groups `thbench.methods`, `thbench.metrics`,
`thbench.accelerations` and `thbench.datasets`. An entry point names either one spec, under that spec's own name, or a
tuple of specs (the entry point's name is then free). Metrics that come with thbench are found through its own entry
points, like anybody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Generic, TypeVar, cast

from thbench.errors import UsageError, did_you_mean
from thbench.spec import AccelerationSpec, DatasetSpec, MethodSpec, MetricSpec
from thbench.types import Document

SpecT = TypeVar("SpecT", bound=Document)


class Registry(Mapping[str, SpecT], Generic[SpecT]):
    """A read-only mapping from name to spec, filled from one entry-point group on first use."""

    def __init__(self, group: str, spec_type: type[SpecT], noun: str) -> None:
        self.group = group
        self.noun = noun
        self._spec_type = spec_type
        self._specs: Mapping[str, SpecT] | None = None

    def __getitem__(self, name: str) -> SpecT:
        specs = self._load()
        if name not in specs:
            raise UsageError(f"no {self.noun} is called {name!r}{did_you_mean(name, specs)}")
        return specs[name]

    def __contains__(self, name: object) -> bool:
        return name in self._load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def _load(self) -> Mapping[str, SpecT]:
        if self._specs is None:
            self._specs = MappingProxyType(read_specs(entry_points(group=self.group), self._spec_type, self.noun))
        return self._specs


def read_specs(points: Iterable[EntryPoint], spec_type: type[SpecT], noun: str) -> dict[str, SpecT]:
    """Read the specs that entry points name.

    Args:
        points: Entry points of one group.
        spec_type: The type that every spec must have.
        noun: What a spec describes, for errors.

    Returns:
        Specs by name, sorted by name.

    Raises:
        UsageError: An entry point cannot be read or is of another type, or a name is taken twice (both are named).
    """
    specs: dict[str, SpecT] = {}
    origin: dict[str, str] = {}
    for point in sorted(set(points), key=lambda p: (p.name, p.value)):
        where = f"entry point {point.name!r} = {point.value!r}" + (
            f" of package {point.dist.name!r}" if point.dist else ""
        )
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the {noun} at {where} cannot be read: {error}; reinstall or remove that package"
            ) from error
        several = found if isinstance(found, tuple) else (found,)
        for spec in several:
            if not isinstance(spec, spec_type):
                raise UsageError(
                    f"{where} gives a {type(spec).__name__}; a {noun} is described by a {spec_type.__name__}"
                )
            name = cast("str", getattr(spec, "name"))  # noqa: B009 - SpecT is any Document with a name
            if not isinstance(found, tuple) and name != point.name:
                raise UsageError(f"{where} gives a {noun} called {name!r}; the two names must be equal")
            if name in specs:
                raise UsageError(f"two {noun}s are called {name!r}: {origin[name]} and {where}; remove or rename one")
            specs[name] = spec
            origin[name] = where
    return dict(sorted(specs.items()))


METHODS: Registry[MethodSpec] = Registry("thbench.methods", MethodSpec, "method")
METRICS: Registry[MetricSpec] = Registry("thbench.metrics", MetricSpec, "metric")
ACCELERATIONS: Registry[AccelerationSpec] = Registry("thbench.accelerations", AccelerationSpec, "acceleration")
DATASETS: Registry[DatasetSpec] = Registry("thbench.datasets", DatasetSpec, "dataset")
