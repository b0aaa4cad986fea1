"""Numbers of sets of videos (FID, KID, FVD): from features by record to a value with its floor and its interval.

Pure functions of the features, which a loader hands over file by file; what is summed is summed in order of the clips'
names, so that neither shards nor the order of records change a digit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.metrics.frechet import fid_infinity, frechet_distance, small_sample_warning
from thbench.metrics.kid import PROTOCOLS, kid, squared_mmd_without_each
from thbench.metrics.moments import Accumulator, DegenerateSetError, Moments, merge, moments
from thbench.stats.jackknife import jackknife

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.spec import SetStatistic

FeatureLoader = Callable[[str, str], "NDArray[np.float32] | None"]
"""Extractor and record key to features (n, d); None if they are not there."""

AFFORDABLE = 1e11
"""Multiplications that an interval may take: some seconds on one core."""
SEED = 0
"""Of the split into halves."""
_ONE_IDENTITY = "real against real: unknown, there is only one identity"


class Member(NamedTuple):
    """One video of a set."""

    clip: str
    identity: str
    key: str
    """Key of its record."""
    rows: int
    """Features of it."""
    seed: int = 0
    """Seed of its generation."""

    @property
    def unit(self) -> tuple[str, int]:
        """Clip and seed."""
        return self.clip, self.seed


@dataclass(frozen=True, slots=True)
class SetNumber:
    """What a set is worth."""

    value: float
    """The distance."""
    identities: int
    """Identities of the row's videos."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""
    note: str | None = None
    """Why there is no interval."""
    remarks: tuple[str, ...] = field(default=())
    """Sizes of the sets, what is known of the bias, and the floor."""
    left_out: Mapping[str, float] = field(default_factory=dict)
    """Identity to the number without it, for differences between rows; empty without an interval."""


def set_number(
    statistic: SetStatistic, ours: Sequence[Member], real: Sequence[Member], load: FeatureLoader, *, level: float
) -> SetNumber:
    """Compare the features of a row's videos with those of the real ones.

    Args:
        statistic: What is computed.
        ours: The row's videos, at least one.
        real: The real videos, at least one.
        load: Gives features.
        level: Nominal coverage of the interval.

    Raises:
        DegenerateSetError: The sets are too small or do not vary; the message says which.
    """
    ours, real = sorted(ours), sorted(real)
    if statistic.kind == "kid":
        return _kernel(statistic, ours, real, load, level)
    if statistic.kind == "frechet-infinity":
        return _infinite(statistic, ours, real, load)
    return _frechet(statistic, ours, real, load, level)


def _kernel(
    statistic: SetStatistic, ours: Sequence[Member], real: Sequence[Member], load: FeatureLoader, level: float
) -> SetNumber:
    first, second = _gathered(load, statistic.extractor, ours), _gathered(load, statistic.reference, real)
    x, y = first.whole, second.whole
    found = kid(x, y, PROTOCOLS[statistic.subsets])
    number = SetNumber(
        value=found.value,
        identities=len(first.parts),
        remarks=(
            f"{len(x)} samples against {len(y)} real ones; standard deviation over subsets "
            f"{found.std:.3g}; unbiased, so equal distributions score 0 on average",
            _kernel_floor(statistic, second.parts),
        ),
    )
    if float(len(x) + len(y)) ** 2 * x.shape[1] > AFFORDABLE:
        return _with_note(number, f"leaving out identities of {len(x)} samples would take too long")
    return _with_interval(number, lambda: squared_mmd_without_each(first.parts, second.parts), level)


