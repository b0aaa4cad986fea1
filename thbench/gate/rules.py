"""Rules of the gate: what is watched, which way is worse, and how much matters. Written in TOML."""

from __future__ import annotations

import fnmatch
import tomllib
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from thbench.errors import UsageError
from thbench.types import Document

if TYPE_CHECKING:
    from pathlib import Path

COSTS = ("time/", "memory/", "flops")
"""How names of costs begin: `time/MEASURE` and `time/cold/MEASURE` with the measures of a cost record, `memory/KIND`
with `allocated`, `reserved`, `device` or `host`, and `flops`. Everything else is a metric of a leaderboard."""

OUTPUTS = "output/"
"""How names of distances between the two runs' own videos begin; see `thbench.gate.outputs`."""

RuleDirection = Literal["higher", "lower", "closer-to-real", "same"]
"""`same`: a change either way is a regression."""


class Rule(Document):
    """What must not get worse, and by how much."""

    metric: str = Field(min_length=1)
    """Name of a metric or cost, or a glob: `lip-audio-corr`, `m-lmd/*`, `time/frame`, `memory/allocated`, `flops`; or
    `output/rmse`, how far the candidate's videos lie from the baseline's, in levels of 255."""
    smallest: float = Field(gt=0)
    """Smallest loss that matters; smaller ones are never a regression, however certain."""
    relative: bool = False
    """Whether `smallest` and `window` are shares of the baseline's value (closer-to-real: of the real value). Costs
    always are."""
    direction: RuleDirection | None = None
    """Which way is better; None takes the metric's own. Costs are better when lower."""
    window: float | None = Field(default=None, gt=0)
    """Gain beyond which the candidate is too good: its protocol may have changed, and a person has to look."""
    may_lose: float = Field(default=0.1, ge=0, le=1)
    """Share of the videos that may lose their value (no face found, too short), less those that gained one. Beyond it,
    the gate is not green, and red if that is no bad luck. A video that fails altogether is always a regression."""
    variants: str = "*"
    """Glob of the variants it is about."""
    optional: bool = False
    """Whether it is passed over where neither run has measured it. Measured in one run alone, it can never pass."""

    @property
    def is_cost(self) -> bool:
        """Whether it is about a cost record and not about a leaderboard."""
        return self.metric.startswith(COSTS)

    @property
    def is_output(self) -> bool:
        """Whether it is about the videos themselves."""
        return self.metric.startswith(OUTPUTS)

    @property
    def is_relative(self) -> bool:
        """Whether limits are shares."""
        return self.relative or self.is_cost

    @property
    def is_glob(self) -> bool:
        """Whether it names several metrics."""
        return any(c in self.metric for c in "*?[")

    def covers(self, metric: str, variant: str) -> bool:
        """Whether it is about this metric of this variant."""
        return fnmatch.fnmatchcase(metric, self.metric) and fnmatch.fnmatchcase(variant, self.variants)


class Rules(Document):
    """A rules file."""

    rule: tuple[Rule, ...] = Field(min_length=1)
    """`[[rule]]` tables, in order."""


DEFAULT_TOML = """\
# What the gate watches without --rules: a start. Limits belong to the project; write your own.

[[rule]]
metric = "time/end-to-end"
smallest = 0.05          # 5 % slower matters
optional = true          # passed over where nobody measured time

[[rule]]
metric = "time/frame"
smallest = 0.05
optional = true

[[rule]]
metric = "time/processor"  # holds on a busy machine, but sees no waiting and no GPU
smallest = 0.05
optional = true

[[rule]]
metric = "memory/allocated"
smallest = 0.05
optional = true

[[rule]]
metric = "psnr/pooled"
smallest = 0.2           # dB
window = 3.0             # 3 dB better is another protocol, or a leak of the reference
optional = true

[[rule]]
metric = "ssim"
smallest = 0.01
window = 0.1
optional = true

[[rule]]
metric = "m-lmd/interocular"
smallest = 0.05
relative = true
window = 0.5
optional = true

[[rule]]
metric = "lip-audio-corr"
smallest = 0.05
window = 0.3
optional = true

[[rule]]
metric = "lip-audio-offset"  # ms
smallest = 40            # one frame
optional = true

[[rule]]
metric = "av-offset/*"   # frames
smallest = 1
optional = true

[[rule]]
metric = "lse-c/*"       # a sound that comes late changes the offset, and not this
smallest = 0.3
window = 2.0
optional = true

[[rule]]
metric = "csim/*"
smallest = 0.02
window = 0.2
optional = true

[[rule]]
metric = "fvd/*"
smallest = 0.05
relative = true
window = 0.3
optional = true

[[rule]]
metric = "duration-error"
smallest = 0.02          # s
direction = "same"
optional = true

# For a change that is to leave the videos as they are, whatever metrics say of them (levels of 255; equal code has 0):
# [[rule]]
# metric = "output/rmse"
# smallest = 0.5
"""
"""The default rules, also what `thbench gate --print-rules` prints."""


def default_rules() -> Rules:
    """The rules that hold without a file."""
    return parse_rules(DEFAULT_TOML, "the default rules")


def read_rules(path: Path) -> Rules:
    """Read a rules file.

    Raises:
        UsageError: It is absent or not a rules file; the message names rule and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the rules {path} ({error}); thbench gate --print-rules shows some") from error
    return parse_rules(text, str(path))


def parse_rules(text: str, where: str) -> Rules:
    """Read rules from TOML.

    Raises:
        UsageError: They are not rules; the message names rule and field.
    """
    try:
        return Rules.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{where}, field {place!r}: {first['msg']} (got {first['input']!r}); a file is a list of [[rule]] tables "
            f"with the fields {', '.join(Rule.model_fields)}"
        ) from error
