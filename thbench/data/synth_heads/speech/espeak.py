"""Speech with exact phoneme times from espeak-ng."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thbench.errors import MissingExtraError, UsageError
from thbench.types import Audio

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16000
"""Samples per second of all speech here."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How something is said."""

    voice: str
    """Voice of espeak-ng: language, then `+` and a variant."""
    rate: int
    """Words per minute."""
    pitch: int
    """0 to 99."""
    range: int
    """Liveliness of the pitch, 0 to 99."""


class Phoneme(NamedTuple):
    """A speech sound and when it is made."""

    ipa: str
    """IPA letters with stress and length marks; empty for a pause."""
    start: float
    """Seconds."""
    end: float
    """Seconds."""


class Utterance(NamedTuple):
    """What was said."""

    audio: Audio
    """At `RATE`."""
    phonemes: tuple[Phoneme, ...]
    """In order, without gaps, from the first sound to the last."""


def say(text: str, voice: Voice) -> Utterance:
    """Speak a text. Equal arguments give equal samples.

    Args:
        text: What to say.
        voice: How to say it.

    Raises:
        MissingExtraError: `espeakng-loader` or `soxr` is not installed.
        UsageError: espeak-ng refuses the voice.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise MissingExtraError("espeakng-loader", "synth", "making speech")
    try:
        import soxr
    except ModuleNotFoundError as error:
        raise MissingExtraError("soxr", "eval", "making speech") from error
    header, samples = _ask({"text": text, **asdict(voice)})
    rate = int(header["rate"])
    sound = soxr.resample(samples.astype(np.float32) / 32768.0, rate, RATE, quality="VHQ")
    return Utterance(
        Audio(np.asarray(sound, dtype=np.float32), RATE), _phonemes(header["phonemes"], len(samples), rate)
    )


def _ask(request: dict[str, object]) -> tuple[dict[str, Any], NDArray[np.int16]]:
    program = Path(__file__).with_name("espeak_process.py")
    # -P: the program's own folder is not searched for modules.
    answer = subprocess.run(
        [sys.executable, "-P", str(program)], input=json.dumps(request).encode(), capture_output=True, check=False
    )
    line, _, sound = answer.stdout.partition(b"\n")
    header = json.loads(line) if line else {"error": answer.stderr.decode(errors="replace").strip()[-300:]}
    if "error" in header:
        raise UsageError(f"espeak-ng cannot say {request['text']!r}: {header['error']}; choose another voice or text")
    return header, np.frombuffer(sound, dtype=np.int16)


def _phonemes(events: list[tuple[str, int]], samples: int, rate: int) -> tuple[Phoneme, ...]:
    """Turn the start of each sound into intervals; switches of language such as `(en)` are no sounds."""
    sounds = [(ipa, start) for ipa, start in events if not ipa.startswith("(")]
    starts = [start for _, start in sounds] + [samples]
    spans = [Phoneme(ipa, a / rate, b / rate) for (ipa, a), b in zip(sounds, starts[1:], strict=True) if b > a]
    while spans and not spans[-1].ipa:
        spans.pop()
    return tuple(spans)
