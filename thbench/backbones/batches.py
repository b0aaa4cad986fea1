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


BLOCK_BYTES = 2**20
"""Size of a block of features."""


class Block:
    """Features of many inputs in one piece of memory.

    A small piece for each, kept between the large ones that networks take and give back, would split the heap until
    nothing large fits: 60 KB were lost for each frame of a long video.
    """

    def __init__(self, first: Tensor) -> None:
        """Make room for features of one shape and type."""
        rows = max(1, BLOCK_BYTES // max(first.nbytes, 1))
        self.features = torch.empty((rows, *first.shape), dtype=first.dtype)
        self.used = 0

    @property
    def full(self) -> bool:
        """Whether there is no room left."""
        return self.used == len(self.features)

    def put(self, features: Tensor) -> int:
        """Copy the features of one input into the block, which is not full; return their place."""
        self.features[self.used] = features
        self.used += 1
        return self.used - 1


class FixedBatches:
    """Collects inputs, runs a network whenever a batch is full, and ends with one row of features per input."""

    def __init__(self, network: Callable[[Tensor], Tensor], size: int = BATCH) -> None:
        self._network = network
        self._size = size
        self._waiting: list[Tensor] = []
        self._blocks: list[Block] = []
        self.count = 0
        """Inputs so far."""

    def add(self, inputs: Tensor) -> None:
        """Take in inputs (n, ...), n of any size; all calls give the same shape but for n."""
        self.count += len(inputs)
        for single in inputs:
            self._waiting.append(single)
            if len(self._waiting) == self._size:
                self._keep(one_batch(self._network, self._waiting, self._size))
                self._waiting = []

    def finish(self) -> Tensor:
        """Return the features (N, ...) of all inputs in the order in which they came, on the CPU.

        Raises:
            ValueError: There was no input, so the shape of a feature is not known.
        """
        if self._waiting:
            self._keep(one_batch(self._network, self._waiting, self._size))
            self._waiting = []
        if not self._blocks:
            raise ValueError("no input was given")
        return torch.cat([block.features[: block.used] for block in self._blocks])

    def _keep(self, features: Tensor) -> None:
        for row in features:
            if not self._blocks or self._blocks[-1].full:
                self._blocks.append(Block(row))
            self._blocks[-1].put(row)


class Ticket:
    """The features of one input that waits for its batch."""

    __slots__ = ("_place", "_queue")

    def __init__(self, queue: BatchQueue) -> None:
        self._queue = queue
        self._place: tuple[Block, int] | None = None

    def result(self) -> Tensor:
        """Return the features, on the CPU; runs the batch if it has not run yet."""
        if self._place is None:
            self._queue.flush()
        if self._place is None:
            raise RuntimeError("the batch of this input failed before")
        block, row = self._place
        return block.features[row]

    def fill(self, block: Block, row: int) -> None:
        """Learn where the features are."""
        self._place = block, row


class BatchQueue:
    """Runs a network for several who each want some of the features, again in batches of one size only."""

    def __init__(self, network: Callable[[Tensor], Tensor], size: int = BATCH) -> None:
        self._network = network
        self._size = size
        self._waiting: list[tuple[Ticket, Tensor]] = []
        self._block: Block | None = None

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
            features = one_batch(self._network, [single for _, single in waiting], self._size)
            for (ticket, _), row in zip(waiting, features, strict=True):
                if self._block is None or self._block.full or self._block.features.shape[1:] != row.shape:
                    self._block = Block(row)
                ticket.fill(self._block, self._block.put(row))


@torch.inference_mode()
def one_batch(network: Callable[[Tensor], Tensor], inputs: list[Tensor], size: int) -> Tensor:
    """Return the features of 1 to `size` inputs on the CPU, run as a batch that is filled up with the last one."""
    return network(torch.stack(inputs + inputs[-1:] * (size - len(inputs)))).cpu()[: len(inputs)]


def in_fixed_batches(network: Callable[[Tensor], Tensor], inputs: Tensor, size: int = BATCH) -> Tensor:
    """Return the features of inputs (N, ...), N at least 1, run in batches of exactly `size`."""
    batches = FixedBatches(network, size)
    batches.add(inputs)
    return batches.finish()
