"""DAWN's network run autoregressively: the rival of its claim that all frames at once are better and faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench_methods.common import Noise, Stages, read_controls, speech
from thbench_methods.dawn.pipeline import BATCH, NAME, Told
from thbench_methods.dawn.spec import CONTROLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from thbench_methods.dawn.pipeline import Dawn

    from thbench.types import Request


def autoregressive(method: Dawn, request: Request, block: int) -> Iterator[NDArray[np.uint8]]:
    """Generate a clip block by block, each from the last frame of the block before.

    It is the semi-autoregressive form of the paper's table 2: the last frame becomes the portrait, and pose and blinks
    are told as differences to its own. Sound, pose and blinks of the whole clip are those of `Dawn.generate`.

    Args:
        method: Loaded.
        request: At the frame rate of the networks.
        block: Frames of a block; 1 generates frame by frame.

    Yields:
        Frames (size, size, 3).
    """
    controls = read_controls(NAME, request.controls, CONTROLS)
    frames, fps = request.frames, method.config.fps
    sitter = method.read(request.portrait)
    audio = method.networks.hear(speech(request, frames, fps), frames, fps)
    told = method.tell(sitter.state, audio, Noise(request.seed), controls)
    for number, start in enumerate(range(0, frames, block)):
        part = Told(*(track[start : start + block] for track in (told.audio, told.pose, told.blink)))
        noise = Noise(request.seed + number)
        motion = method.move(sitter, part, noise, controls, Stages())
        for first in range(0, motion.shape[1], BATCH):
            painted = method.paint(sitter, motion[:, first : first + BATCH])
            yield from painted
        state = sitter.state._replace(pose=part.pose[-1].cpu(), blink=part.blink[-1].cpu())
        sitter = method.sit(painted[-1], state)
