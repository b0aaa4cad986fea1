"""The cost record: every sample of a measurement, what was concluded from it, and on what machine.

Trials are the raw data and are all kept: cold starts, warm-up and measured ones. Summaries, comparisons and warnings
are pure functions of them (`thbench.cost.summary`) and are written beside them for people and gates.

A trial is one generation of one clip. Its measures, in seconds unless said otherwise:

| measure | meaning | trials |
|---|---|---|
| `load` | importing the method and building it, in a fresh process | cold |
| `first-frame` | from the call of `generate` until its first frame is there; cold: from the start of loading | all |
| `end-to-end` | from the call of `generate` until its last frame is there; cold: from the start of loading | all |
| `frame` | steady time per frame: first frame to last, over the frames after the first | all |
| `real-time-factor` | `end-to-end` over the length of the video, without unit: below 1 is faster than real time | all |
| `processor` | processor seconds of the whole process during `end-to-end`, all threads together | all |
| `stage/NAME` | wall seconds of a stage, as the method reports them; on a GPU it may not have waited for it | all |
| `step/NAME` | mean time of a step of stage NAME, between two calls of `on_step` | all |

Single frames and steps are in `Trial.samples` under `frame` and `step/NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path  # noqa: TC003 - part of a public signature
from typing import Literal

from pydantic import Field, ValidationError

from thbench.cost.counted import Bound, WorkCount
from thbench.errors import UsageError
from thbench.run.environment import Environment
from thbench.types import Document

TrialKind = Literal["cold", "warm-up", "measured"]
"""`cold`: first generation of a fresh process, loading included. Only `measured` trials are compared."""

WarningKind = Literal[
    "busy-machine",
    "too-few-samples",
    "too-short",
    "outliers",
    "drift",
    "order-effect",
    "memory-grows",
    "coarse-clock",
    "not-exact",
]
"""What a reader of a number should know:

- `busy-machine`: other work ran beside the measurement;
- `too-few-samples`: fewer than an interval can be trusted with;
- `too-short`: the measured time is shorter than the protocol's minimum;
- `outliers`: samples that lie far outside the rest; they are kept;
- `drift`: later rounds are slower or faster than earlier ones;
- `order-effect`: what ran first in a round differs from what ran second;
- `memory-grows`: memory rises from one repetition to the next;
- `coarse-clock`: samples are not long beside the clock's resolution;
- `not-exact`: a number is a bound and not the value itself.
"""


class CostWarning(Document):
    """Something that a reader of a number should know; typed, so that a gate can act on it."""

    kind: WarningKind
    """Which."""
    text: str
    """One sentence for people, with the value and the limit."""
    variant: str | None = None
    """Which variant; None for all."""
    measure: str | None = None
    """Which measure; None for all."""
    value: float | None = None
    """What was found."""
    limit: float | None = None
    """From where on it is said."""


class Conditions(Document):
    """What else can move a time and is no part of `Environment`."""

    device: str
    """Where the method computed, e.g. `cpu`, `cuda:0`."""
    device_name: str
    """Processor or GPU model."""
    threads: int | None = None
    """Compute threads of torch; None where torch was not used."""
    affinity: tuple[int, ...] | None = None
    """Cores that the process may use; None where the system does not say."""
    load_before: float | None = None
    """Load average of one minute before the first trial."""
    load_after: float | None = None
    """The same after the last trial."""
    other_work: float | None = None
    """Cores that were busy with something else, on average during the measured trials; None where unknown."""
    cuda: str | None = None
    """CUDA version of torch."""
    driver: str | None = None
    """Driver version of the GPU."""
    variables: Mapping[str, str] = {}
    """Environment variables that set threads or determinism (`OMP_NUM_THREADS`, ...)."""


class Protocol(Document):
    """How it was measured; records under different protocols are not compared."""

    processes: int = Field(ge=1)
    """Fresh processes for the interleaved trials."""
    cold_starts: int = Field(ge=0)
    """Fresh processes per variant that load and generate once."""
    warm_ups: int = Field(ge=0)
    """Discarded generations per variant and process before the measured ones."""
    min_rounds: int = Field(ge=1)
    """Fewest rounds per process; in a round every variant generates once, in random order."""
    min_seconds: float = Field(ge=0)
    """Rounds go on until a variant has been measured for so long in a process."""
    max_rounds: int = Field(ge=1)
    """Most rounds per process."""
    seed: int = 0
    """Of the random order."""
    clock: str = "perf_counter"
    """Where host times come from; device times come from the device's own events where it has them."""


class Workload(Document):
    """What was generated."""

    clip: str
    """Clip id, or what the clip was made of."""
    frames: int = Field(ge=1)
    """Frames asked for."""
    fps: float
    """Frames per second."""
    height: int
    """Of the portrait, in pixels."""
    width: int
    """Of the portrait, in pixels."""
    seed: int = 0
    """Of the generation."""
    sha256: str = ""
    """Digest of portrait and sound: two records measured the same work only if it is equal."""

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return self.frames / self.fps


class Trial(Document):
    """One generation, with every sample."""

    variant: str
    """Which variant."""
    kind: TrialKind
    """Whether it counts."""
    process: int
    """Which fresh process; intervals are taken over processes, since trials of one process are alike."""
    round: int = 0
    """Which round of its process; trials of one process and round are pairs."""
    position: int = 0
    """Place in the random order of its round, from 0."""
    seconds: Mapping[str, float] = {}
    """Measure to value; see this module. Host clock after the device has finished."""
    device_seconds: Mapping[str, float] = {}
    """Measure to seconds by the device's own events; empty where it has none (CPU)."""
    samples: Mapping[str, tuple[float, ...]] = {}
    """`frame`: seconds between successive frames; `step/NAME`: between successive steps of a stage, by the device's
    events where it has them."""


