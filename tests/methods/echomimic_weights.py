"""Random weights in the place of EchoMimic's shipped files, for what does not depend on a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from thbench_methods.echomimic import bundle
from thbench_methods.echomimic.config import MINI
from thbench_methods.echomimic.networks import DenoisingUNet, EchoMimic

from thbench.training.weights import save_weights


@contextmanager
def random_mini(folder: Path) -> Iterator[None]:
    """Load the presets `mini` of both methods from random weights inside, with one thread."""
    torch.manual_seed(0)
    path, acc = folder / "mini.safetensors", folder / "mini_acc.safetensors"
    save_weights(path, EchoMimic(MINI).state_dict(), torch.float16)
    save_weights(acc, DenoisingUNet(MINI.unet).state_dict(), torch.float16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundle, "FILE", path)
            patch.setattr(bundle, "ACC_FILE", acc)
            yield
    finally:
        torch.set_num_threads(threads)
