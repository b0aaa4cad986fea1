"""Networks run on batches of one size only, so that features do not depend on how frames were batched.

A convolution may round differently for another batch size (up to 1e-6 of the largest feature), but not for another
place in the batch or other neighbours. With one size throughout, and the last batch filled up, a frame has the same
features in any order, shard and call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

BATCH = 8
"""Images per batch: above this a CPU gains nothing, and memory stays small."""

PIXELS = BATCH * 256 * 256
"""Pixels per batch of networks that take frames as large as they are: their maps grow with the frame."""


def batch_for(height: int, width: int) -> int:
    """Return how many frames of a size to run at once: 8 up to 256x256, 2 at 512x512, 1 for larger ones.

    It depends on the frame alone, not on the memory that happens to be free, so that rounding does not either.
    """
    return max(1, min(BATCH, PIXELS // (height * width)))


class FixedBatches:
    """Collects inputs, runs a network whenever a batch is full, and ends with one row of features per input."""

    def __init__(self, network: Callable[[Tensor], Tensor], size: int = BATCH) -> None:
        self._network = network
        self._size = size
        self._waiting: list[Tensor] = []
        self._features: list[Tensor] = []
        self.count = 0
        """Inputs so far."""

    def add(self, inputs: Tensor) -> None:
        """Take in inputs (n, ...), n of any size; all calls give the same shape but for n."""
        self.count += len(inputs)
        self._waiting.extend(inputs.unbind(0))
        while len(self._waiting) >= self._size:
            batch, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
            self._features.append(self._run(torch.stack(batch)))

    def finish(self) -> Tensor:
        """Return the features (N, ...) of all inputs in the order in which they came, on the CPU.

        Raises:
            ValueError: There was no input, so the shape of a feature is not known.
        """
        if self._waiting:
            count = len(self._waiting)
            filled = self._waiting + self._waiting[-1:] * (self._size - count)
            self._features.append(self._run(torch.stack(filled))[:count])
            self._waiting = []
        if not self._features:
            raise ValueError("no input was given")
        return torch.cat(self._features)

    @torch.inference_mode()
    def _run(self, batch: Tensor) -> Tensor:
        return self._network(batch).cpu()


class Ticket:
    """The features of one input that waits for its batch."""

    def __init__(self, queue: BatchQueue) -> None:
        self._queue = queue
        self._features: Tensor | None = None

    def result(self) -> Tensor:
        """Return the features, on the CPU; runs the batch if it has not run yet."""
        if self._features is None:
            self._queue.flush()
        if self._features is None:
            raise RuntimeError("the batch of this input failed before")
        return self._features

    def fill(self, features: Tensor) -> None:
        """Take the features."""
        self._features = features


class BatchQueue:
    """Runs a network for several who each want some of the features, again in batches of one size only."""

    def __init__(self, network: Callable[[Tensor], Tensor], size: int = BATCH) -> None:
        self._network = network
        self._size = size
        self._waiting: list[tuple[Ticket, Tensor]] = []

    def submit(self, single: Tensor) -> Ticket:
        """Take in one input, without a batch axis."""
        ticket = Ticket(self)
        self._waiting.append((ticket, single))
        if len(self._waiting) == self._size:
            self.flush()
        return ticket

    def flush(self) -> None:
        """Run what waits, as one batch that is filled up with its last input."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            features = in_fixed_batches(self._network, torch.stack([single for _, single in waiting]), self._size)
            for (ticket, _), row in zip(waiting, features, strict=True):
                ticket.fill(row.clone())


def in_fixed_batches(network: Callable[[Tensor], Tensor], inputs: Tensor, size: int = BATCH) -> Tensor:
    """Return the features of inputs (N, ...), N at least 1, run in batches of exactly `size`."""
    batches = FixedBatches(network, size)
    batches.add(inputs)
    return batches.finish()
