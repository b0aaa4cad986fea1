"""The words of thbench: Clip, Request, Generation, Record.

`Clip`, `Audio`, `Request` and `Generation` live in memory and are frozen dataclasses. `Record` is written to disk and
is a frozen pydantic model that refuses unknown fields and keeps NaN and infinities through JSON (as the strings "NaN",
"Infinity" and "-Infinity", since JSON itself has none).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - dataclass fields are read at run time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUND_TRUTH = "ground-truth"
"""Name of the row that holds the reference videos, scored by the same pass as everything else."""


class Document(BaseModel):
    """Base of everything that is read from or written to a file: frozen, strict about names, honest about NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Clip:
    """A reference video with its audio."""

    id: str
    """Unique within its dataset; the file name without its ending."""
    identity: str
    """Who speaks. Intervals are bootstrapped over identities, so clips of one person share one."""
    path: Path
    """The video file."""
    fps: float | None = None
    """Frames per second to evaluate at; None takes the suite's."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono sound in memory."""

    samples: NDArray[np.float32]
    """Shape (samples,), range [-1, 1]."""
    rate: int
    """Samples per second."""

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Request:
    """All that a method is given."""

    portrait: NDArray[np.uint8]
    """Shape (height, width, 3), RGB: first frame of the reference."""
    audio: Audio
    """The driving speech, 16 kHz."""
    fps: float
    """Frames per second to generate."""
    frames: int
    """How many frames to generate; at least 1."""
    seed: int = 0
    """Same seed, same frames."""
    controls: Mapping[str, Any] = field(default_factory=dict)
    """Method-specific settings, by the names in `MethodSpec.controls`."""
    reference: Path | None = None
    """The reference video; given only to methods whose spec asks for it (`inputs`)."""
    other_audio: Audio | None = None
    """Another clip's speech; given only to methods whose spec asks for it (`inputs`)."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a method returns."""

    frames: Iterable[NDArray[np.uint8]] | Path
    """Frames (height, width, 3) uint8 RGB in order, as a sequence or a stream; or a finished video file."""
    audio: Audio | None = None
    """Sound that goes with the frames; None means the request's."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall seconds by stage, complete once `frames` is exhausted."""


OnStep = Callable[[str, int, int], None]
"""Progress and timing hook of a method: stage, step index, number of steps."""


class Method(Protocol):
    """Anything that turns a Request into a Generation."""

    def generate(self, request: Request, on_step: OnStep | None = None) -> Generation:
        """Generate `request.frames` frames at `request.fps`.

        Raises:
            MethodError: The request asks for what this method cannot do.
        """
        ...


class Record(Document):
    """What is known of one (variant, clip, seed)."""

    schema_version: Literal[1] = 1
    """Version of this layout; old versions stay readable."""
    key: str
    """Content hash of the job; resuming skips keys that have a record."""
    variant: str
    """Method + preset + accelerations, e.g. `hallo@mini+lightningcp`; for `thbench eval` the folder's name."""
    clip: str
    """Clip id."""
    identity: str
    """Identity of the clip."""
    seed: int = 0
    """Seed of the generation."""
    status: Literal["ok", "failed"]
    """`failed` keeps the clip in every denominator."""
    error: str | None = None
    """Why it failed, one sentence."""
    recipe: str = ""
    """Key into `RunInfo.recipes`: which metrics under which protocols, and which decoder, resampler and landmarker."""
    values: dict[str, float] = {}
    """Metric name to value. Infinities are measurements (PSNR of equal frames); what has no value is in `missing`."""
    missing: dict[str, str] = {}
    """Metric name to the reason why it has no value. Every metric of the recipe is in `values` or here, but for
    those of sets of videos, whose features are in `features`."""
    features: dict[str, int] = {}
    """Extractor to the number of rows in `features/<extractor>/<key>.npz` of the run folder."""
    counts: dict[str, int] = {}
    """What was seen: `frames`, `faces_missing`, `reference_frames`, ..."""
    warnings: tuple[str, ...] = ()
    """What a reader of the number should know (untagged colour, lengths that differ, ...)."""
    seconds: dict[str, float] = {}
    """Wall seconds by stage: generation stages as reported, and `evaluate`."""
    video: str | None = None
    """Generated video relative to the run folder, or as given to `thbench eval`."""
    attempt: int = 0
    """Which start of the run wrote it; times are never pooled across attempts without it."""
    created: str = ""
    """When it was written, ISO 8601, UTC."""