class Bytes(Document):
    """Memory of the four kinds that are worth telling apart, in bytes; None where it cannot be known."""

    allocated: int | None = None
    """Peak of what torch's allocator handed out on the device: the gated number."""
    reserved: int | None = None
    """Peak of what it took from the device; depends on its history. None on the CPU, where nothing is held back."""
    device: int | None = None
    """Peak in use on the whole device, other processes included; None on the CPU."""
    host: int | None = None
    """Peak resident set of the process and its children together."""


class MemoryTrial(Document):
    """Peaks of one generation in a fresh process, measured in a pass of its own."""

    variant: str
    """Which variant."""
    process: int
    """Which fresh process."""
    before: Bytes
    """In use before the method was imported: resident on the host, and on the device by all processes together."""
    stages: Mapping[str, Bytes]
    """`load`, then the stages that the method reports, or `generate`: peaks, set back before each."""
    peak: Bytes
    """Highest of all stages."""


class LeakCheck(Document):
    """Whether repeating the same generation makes memory grow."""

    variant: str
    """Which variant."""
    host: tuple[int, ...]
    """Resident bytes after each repetition."""
    allocated: tuple[int, ...] = ()
    """Bytes that torch's allocator holds on the device after each repetition; empty on the CPU."""
    growth: float
    """Bytes per repetition: median slope over all pairs of the second half (Theil 1950, Sen 1968)."""
    limit: float
    """Growth from which it is called a leak."""
    leaks: bool
    """Whether growth is beyond the limit and holds on: memory rises in most steps of the second half."""


class Summary(Document):
    """One measure of one variant."""

    n: int
    """Measured trials."""
    processes: int
    """Fresh processes that they come from."""
    mean: float
    """Mean over trials."""
    low: float | None
    """Lower end of the interval of the mean over processes; None where `reason` says why."""
    high: float | None
    """Upper end."""
    reason: str | None = None
    """Why there is no interval."""
    median: float
    """Median over trials."""
    least: float
    """Smallest."""
    largest: float
    """Largest."""
    p90: float
    """90th percentile over trials, or over single frames and steps where there are such samples."""
    outliers: int = 0
    """Trials that lie far outside the rest; they are in all numbers here."""


class Comparison(Document):
    """One measure of a variant against the first one, paired by process and round."""

    variant: str
    """Which variant."""
    baseline: str
    """What it is compared with."""
    measure: str
    """Which measure."""
    pairs: int
    """Rounds in which both were measured."""
    ratio: float
    """Geometric mean of baseline / variant over pairs: above 1, the variant is faster."""
    low: float | None
    """Lower end of the interval over processes; None where `reason` says why."""
    high: float | None
    """Upper end."""
    reason: str | None = None
    """Why there is no interval."""


class CostRecord(Document):
    """A measurement of one method's variants on one machine."""

    schema_version: Literal[1] = 1
    """Version of this layout; old versions stay readable."""
    created: str
    """When it was measured, ISO 8601, UTC."""
    environment: Environment
    """Versions and machine."""
    conditions: Conditions
    """Device, threads, load."""
    protocol: Protocol
    """How it was measured."""
    workload: Workload
    """What was generated."""
    variants: tuple[str, ...] = Field(min_length=1)
    """Names, e.g. `hallo@mini+lightningcp`; the first is what the others are compared with."""
    level: float = 0.95
    """Nominal coverage of the intervals."""
    trials: tuple[Trial, ...]
    """Every one, in the order measured."""
    memory: tuple[MemoryTrial, ...] = ()
    """Every one; none if memory was not measured."""
    leaks: tuple[LeakCheck, ...] = ()
    """One per variant, where asked for."""
    work: Mapping[str, WorkCount] = {}
    """Variant to its counted operations, where asked for."""
    limits: Mapping[str, Bound] = {}
    """Variant to the least time of its operations on this machine, for the frames of `work`; where asked for."""
    summaries: Mapping[str, Mapping[str, Summary]]
    """Variant to measure to summary of the measured trials; cold ones under `cold/MEASURE`."""
    comparisons: tuple[Comparison, ...] = ()
    """Each variant after the first, for each measure."""
    warnings: tuple[CostWarning, ...] = ()
    """What a reader should know."""

    def values(self, variant: str, measure: str, kind: TrialKind = "measured") -> dict[tuple[int, int], float]:
        """The samples of one measure: (process, round) to value.

        A trial that has no such measure is left out.
        """
        return {
            (trial.process, trial.round): trial.seconds[measure]
            for trial in self.trials
            if trial.variant == variant and trial.kind == kind and measure in trial.seconds
        }

    def peaks(self, variant: str) -> tuple[Bytes, ...]:
        """Peak memory of each memory trial of a variant."""
        return tuple(trial.peak for trial in self.memory if trial.variant == variant)


def read_cost(path: Path) -> CostRecord:
    """Read a cost record.

    Raises:
        UsageError: The file is absent or is no cost record.
    """
    try:
        return CostRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cost record {path} cannot be read: {error.strerror}; make one with thbench time") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "record"
        raise UsageError(
            f"{path} is not a cost record: {first['msg']} in field {field!r}; make one with thbench time METHOD --json"
        ) from error
