"""What each clip of a split is: who says what, how and where. Decided by the split and the clip's number alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.data.synth_heads.behaviour import INTENT_TEXT, INTENTS
from thbench.data.synth_heads.emotion import EMOTIONS
from thbench.data.synth_heads.person import HAIR_COLOURS, SKIN_TONES, stream
from thbench.data.synth_heads.speech.sentences import SPLITS, Split, sentence_of_split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.data.synth_heads.person import Person

VERSION = 1
"""Raised by any change that alters a frame, a sample or a number of the truth."""
_BASE: Mapping[Split, int] = {"train": 0, "validation": 1_000_000, "test": 2_000_000}
PEOPLE: Mapping[Split, int] = {"train": 256, "validation": 24, "test": 24}
"""Identities of each split; clips go round them."""
CLIPS: Mapping[Split, int] = {"train": 2048, "validation": 96, "test": 48}
"""Clips of each split unless somebody asks for another number; a smaller number is a prefix of a larger one."""
_OTHER_LANGUAGES = ("de", "fr", "es")
_LETTERS_PER_SECOND = (7.5, 12.8)
_LANGUAGE_NAMES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish"}


@dataclass(frozen=True, slots=True)
class Plan:
    """One clip before it is made."""

    split: Split
    index: int
    """Number within the split."""
    person: int
    """Seed of the person."""
    seed: int
    """Seed of everything that differs from clip to clip: scene, sentence, movements."""
    language: str
    """Key of `speech.sentences.LANGUAGES`."""
    text: str
    emotion: str
    level: int
    intent: str

    @property
    def id(self) -> str:
        """Name of the clip, unique over all splits."""
        return f"{self.split}_{self.index:05d}"

    @property
    def identity(self) -> str:
        """Name of the person, unique over all splits."""
        return identity_name(self.person)


def identity_name(person: int) -> str:
    """Name of the person with a seed."""
    return f"p{person:07d}"


def plan(split: Split, index: int, seconds: float = 4.0) -> Plan:
    """Decide one clip.

    Args:
        split: Which split.
        index: Number within the split, from 0.
        seconds: Length of the clip; decides how long a text fits.
    """
    people = PEOPLE[split]
    turn, who = divmod(index, people)
    seed = _BASE[split] + index
    emotion = EMOTIONS[(5 * who + 3 * turn) % len(EMOTIONS)]
    language = "en" if index % 6 else _OTHER_LANGUAGES[index // 6 % len(_OTHER_LANGUAGES)]
    return Plan(
        split=split,
        index=index,
        person=_BASE[split] + who,
        seed=seed,
        language=language,
        text=_text(seed, split, language, seconds),
        emotion=emotion,
        level=1 if emotion == "neutral" else 1 + (who // 8 + turn) % 3,
        intent=INTENTS[(who + 2 * turn) % len(INTENTS)],
    )


def _text(seed: int, split: Split, language: str, seconds: float) -> str:
    """Sentences of the split that together fill most of the clip."""
    rng = stream(0x7E7, seed)
    spoken = max(seconds - 0.4, 0.5)
    least, most = (round(rate * spoken) for rate in _LETTERS_PER_SECOND)
    text = sentence_of_split(rng, split, language, (min(least, 34), max(most, 40)))
    while len(text) < least:
        room = most - len(text)
        text += " " + sentence_of_split(rng, split, language, (20, max(room, 48)))
    return text


def describe(who: Person, clip: Plan) -> str:
    """The clip in words, as a text-driven method would be asked for it."""
    noun = "woman" if who.feminine > 0.6 else "man" if who.feminine < 0.4 else "person"
    age = "young" if who.look.age < 0.3 else "middle-aged" if who.look.age < 0.6 else "older"
    features = [f"{_tone(who)} skin", "no hair" if who.hair == "bald" else f"{_hair_colour(who)} hair ({who.hair})"]
    features += ["a beard"] if who.look.beard else []
    features += [("round", "rectangular")[who.glasses - 1] + " glasses"] if who.glasses else []
    mood = (
        "a neutral face" if clip.emotion == "neutral" else f"a {_LEVELS[clip.level]} {_MOODS[clip.emotion]} expression"
    )
    article = "An" if age[0] in "aeio" else "A"
    return (
        f"{article} {age} {noun} with {', '.join(features[:-1])} and {features[-1]} speaks "
        f"{_LANGUAGE_NAMES[clip.language]} with {mood} and {INTENT_TEXT[clip.intent]}."
    )


_LEVELS = {1: "slightly", 2: "clearly", 3: "very"}
_MOODS = {
    "angry": "angry", "contempt": "contemptuous", "disgusted": "disgusted", "fear": "fearful", "happy": "happy",
    "sad": "sad", "surprised": "surprised",
}  # fmt: skip
_TONES = ("very fair", "fair", "light", "olive", "brown", "dark brown", "very dark")


def _tone(who: Person) -> str:
    return _TONES[_nearest(who.look.skin, SKIN_TONES)]


def _hair_colour(who: Person) -> str:
    return tuple(HAIR_COLOURS)[_nearest(who.look.hair, tuple(HAIR_COLOURS.values()))]


def _nearest(colour: tuple[float, ...], known: tuple[tuple[float, ...], ...]) -> int:
    distance = [sum((a - b) ** 2 for a, b in zip(colour, other, strict=True)) for other in known]
    return distance.index(min(distance))


__all__ = ["CLIPS", "PEOPLE", "SPLITS", "VERSION", "Plan", "Split", "describe", "identity_name", "plan"]