def _kernel_floor(statistic: SetStatistic, real: Mapping[str, NDArray[np.float32]]) -> str:
    def compare(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        return kid(first, second, PROTOCOLS[statistic.subsets]).value

    return _floor_of_rows(real, compare)


def _infinite(
    statistic: SetStatistic, ours: Sequence[Member], real: Sequence[Member], load: FeatureLoader
) -> SetNumber:
    """The distance at infinitely many samples of the row, against all real ones."""
    first, second = _gathered(load, statistic.extractor, ours), _gathered(load, statistic.reference, real)
    x, y = first.whole, second.whole
    found = fid_infinity(x, moments(y), ddof=statistic.ddof)

    def compare(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        return fid_infinity(a, moments(b), ddof=statistic.ddof).value

    remarks = (
        f"{len(x)} samples against {len(y)} real ones; the distance at N = {found.counts[0]} is "
        f"{found.distances[0]:.4g}, at N = {found.counts[-1]} {found.distances[-1]:.4g}",
        _floor_of_rows(second.parts, compare),
    )
    return SetNumber(found.value, len(first.parts), note="an extrapolation has no interval here", remarks=remarks)


def _floor_of_rows(
    real: Mapping[str, NDArray[np.float32]], compare: Callable[[NDArray[np.float32], NDArray[np.float32]], float]
) -> str:
    """What equal distributions would score, from the features of each real identity."""
    halves = _halves(set(real))
    parts = [[rows for name, rows in real.items() if halves[name] == half] for half in ("a", "b")]
    if not all(parts):
        return _ONE_IDENTITY
    first, second = map(np.concatenate, parts)
    try:
        return _floor_text(len(first), len(second), compare(first, second))
    except DegenerateSetError as error:
        return f"real against real: unknown, {error}"


def _frechet(
    statistic: SetStatistic, ours: Sequence[Member], real: Sequence[Member], load: FeatureLoader, level: float
) -> SetNumber:
    people = sorted({member.identity for member in (*ours, *real)})
    counts = sum(member.rows for member in ours), sum(member.rows for member in real)
    width = _rows(load, statistic.reference, real[0]).shape[1]
    affordable = len(people) * _effort(*counts, width) <= AFFORDABLE
    own = _by_group(load, statistic.extractor, ours, _each if affordable else _together)
    halves = _halves({member.identity for member in real})
    theirs = _by_group(load, statistic.reference, real, _each if affordable else halves.get)
    # Order by name, so that a sum does not depend on which group came first.
    whole = frechet_distance(_union(own), _union(theirs), ddof=statistic.ddof)
    floor = _floor(theirs, halves, statistic.ddof, apart=affordable)
    number = SetNumber(
        value=max(whole.value, 0.0),
        identities=len({member.identity for member in ours}),
        remarks=(_sizes(*counts, width), floor),
    )
    if not affordable:
        return _with_note(
            number, f"leaving out each of {len(people)} identities of {sum(counts)} samples would take too long"
        )
    return _with_interval(number, lambda: _frechet_without_each(own, theirs, people, statistic.ddof), level)


def _rows(load: FeatureLoader, extractor: str, member: Member) -> NDArray[np.float32]:
    rows = load(extractor, member.key)
    if rows is None or len(rows) != member.rows:
        raise DegenerateSetError(
            f"the features {extractor!r} of clip {member.clip!r} are not in the run folder; run it again"
        )
    return rows


class _Gathered(NamedTuple):
    """Features of a set, in memory once."""

    whole: NDArray[np.float32]
    """Shape (n, d): those of an identity together, identities in the order of the members."""
    parts: dict[str, NDArray[np.float32]]
    """Identity to its rows, a view of `whole`."""


def _gathered(load: FeatureLoader, extractor: str, members: Sequence[Member]) -> _Gathered:
    own: dict[str, list[Member]] = {}
    for member in members:
        own.setdefault(member.identity, []).append(member)
    first = _rows(load, extractor, members[0])
    whole = np.empty((sum(member.rows for member in members), first.shape[1]), np.float32)
    parts: dict[str, NDArray[np.float32]] = {}
    end = 0
    for identity, theirs in own.items():
        start = end
        for member in theirs:
            rows = first if member == members[0] else _rows(load, extractor, member)
            whole[end : end + member.rows] = rows
            end += member.rows
        parts[identity] = whole[start:end]
    return _Gathered(whole, parts)


def _each(identity: str) -> str:
    return identity


def _together(identity: str) -> str:
    return ""


def _by_group(
    load: FeatureLoader, extractor: str, members: Iterable[Member], group_of: Callable[[str], str | None]
) -> dict[str, Moments]:
    """Moments of each group of identities."""
    found: dict[str, Accumulator] = {}
    for member in members:
        rows = _rows(load, extractor, member)
        group = group_of(member.identity) or ""
        found.setdefault(group, Accumulator(rows.shape[1])).add(rows)
    return {group: found[group].moments() for group in sorted(found)}


def _union(parts: dict[str, Moments]) -> Moments:
    return merge(parts.values())


def _halves(identities: set[str]) -> dict[str, str]:
    """Identity to the random half that it belongs to, `a` or `b`."""
    names = sorted(identities)
    order = np.random.default_rng(SEED).permutation(len(names))
    half = len(names) // 2
    return {names[place]: "a" if rank < half else "b" for rank, place in enumerate(order)}


def _floor(theirs: dict[str, Moments], halves: dict[str, str], ddof: int, *, apart: bool) -> str:
    """What equal distributions would score: the distance between random halves of the real set."""
    groups: dict[str, list[Moments]] = defaultdict(list)
    for name, part in theirs.items():
        groups[halves[name] if apart else name].append(part)
    if len(groups) < 2:
        return _ONE_IDENTITY
    first, second = merge(groups["a"]), merge(groups["b"])
    try:
        value = frechet_distance(first, second, ddof=ddof).value
    except DegenerateSetError as error:
        return f"real against real: unknown, {error}"
    return _floor_text(first.count, second.count, max(value, 0.0))


def _floor_text(first: int, second: int, value: float) -> str:
    return f"real against real, halves of {first} and {second} samples split by identity: {value:.4g}"


def _sizes(ours: int, real: int, width: int) -> str:
    warning = small_sample_warning(min(ours, real), width)
    text = f"{ours} samples against {real} real ones"
    return f"{text}; {warning}" if warning else text


def _effort(ours: int, real: int, width: int) -> float:
    """Multiplications of one distance, roughly."""
    small = float(min(ours, real, width))
    return float(min(ours, width)) * min(real, width) * width + 10 * small**3


def _frechet_without_each(
    own: Mapping[str, Moments], theirs: Mapping[str, Moments], people: Sequence[str], ddof: int
) -> dict[str, float]:
    found = {}
    for left_out in people:
        first = [part for name, part in own.items() if name != left_out]
        second = [part for name, part in theirs.items() if name != left_out]
        if not first or not second:
            raise DegenerateSetError(f"without identity {left_out!r} one of the sets is empty")
        found[left_out] = frechet_distance(merge(first), merge(second), ddof=ddof).value
    return found


def _with_interval(number: SetNumber, without_each: Callable[[], Mapping[str, float]], level: float) -> SetNumber:
    """Add the interval of the delete-one-identity jackknife."""
    try:
        left_out = without_each()
    except DegenerateSetError as error:
        return _with_note(number, f"without one of the identities a set is too small: {error}")
    estimate = jackknife(number.value, left_out, level=level)
    if estimate.interval is None:
        return _with_note(number, estimate.reason or "")
    remark = f"interval from leaving out each of {len(left_out)} identities, without the bias of few samples"
    low, high = estimate.interval.low, estimate.interval.high
    return replace(number, low=low, high=high, remarks=(*number.remarks, remark), left_out=left_out)


def _with_note(number: SetNumber, note: str) -> SetNumber:
    return replace(number, note=note)
