"""The degradations: what is changed, at which doses, in which material. Data; the changes are pure functions elsewhere.

Doses grow with the damage, so that "rises" and "falls" mean the same everywhere; only the scales of head and mouth run
through the clip's own value. Doses that mean the same change of the same clip share one video.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from thbench.spec import load
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thbench.validate.material import Material, Video

Kind = Literal["acted", "sound", "long"]
"""Material: clips drawn afresh from their truth; stored clips, for changes of sound alone; one long video of many."""


class Variant(NamedTuple):
    """One change of a clip."""

    change: str
    """Name in `CHANGES`; empty for the clip as it is."""
    amount: float
    """Its only parameter."""


UNCHANGED = Variant("", 0.0)
"""The clip as it is."""


class Change(NamedTuple):
    """A pure function of material and amount."""

    function: str
    """`module:callable`, called as `callable(material, amount)`; returns a `Video`."""
    neutral: float
    """The amount that changes nothing."""


def _change(path: str, neutral: float = 0.0) -> Change:
    return Change(f"thbench.validate.{path}", neutral)


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "sound-delay": _change("sound:sound_delay"),
        "wrong-sound": _change("sound:wrong_sound"),
        "blur": _change("picture:blur"),
        "noise": _change("picture:noise"),
        "jpeg": _change("picture:jpeg"),
        "colour": _change("picture:colour"),
        "repeats": _change("timing:repeats"),
        "drops": _change("timing:drops"),
        "jitter": _change("timing:jitter"),
        "wobble": _change("timing:wobble"),
        "pose-scale": _change("acting:pose_scale", 1.0),
        "mouth-scale": _change("acting:mouth_scale", 1.0),
        "smoothing": _change("acting:smoothing"),
        "blink-removal": _change("acting:blink_removal"),
        "slow-blinks": _change("acting:slow_blinks", 1.0),
        "face-morph": _change("acting:face_morph"),
    }
)
"""Name to function."""


class Degradation(Document):
    """Graded damage of known order."""

    name: str
    title: str
    """A few words for people."""
    unit: str
    """Of the doses."""
    change: str
    """Name in `CHANGES`."""
    doses: tuple[float, ...]
    """In rising order."""
    amounts: tuple[float, ...]
    """What each dose means for the change."""
    kinds: tuple[Kind, ...] = ("acted",)
    """Materials in which it is tried."""

    def variants(self) -> tuple[Variant, ...]:
        """The change behind each dose."""
        neutral = CHANGES[self.change].neutral
        return tuple(UNCHANGED if a == neutral else Variant(self.change, a) for a in self.amounts)

    @property
    def origin(self) -> int:
        """Index of the dose that changes nothing."""
        return self.amounts.index(CHANGES[self.change].neutral)


def apply(variant: Variant, material: Material) -> Video:
    """Make one variant of a clip."""
    if variant == UNCHANGED:
        return material.video
    function: Callable[[Material, float], Video] = load(CHANGES[variant.change].function, purpose=variant.change)
    return function(material, variant.amount)


def _graded(name: str, title: str, unit: str, *doses: float, kinds: tuple[Kind, ...] = ("acted",)) -> Degradation:
    return Degradation(name=name, title=title, unit=unit, change=name, doses=doses, amounts=doses, kinds=kinds)


def _away(name: str, title: str, change: str, *scales: float) -> Degradation:
    doses = tuple(round(1 - s, 6) for s in scales)
    return Degradation(name=name, title=title, unit="1 - scale", change=change, doses=doses, amounts=scales)


_EVERYWHERE: tuple[Kind, ...] = ("acted", "sound")

DEGRADATIONS: tuple[Degradation, ...] = (
    _graded("sound-delay", "Sound late", "frames", 0, 2, 4, 6, 8, 10, 12, kinds=_EVERYWHERE),
    _graded("wrong-sound", "Sound of another clip", "share", 0, 0.25, 0.5, 0.75, 1, kinds=_EVERYWHERE),
    _graded("blur", "Blur", "px@256", 0, 1, 2, 4, 8),
    _graded("noise", "Noise", "levels", 0, 4, 8, 16, 32),
    _graded("jpeg", "JPEG", "100 - quality", 0, 20, 50, 70, 90),
    _graded("colour", "Tint at equal luma", "levels", 0, 5, 10, 15, 20),
    _graded("repeats", "Frames held", "share", 0, 0.15, 0.3, 0.45, 0.6),
    _graded("drops", "Frames dropped, picture fast", "share", 0, 0.1, 0.2, 0.3, 0.4),
    _graded("jitter", "Frame jitter", "px@256", 0, 0.25, 0.5, 1, 2),
    _graded("wobble", "Landmark jitter", "px@256", 0, 0.25, 0.5, 1, 2),
    _graded("pose-scale", "Head motion", "scale", 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5),
    Degradation(
        name="pose-gain",
        title="Head motion, never still",
        unit="scale",
        change="pose-scale",
        doses=(0.5, 0.75, 1, 1.25, 1.5),
        amounts=(0.5, 0.75, 1, 1.25, 1.5),
    ),
    _away("pose-error", "Head motion lost", "pose-scale", 1, 0.75, 0.5, 0.25, 0),
    Degradation(
        name="mouth-gain",
        title="Mouth amplitude, never still",
        unit="scale",
        change="mouth-scale",
        doses=(0.5, 0.75, 1, 1.25),
        amounts=(0.5, 0.75, 1, 1.25),
    ),
    _away("mouth-error", "Mouth amplitude lost", "mouth-scale", 1, 0.75, 0.5, 0.25, 0),
    _graded("smoothing", "Movements smoothed", "s", 0, 0.04, 0.08, 0.16, 0.32),
    _graded("blink-removal", "Blinks removed", "share", 0, 1 / 3, 2 / 3, 1),
    Degradation(
        name="slow-blinks",
        title="Blinks longer",
        unit="factor",
        change="slow-blinks",
        doses=(1, 1.3, 1.6, 2),
        amounts=(1, 1.3, 1.6, 2),
    ),
    _graded("face-morph", "Shape of another face", "share", 0, 0.25, 0.5, 0.75, 1),
    Degradation(
        name="drift",
        title="Sound falls behind",
        unit="ms/s",
        change="drops",
        doses=(0, 5, 10, 20, 30),
        amounts=(0, 0.005, 0.01, 0.02, 0.03),
        kinds=("long",),
    ),
    Degradation(
        name="constant-delay",
        title="Sound late throughout",
        unit="frames",
        change="sound-delay",
        doses=(0, 4, 8, 12),
        amounts=(0, 4, 8, 12),
        kinds=("long",),
    ),
)
"""All of them, in the order of tables."""
BY_NAME: Mapping[str, Degradation] = MappingProxyType({d.name: d for d in DEGRADATIONS})
