"""What the site is made of: documents that are written beside its pages, so that every page can be made again.

`leaderboard.json` holds every number of the leaderboard. What belongs to single clips, to methods, to videos and to a
comparison of two runs has files of its own under `site/data/`, each with its own version of its layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from thbench.report.claims import Claim, Claims, Verdict
from thbench.report.figures import FigureIndex
from thbench.report.leaderboard import Leaderboard
from thbench.report.receipts import Receipts
from thbench.spec import Direction
from thbench.types import Document

__all__ = [
    "Cards",
    "Claim",
    "Claims",
    "ClipStatus",
    "ClipTable",
    "Comparison",
    "Curves",
    "Delta",
    "Media",
    "MethodCard",
    "Receipts",
    "Scene",
    "SiteData",
    "Track",
    "Verdict",
]

ClipStatus = Literal["ok", "failed", "not run"]
"""What became of one video."""


class ClipTable(Document):
    """The values of every clip of one variant; position i of each list is one (clip, seed)."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    variant: str
    """Row of the leaderboard."""
    clips: tuple[str, ...]
    """Clip ids."""
    identities: tuple[str, ...]
    """Who speaks."""
    seeds: tuple[int, ...]
    """Seeds of the generations."""
    outcomes: tuple[ClipStatus, ...]
    """What became of the videos."""
    values: Mapping[str, tuple[float | None, ...]]
    """Column id to values; None where there is none, with the position under its reason in `missing`."""
    missing: Mapping[str, Mapping[str, tuple[int, ...]]] = {}
    """Column id to reason to positions."""


class MethodCard(Document):
    """What is known of a method beside its numbers."""

    name: str
    """Registry name."""
    title: str
    """A few words for people."""
    kind: str
    """Family."""
    version: int
    """Raised by any change that alters the frames."""
    paper: str | None
    """Citation."""
    licence: str
    """Licence of the code."""
    presets: tuple[str, ...]
    """Configurations."""
    inputs: tuple[str, ...]
    """What it is given beyond portrait and audio."""
    controls: Mapping[str, str]
    """Control name to what it does."""


class Cards(Document):
    """The cards of all methods of a report."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    methods: Mapping[str, MethodCard]
    """Method name to card."""


class Curves(Document):
    """What a face does over time; one entry per frame, None where no face was found."""

    mouth: tuple[float | None, ...]
    """Gap of the inner lips over the distance of the outer eye corners."""
    yaw: tuple[float | None, ...]
    """Degrees."""
    pitch: tuple[float | None, ...]
    """Degrees."""
    roll: tuple[float | None, ...]
    """Degrees."""


class Track(Document):
    """One video of a scene."""

    key: str
    """Key of its record."""
    variant: str
    """Row of the leaderboard."""
    kind: str
    """Kind of the row."""
    video: str
    """File, relative to the folder of the report."""
    curves: Curves | None = None
    """What the face does; None where `lack` says why."""
    lack: str | None = None
    """Why there are no curves."""


class Scene(Document):
    """One clip, as every variant made it."""

    clip: str
    """Clip id."""
    identity: str
    """Who speaks."""
    seed: int
    """Seed of the generations."""
    fps: float
    """Frames per second at which curves were taken."""
    seconds: float
    """Length of the reference."""
    width: int
    """Pixels of the reference."""
    height: int
    """Pixels of the reference."""
    portrait: str | None
    """Picture of the first frame, relative to the folder of the report."""
    wave: tuple[float, ...]
    """Largest sample of each of equally long pieces of the reference's sound, in [0, 1]; empty without sound."""
    tracks: tuple[Track, ...]
    """In the order of the leaderboard."""


class Media(Document):
    """The videos that the site shows."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    scenes: tuple[Scene, ...] = ()
    """Clips."""
    notes: tuple[str, ...] = ()
    """What is not shown, and why."""


class Delta(Document):
    """One value in two runs."""

    variant: str
    """Row."""
    column: str
    """Column id in this run."""
    direction: Direction
    """Which way is better."""
    unit: str
    """Unit."""
    ours: float | None
    """Value in this run."""
    theirs: float | None
    """Value in the other run."""
    difference: float | None = None
    """Mean of ours - theirs over the clips that both have."""
    low: float | None = None
    """Lower end of its interval."""
    high: float | None = None
    """Upper end of its interval."""
    pairs: int = 0
    """Clips that entered."""
    unpaired: int = 0
    """Clips that only one of the runs has, or that are the same infinity in both."""
    note: str | None = None
    """Why there is no difference or no interval."""


class Comparison(Document):
    """This run beside another."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    ours: str
    """Name of this run."""
    theirs: str
    """Name of the other run."""
    level: float
    """Nominal coverage of the intervals."""
    deltas: tuple[Delta, ...]
    """Every variant and column that both runs have under the same protocol."""
    apart: tuple[str, ...] = ()
    """What cannot be compared, and why."""


class SiteData(Document):
    """All that the pages are made of."""

    leaderboard: Leaderboard
    """The numbers."""
    clips: Mapping[str, ClipTable] = {}
    """Variant to its clips."""
    cards: Cards = Cards(methods={})
    """What is known of the methods."""
    claims: Claims | None = None
    """What was claimed and tested."""
    receipts: Receipts | None = None
    """What accelerated variants have to show."""
    media: Media = Media()
    """Videos."""
    comparison: Comparison | None = None
    """This run beside another."""
    figures: FigureIndex | None = None
    """Figures beside the pages; None where none were drawn."""
    papers: bool = True
    """Whether the published tables are shown; they come with thbench."""
