"""What is known of a method, a metric or a weight file without importing it.

Specs are light: reading one imports neither torch nor the code that it describes. `load` follows the `module:name` of a
spec to the code itself.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from thbench.errors import EXTRA_OF_PACKAGE, MissingExtraError, UsageError
from thbench.types import Document

Direction = Literal["higher", "lower", "closer-to-real", "none"]
"""Which way is better. `closer-to-real`: compare with the ground-truth row; `none`: descriptive only."""

Need = Literal["audio", "face", "reference"]
"""What a metric reads beside the generated frames."""


class WeightSpec(Document):
    """A frozen network file that somebody else published."""

    name: str
    """Registry name, e.g. `face-landmarker`."""
    file: str
    """File name in the weights folder."""
    bytes: int = Field(gt=0)
    """Exact size."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest; a file that differs is refused."""
    licence: str
    """Licence or terms of use, as its publisher states them."""
    source: str
    """Where it is published, for people."""
    url: str | None = None
    """Direct download, where there is one; otherwise the file is fetched by hand and placed in the weights folder."""
    used_for: str
    """What thbench does with it."""


class WeightSlot(Document):
    """A published network file whose digest is not known: the user's own copy takes its place."""

    name: str
    """Registry name, e.g. `hopenet`."""
    file: str
    """File name under which it is published."""
    licence: str
    """Licence or terms of use, as its publisher states them."""
    source: str
    """Where it is published, for people."""
    used_for: str
    """What thbench does with it."""


class SetStatistic(Document):
    """How one number comes of the features of many videos; such a metric has no value for a single video."""

    kind: Literal["frechet", "kid", "frechet-infinity"]
    """Frechet distance, kernel distance of subsets, or Frechet distance extrapolated to infinitely many samples."""
    extractor: str
    """Features of the row's videos, a name under `features/`."""
    reference: str
    """Features of the ground-truth row's videos; the same name unless other parts of a real video are taken."""
    ddof: int = 1
    """Frechet: covariances are divided by N - ddof."""
    subsets: str = "torch-fidelity"
    """Kernel distance: a name of `thbench.metrics.kid.PROTOCOLS`."""


class MetricSpec(Document):
    """A named number with a direction, a unit and a protocol."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*){0,3}$")
    """`family`, `family/variant` or finer, e.g. `m-lmd/eat`."""
    version: int = Field(default=1, ge=1)
    """Raised by any change that alters a number."""
    title: str
    """A few words for people."""
    direction: Direction
    """Which way is better."""
    unit: str
    """`dB`, `deg`, `1/s`, ...; `1` for a pure number."""
    low: float = -math.inf
    """Smallest possible value."""
    high: float = math.inf
    """Largest possible value."""
    protocol: str
    """Every choice that the number depends on, spelled out; values under different protocols never share a column."""
    source: str
    """Paper, equation or public repository file that defines it."""
    needs: frozenset[Need] = frozenset()
    """What it reads beside the generated frames."""
    weights: tuple[str, ...] = ()
    """Names of weight files that it needs beyond those of the shared face pass."""
    packages: tuple[str, ...] = ()
    """Packages that it needs beyond those of the extra `eval`; `a|b` where either will do."""
    statistic: SetStatistic | None = None
    """For a metric of a set of videos: how its number comes of their features."""
    approximates: str | None = None
    """Name of the metric that this one stands for at less cost; where a run has both, their difference is printed."""
    on_request: bool = False
    """Whether `all` leaves it out: a costly or redundant variant that must be asked for by name or family."""
    observer: str
    """`module:callable`; called with the set of metric names wanted from it, returns an `Observer`. Metrics that share
    one observer share its work."""

    @property
    def protocol_id(self) -> str:
        """Identity of a column: name, version and protocol."""
        return f"{self.name}@{self.version} [{self.protocol}]"


class MethodSpec(Document):
    """What is known of a method before it is loaded."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Registry name."""
    version: int = Field(default=1, ge=1)
    """Raised by any change that alters the frames."""
    title: str
    """A few words for people."""
    kind: Literal["baseline", "motion-space", "flow-warping", "image-diffusion", "external"]
    """Family."""
    factory: str
    """`module:callable`, called as `factory(preset=..., device=...)`; returns a `Method`."""
    inputs: frozenset[Literal["reference", "other_audio"]] = frozenset()
    """Fields of a Request beyond portrait and audio that this method is given."""
    controls: Mapping[str, str] = {}
    """Control name to what it does; a control that is not listed is refused by name."""
    presets: tuple[str, ...] = ("default",)
    """Configurations; the first is the default."""
    paper: str | None = None
    """Citation."""
    licence: str = "Apache-2.0"
    """Licence of the method's code; that of weights is in their WeightSpec."""
    extra: str | None = None
    """Extra of thbench that it needs, e.g. `torch`."""
    flops: str | None = None
    """`module:callable` that offers its networks for counting operations; see `thbench.cost.offer`."""
    trainers: Mapping[str, str] = {}
    """Preset to `module:callable`, called as `trainer(order)` with a `thbench.training.order.Order`; presets that are
    not here are not trained here."""

    @field_validator("presets")
    @classmethod
    def _has_a_preset(cls, presets: tuple[str, ...]) -> tuple[str, ...]:
        if not presets:
            raise ValueError("a method needs at least one preset")
        return presets


class AccelerationSpec(Document):
    """A named change to how a denoiser is sampled."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Registry name."""
    title: str
    """A few words for people."""
    source: str
    """Paper or public repository that defines it."""
    factory: str
    """`module:callable` that builds its sampling plan."""


class DatasetSpec(Document):
    """What is known of a dataset without touching its files."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Registry name."""
    title: str
    """A few words for people."""
    licence: str
    """Terms of the clips."""
    source: str
    """Where the clips come from."""
    embedded: bool = False
    """Whether it comes with the package, so that no folder need be given."""
    factory: str
    """`module:callable`, called with the folder of the clips (None for an embedded dataset's own); returns
    `tuple[Clip, ...]`."""


def load(target: str, *, purpose: str) -> Any:
    """Import `module:name` and return the object.

    Args:
        target: `module:attribute`, as in the `factory` and `observer` of a spec.
        purpose: What it is for, to name in an error (e.g. "metric 'ssim'").

    Raises:
        MissingExtraError: The module needs a package that an extra of thbench brings.
        UsageError: `target` is not of this form or the module has no such name.
    """
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"{purpose}: {target!r} is not of the form 'module:name'; correct it in the spec")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        extra = EXTRA_OF_PACKAGE.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingExtraError(error.name or "", extra, purpose) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise UsageError(
            f"{purpose}: module {module_name!r} has no name {attribute!r}; correct it in the spec"
        ) from None
