"""From a reference clip to a Request, and from a Generation to a video file."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.errors import MediaError, MethodError, did_you_mean
from thbench.media import (
    HiddenFramesError,
    NoAudioError,
    VideoWriter,
    probe,
    read_audio,
    read_frames,
    remux,
    write_video,
)
from thbench.types import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from thbench.spec import MethodSpec
    from thbench.types import Audio, Method

LOSSLESS_ENDING = ".mkv"
"""Ending of the files that metrics read."""
VIEW_ENDING = ".mp4"
"""Ending of the files that people look at."""


def request_of(
    spec: MethodSpec,
    reference: Path,
    *,
    fps: float,
    seed: int = 0,
    controls: Mapping[str, Any] | None = None,
    other: Path | None = None,
) -> Request:
    """Build what a method is given for one reference clip.

    The portrait is the first frame, the audio the clip's own sound, and the length that of the reference.

    Args:
        spec: The method's spec; it says which extra inputs and controls the method takes.
        reference: The reference video.
        fps: Frames per second to generate.
        seed: Seed of the generation.
        controls: Settings by the names in `spec.controls`.
        other: Another clip, for methods that take its sound.

    Raises:
        MethodError: A control that the method does not have.
        MediaError: The reference cannot be read or has no sound.
    """
    given = dict(controls or {})
    for name in given:
        if name not in spec.controls:
            raise MethodError(f"{spec.name} has no control {name!r}{did_you_mean(name, spec.controls)}")
    frames = read_frames(reference, fps)
    try:
        first = next(frames, None)
    finally:
        frames.close()
    if first is None:
        raise MediaError(f"{reference} holds no frame; give a reference with at least one frame")
    return Request(
        portrait=first.rgb,
        audio=read_audio(reference),
        fps=fps,
        frames=_instants(reference, fps),
        seed=seed,
        controls=given,
        reference=reference if "reference" in spec.inputs else None,
        other_audio=_other_audio(other) if "other_audio" in spec.inputs else None,
    )


def generate_video(
    method: Method, request: Request, folder: Path, name: str, *, on_progress: Callable[[int], None] | None = None
) -> tuple[Path, Mapping[str, float]]:
    """Generate and store, lossless for metrics and small for people.

    A generation that is a finished file is used where it lies; with other sound it is rewrapped without touching a
    frame.

    Returns:
        The video that metrics read, and wall seconds by stage (`generate-and-store` is the whole, beside the
        stages that the method names).

    Raises:
        MethodError: The method gave other frames than asked for.
    """
    start = time.perf_counter()
    generation = method.generate(request, _step_hook(on_progress))
    if isinstance(generation.frames, Path):
        if generation.audio is None:
            return generation.frames, {"generate-and-store": time.perf_counter() - start, **generation.seconds}
        folder.mkdir(parents=True, exist_ok=True)
        target = _with_sound(generation.frames, folder / name, generation.audio, request.fps)
        return target, {"generate-and-store": time.perf_counter() - start, **generation.seconds}
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}{LOSSLESS_ENDING}"
    sound = generation.audio or request.audio
    with (
        VideoWriter(target, request.fps, quality="lossless", audio=sound) as for_metrics,
        VideoWriter(folder / f"{name}{VIEW_ENDING}", request.fps, quality="view", audio=sound) as for_people,
    ):
        for frame in _checked(generation.frames, request, on_progress):
            for_metrics.write(frame)
            for_people.write(frame)
    return target, {"generate-and-store": time.perf_counter() - start, **generation.seconds}


def _instants(video: Path, fps: float) -> int:
    """Number of frames at `fps` over the length of a video; counted where the file does not say how long it is."""
    duration = probe(video).duration
    if duration is None:
        return max(sum(1 for _ in read_frames(video, fps)), 1)
    return max(round(duration * fps), 1)


def _with_sound(video: Path, stem: Path, audio: Audio, fps: float) -> Path:
    """The video with other sound: its packets copied, or its frames written again where a copy would show others."""
    try:
        return remux(video, stem, audio)
    except HiddenFramesError:
        target = stem.with_name(stem.name + LOSSLESS_ENDING)
        write_video(target, (frame.rgb for frame in read_frames(video, fps)), fps, quality="lossless", audio=audio)
        return target


def _checked(frames: Any, request: Request, on_progress: Callable[[int], None] | None) -> Iterator[NDArray[np.uint8]]:
    """Pass frames on, refusing wrong ones and a wrong number of them."""
    count = 0
    for frame in itertools.islice(frames, request.frames + 1):
        count += 1
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            what = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise MethodError(f"frame {count - 1} of the method is {what}; frames are uint8 arrays (height, width, 3)")
        if count > request.frames:
            break
        if on_progress:
            on_progress(0)
        yield frame
    if count != request.frames:
        more = "more than " if count > request.frames else ""
        raise MethodError(
            f"the method gave {more}{min(count, request.frames)} frames; the request asked for {request.frames}"
        )


def _step_hook(on_progress: Callable[[int], None] | None) -> Callable[[str, int, int], None] | None:
    if on_progress is None:
        return None
    return lambda stage, step, steps: on_progress(0)


def _other_audio(other: Path | None) -> Audio | None:
    if other is None:
        return None
    try:
        return read_audio(other)
    except NoAudioError:
        return None
