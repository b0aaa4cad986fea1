"""Motion and video without end: what is carried from chunk to chunk and from window to window never grows.

A chunk is generated after the noised recent chunks and the clean older ones. Older ones are kept as keys and values; as
the noise of a recent chunk changes while it ages, recent ones are kept as motion, and enter anew before each chunk. The
renderer's windows share some frames; each window is denoised from the portrait and the motion alone, and fades in over
the frames that it shares, so that no error of a picture can be handed on.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.xactor.forcing import Forced, LevelDDIM, following, noised, opening

from thbench.accel import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from thbench_methods.common.seeds import Noise
    from thbench_methods.xactor.actor import ActorTransformer, Condition, History
    from thbench_methods.xactor.config import Acting
    from torch import Tensor

    from thbench.accel.moves import Step


class Recent(NamedTuple):
    """A chunk whose noise still falls."""

    motion: Tensor
    """Shape (1, L, m), clean."""
    condition: Condition
    """Of this chunk, without what lies before it."""


@dataclass(frozen=True, slots=True)
class Carried:
    """All that is known of the past when a chunk is begun."""

    number: int
    """Chunks that are done."""
    settled: History
    """Of the chunks that count as clean."""
    recent: tuple[Recent, ...]
    """The others, oldest first."""
    flying: Tensor
    """Shape (1, n L, m): chunks that are partly denoised."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is acted, chunk by chunk."""

    network: ActorTransformer
    acting: Acting
    reference: Tensor
    """Shape (1, m): motion of the portrait, normalised."""
    hear: Callable[[int, int], Tensor]
    """First frame and number of frames to what is heard from `reach` frames before to as many behind, (frames + 2
    reach, layers, channels)."""
    noise: Noise
    context: int
    """Chunks that a chunk sees, itself included."""

    def begin(self) -> Carried:
        """Return what is known before the first chunk."""
        starts = [self._start(number) for number in range(self.acting.in_flight - 1)]
        empty = self.reference.new_empty(1, 0, self.reference.shape[1])
        return Carried(0, (), (), torch.cat([empty, *starts], dim=1))

    @torch.inference_mode()
    def act(self, carried: Carried, on_step: Callable[[Step], None] | None = None) -> tuple[Tensor, Carried]:
        """Return the next chunk of motion (L, m), and what is known after it."""
        acting, length, number = self.acting, self.network.sizes.chunk, carried.number
        rows = (following if number else opening)(acting.steps, acting.in_flight)
        start = torch.cat((carried.flying, self._start(number + acting.in_flight - 1)), dim=1)
        condition = replace(self._condition(number, acting.in_flight), history=self._history(carried))
        latents = sample(
            Forced(self.network, rows, acting.guidance), LevelDDIM(rows), start, condition, on_step=on_step
        )
        motion = latents[:, :length].clone()
        recent = (*carried.recent, Recent(motion, self._condition(number, 1)))
        settled = carried.settled
        while len(recent) > len(acting.history):
            settled = self._after(recent[0], 0, settled, number)
            recent = recent[1:]
        return motion[0], Carried(number + 1, settled, recent, latents[:, length:].clone())

    def _history(self, carried: Carried) -> History:
        """Return what a chunk sees of the past, the recent chunks noised by their age."""
        history = carried.settled
        for place, recent in enumerate(carried.recent):
            age = len(carried.recent) - 1 - place
            history = self._after(recent, self.acting.history[age], history, carried.number - 1 - age)
        return history

    def _after(self, recent: Recent, level: int, history: History, number: int) -> History:
        """Return the history with one more chunk at a noise level."""
        levels = torch.tensor([[level]], device=recent.motion.device)
        motion = recent.motion
        if level:
            drawn = self.noise.normal(tuple(motion.shape), "history", number, level).to(motion)
            motion = noised(motion, levels, drawn)
        batch = len(recent.condition.audio)
        condition = replace(recent.condition, history=history)
        return self.network.remember(motion.expand(batch, -1, -1), levels.expand(batch, -1), condition)

    def _condition(self, number: int, chunks: int) -> Condition:
        """Return what some chunks are generated from; [silent | heard] under guidance."""
        length, guided = self.network.sizes.chunk, self.acting.guidance != 1
        heard = self.hear(number * length, chunks * length)[None]
        silent = torch.tensor([True, False], device=heard.device) if guided else None
        batch = 2 if guided else 1
        reference = self.reference.expand(batch, -1)
        return self.network.condition(reference, heard.expand(batch, -1, -1, -1), silent, self.context)

    def _start(self, number: int) -> Tensor:
        """Return the noise that a chunk starts from."""
        shape = (1, self.network.sizes.chunk, self.reference.shape[1])
        return self.noise.normal(shape, "chunk", number).to(self.reference)


def acted(
    scene: Scene,
    on_step: Callable[[Step], None] | None = None,
    timed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Tensor]:
    """Yield motion (m,) frame by frame, without end.

    Args:
        scene: What is acted.
        on_step: Told of each denoising step.
        timed: Entered around each chunk.
    """
    carried = scene.begin()
    while True:
        with timed():
            motion, carried = scene.act(carried, on_step)
        yield from motion


def windowed(
    motion: Iterator[Tensor],
    frames: int,
    window: int,
    overlap: int,
    render: Callable[[int, Tensor], Tensor],
) -> Iterator[Tensor]:
    """Yield a video, window by window; a window is rendered when its first new frame is read.

    Windows share `overlap` frames, over which the later one fades in, in equal parts. Behind the end of the video the
    last motion is held.

    Args:
        motion: Of each frame, (m,).
        frames: Of the video, at least 1.
        window: Frames that are rendered at once.
        overlap: Frames that two windows share, below half of `window`.
        render: Number of the first frame and motion (window, m) to the latents (window, ...) of as many frames.

    Yields:
        Latents (n, ...) of the frames that are done: together `frames` of them.
    """
    stride, done = window - overlap, 0
    held: list[Tensor] = []
    tail: Tensor | None = None
    while done < frames:
        while len(held) < window:
            held.append(next(motion) if done + len(held) < frames else held[-1])
        latents = render(done, torch.stack(held))
        if tail is not None:
            share = torch.arange(1, overlap + 1).to(latents) / (overlap + 1)
            faded = torch.lerp(tail, latents[:overlap], share.view(-1, *[1] * (latents.ndim - 1)))
            latents = torch.cat((faded, latents[overlap:]))
        last = done + window >= frames
        count = frames - done if last else stride
        yield latents[:count]
        tail, held, done = latents[stride:].clone(), held[stride:], done + count
