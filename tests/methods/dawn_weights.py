"""Random weights in the places of DAWN's shipped files, for what does not depend on a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from thbench_methods.dawn import bundle
from thbench_methods.dawn.bundle import MaskedDiffusion, PoseAndBlink
from thbench_methods.dawn.config import MINI
from thbench_methods.dawn.lfg import flow_generator
from thbench_methods.dawn.train import measured_head

from thbench.training.weights import save_weights


@contextmanager
def random_mini(folder: Path) -> Iterator[None]:
    """Load the preset `mini` from random weights inside, with one thread."""
    torch.manual_seed(0)
    lfg, masked, both = flow_generator(MINI.lfg), MaskedDiffusion(MINI), PoseAndBlink(MINI)
    masked.head.load_state_dict(measured_head())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, network in (("LFG_FILE", lfg), ("A2V_FILE", masked), ("PBNET_FILE", both)):
                save_weights(folder / f"{name}.safetensors", network.state_dict(), torch.float16)
                patch.setattr(bundle, name, folder / f"{name}.safetensors")
            yield
    finally:
        torch.set_num_threads(threads)
