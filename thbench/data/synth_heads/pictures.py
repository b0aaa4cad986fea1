"""A made split as arrays for training: decoded once into memory maps beside the clips.

The maps lie in `decoded/` of the split's folder and hold the first clips of the manifest; asking for more decodes only
what is missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.plan import VERSION
from thbench.errors import UsageError
from thbench.media import SAMPLE_RATE, read_audio, read_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from thbench.data.synth_heads.truth import Truth
    from thbench.types import Clip

FOLDER = "decoded"
_INDEX = "clips.json"


@dataclass(frozen=True)
class Pictures:
    """The first clips of a split. All arrays begin with (clips, frames)."""

    clips: tuple[Clip, ...]
    """In the order of the arrays."""
    frames: NDArray[np.uint8]
    """Shape (clips, frames, size, size, 3), RGB, as decoded from the files."""
    sound: NDArray[np.float32]
    """Shape (clips, samples), 16 kHz, [-1, 1]."""
    pose: NDArray[np.float32]
    """Yaw, pitch, roll; degrees."""
    gaze: NDArray[np.float32]
    """Yaw and pitch of the eyes; degrees."""
    expression: NDArray[np.float32]
    """Coefficients in the order of `expression.EXPRESSIONS`, [0, 1]."""
    visemes: NDArray[np.float32]
    """Shares in the order of `speech.visemes.VISEMES`."""
    landmarks68: NDArray[np.float32]
    """Shape (clips, frames, 68, 2); pixels."""
    mask: NDArray[np.bool_]
    """Face mask, shape (clips, frames, 64, 64)."""
    opening: NDArray[np.float32]
    """Distance of the lips' inner edges; centimetres."""
    person: NDArray[np.int64]
    """Shape (clips,): 0 up to the number of people, in the order in which they first appear."""
    emotion: tuple[str, ...]
    """Of each clip."""
    level: NDArray[np.int64]
    """Shape (clips,): of the emotion, 1 to 3."""
    intent: tuple[str, ...]
    """Of each clip."""
    prompt: tuple[str, ...]
    """Each clip in words."""

    def __len__(self) -> int:
        return len(self.clips)


def open_pictures(
    folder: Path, count: int | None = None, on_clip: Callable[[int, int], None] | None = None
) -> Pictures:
    """Open a split as arrays; what was never decoded is decoded now.

    Args:
        folder: Made by `thbench data make synth-heads`.
        count: How many clips, from the first; None takes all that are there.
        on_clip: Called with how many are decoded and how many there are.

    Raises:
        UsageError: The folder holds no split, or fewer clips than asked for.
    """
    clips = clips_of(folder)
    if not clips or (count is not None and len(clips) < count):
        raise UsageError(
            f"{folder} holds {len(clips)} clips of synth-heads, {count or 'at least one'} are needed;"
            " make them with `thbench data make synth-heads`"
        )
    clips = clips[:count]
    place = folder / FOLDER
    keep(place, clips, _decoded, on_clip)
    return _opened(place, clips)


def keep(
    place: Path,
    clips: Sequence[Clip],
    arrays_of: Callable[[Clip], Mapping[str, NDArray[Any]]],
    on_clip: Callable[[int, int], None] | None = None,
) -> None:
    """Write the arrays of clips one after the other into a raw file per name; those that lie there are kept.

    Args:
        place: Folder; made if absent. What it holds of other clips, or of an older generator, is written anew.
        clips: In the order of the files.
        arrays_of: A clip to its arrays by name; of one shape for all clips.
        on_clip: Called with how many are written and how many there are.
    """
    place.mkdir(exist_ok=True, parents=True)
    known, names = _known(place), [c.id for c in clips]
    if known[: len(names)] != names[: len(known)]:
        known = []
    for number in range(len(known), len(clips)):
        for name, array in arrays_of(clips[number]).items():
            path = place / f"{name}.bin"
            # Files have no head, so a torn end is simply written again.
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.seek(number * array.nbytes)
                file.write(np.ascontiguousarray(array).tobytes())
        known.append(names[number])
        if number % 16 == 15 or number == len(clips) - 1:
            _write_index(place, known)
        if on_clip:
            on_clip(number + 1, len(clips))


def kept(place: Path, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the arrays of one name that `keep` wrote, (clips, ...), as a map that cannot be written."""
    return np.memmap(place / f"{name}.bin", dtype=dtype, mode="r", shape=shape)


def _known(place: Path) -> list[str]:
    """Ids of the clips that are decoded."""
    path = place / _INDEX
    if not path.exists():
        return []
    index = json.loads(path.read_text(encoding="utf-8"))
    return list(index["clips"]) if index["version"] == VERSION else []


def _write_index(place: Path, names: list[str]) -> None:
    part = place / (_INDEX + ".part")
    part.write_text(json.dumps({"version": VERSION, "clips": names}), encoding="utf-8")
    part.replace(place / _INDEX)


def _decoded(clip: Clip) -> Mapping[str, NDArray[Any]]:
    truth = truth_of(clip)
    sound = np.zeros(round(len(truth) / truth.about.fps * SAMPLE_RATE), np.float32)
    heard = read_audio(clip.path).samples[: len(sound)]
    sound[: len(heard)] = heard
    frames = np.stack([f.rgb for f in read_frames(clip.path, threads=1)])
    if len(frames) != len(truth):
        raise UsageError(f"{clip.path} has {len(frames)} frames, its truth {len(truth)}; make the clip again")
    return {"frames": frames, "sound": sound, **_arrays(truth)}


def _arrays(truth: Truth) -> Mapping[str, NDArray[Any]]:
    return {
        "pose": truth.pose.astype(np.float32),
        "gaze": truth.gaze.astype(np.float32),
        "expression": truth.expression.astype(np.float32),
        "visemes": truth.visemes.astype(np.float32),
        "landmarks68": truth.landmarks68.astype(np.float32),
        "mask": truth.mask,
        "opening": truth.opening.astype(np.float32),
    }


def _opened(place: Path, clips: tuple[Clip, ...]) -> Pictures:
    abouts = [truth_of(c).about for c in clips]
    first = truth_of(clips[0])
    size, length, rate = first.about.size, len(first), first.about.fps
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        name: (array.shape, array.dtype.type) for name, array in _arrays(first).items()
    }
    shapes["frames"] = ((length, size, size, 3), np.uint8)
    shapes["sound"] = ((round(length / rate * SAMPLE_RATE),), np.float32)
    maps = {name: kept(place, name, dtype, (len(clips), *shape)) for name, (shape, dtype) in shapes.items()}
    people: dict[str, int] = {}
    for about in abouts:
        people.setdefault(about.identity, len(people))
    return Pictures(
        clips=clips,
        **maps,
        person=np.array([people[a.identity] for a in abouts]),
        emotion=tuple(a.emotion for a in abouts),
        level=np.array([a.level for a in abouts]),
        intent=tuple(a.intent for a in abouts),
        prompt=tuple(a.prompt for a in abouts),
    )
