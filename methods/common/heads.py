"""Heads of portraits and of videos that a user names, as the mini face regressor sees them; or a refusal.

For small presets, which know heads of synth-heads alone.
"""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from thbench_methods.common.portrait import portrait_tensor, to_frame_batch

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import PRESENT, SIDE, look
from thbench.errors import MethodError
from thbench.media import NoAudioError, read_audio, read_frames

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.backbones.mini.face import Seen


def seen_heads(method: str, frames: NDArray[np.uint8], what: str) -> Seen:
    """Look at frames (n, 128, 128, 3), at least one.

    Args:
        method: Name of the method, for errors.
        frames: As `read_video` gives them.
        what: What they are, for errors, e.g. `the portrait`.

    Raises:
        MethodError: One of them does not show a head as synth-heads does.
    """
    seen = look(loaded.face(), frames)
    strange = np.flatnonzero(seen.presence < PRESENT)
    if len(strange):
        which = what if len(frames) == 1 else f"frame {strange[0]} of {what}"
        raise MethodError(f"{method}@mini sees no head like those of synth-heads in {which}; take one of synth-heads")
    return seen


def read_video(method: str, path: Path, fps: float, most: int, words: Collection[str]) -> NDArray[np.uint8]:
    """Read the first frames of a video, stretched to 128 px as portraits are.

    Args:
        method: Method and control, for errors, e.g. `svp: head`.
        path: The file.
        fps: Frames per second to read.
        most: How many frames at most.
        words: What may be given in the place of a file, for errors.

    Returns:
        Shape (n, 128, 128, 3), at least one frame.

    Raises:
        MethodError: There is no such file, or it holds no frame.
        MediaError: It cannot be read as a video.
    """
    allowed = f"give {', '.join(map(repr, words))}, or the path of a video of a synth-heads-like head"
    if not path.is_file():
        raise MethodError(f"{method} is {str(path)!r}, which is no file; {allowed}")
    with contextlib.closing(read_frames(path, fps, threads=1)) as frames:
        pictures = [to_frame_batch(portrait_tensor(frame.rgb, SIDE))[0] for frame in islice(frames, most)]
    if not pictures:
        raise MethodError(f"{method} is {str(path)!r}, which holds no frame; {allowed}")
    return np.stack(pictures)


def read_sound(method: str, path: Path) -> NDArray[np.float32]:
    """Read the sound of a video, (samples,) at 16 kHz.

    Raises:
        MethodError: It has none.
        MediaError: It cannot be read.
    """
    try:
        samples = read_audio(path).samples
    except NoAudioError as error:
        raise MethodError(
            f"{method} is {str(path)!r}, which has no sound; give a video of somebody who speaks"
        ) from error
    if len(samples) == 0:
        raise MethodError(f"{method} is {str(path)!r}, whose sound is empty; give a video of somebody who speaks")
    return samples
