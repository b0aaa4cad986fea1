"""Random weights in the place of X-Actor's shipped files, for what does not depend on a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from thbench_methods.xactor import bundle
from thbench_methods.xactor.config import MINI
from thbench_methods.xactor.networks import Acted, Rendering

from thbench.training.weights import save_weights


@contextmanager
def random_mini(folder: Path) -> Iterator[None]:
    """Load the preset `mini` from random weights inside, with one thread."""
    torch.manual_seed(0)
    acted, rendering = Acted(MINI), Rendering(MINI)
    for network in (acted, rendering):
        for values in network.parameters():
            if not values.any():  # what begins as the identity is opened
                values.data.normal_(0, 0.02)
    rendering.encoder.one.bias.data.fill_(1.0)
    paths = {"ACTING_FILE": folder / "acting.safetensors", "RENDERING_FILE": folder / "rendering.safetensors"}
    for path, network in zip(paths.values(), (acted, rendering), strict=True):
        save_weights(path, network.state_dict(), torch.float16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, path in paths.items():
                patch.setattr(bundle, name, path)
            yield
    finally:
        torch.set_num_threads(threads)
