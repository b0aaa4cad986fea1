"""Random weights in the place of FLAP's shipped file, for what does not depend on a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from thbench_methods.dreamtalk.mean_face import measured_face
from thbench_methods.flap import bundle
from thbench_methods.flap.config import MINI
from thbench_methods.flap.networks import FLAP

from thbench.training.weights import save_weights


def random_flap() -> FLAP:
    """Return networks of the preset `mini` with random weights, whose mean head is that of synth-heads."""
    network = FLAP(MINI)
    assert network.moving_head is not None
    network.moving_head.load_state_dict({**measured_face(), "pivot": torch.tensor((0.0, -5.0, -10.0))})
    return network


@contextmanager
def random_mini(folder: Path) -> Iterator[None]:
    """Load the preset `mini` from random weights inside, with one thread."""
    torch.manual_seed(0)
    path = folder / "mini.safetensors"
    save_weights(path, random_flap().state_dict(), torch.float16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundle, "FILE", path)
            yield
    finally:
        torch.set_num_threads(threads)
