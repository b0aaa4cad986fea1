"""Random weights in the place of MEMO's shipped file, for what does not depend on a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from thbench_methods.memo import bundle
from thbench_methods.memo.config import MINI

from thbench.training.weights import save_weights


@contextmanager
def random_mini(folder: Path) -> Iterator[None]:
    """Load the preset `mini` from random weights inside, with one thread."""
    torch.manual_seed(0)
    path = folder / "mini.safetensors"
    save_weights(path, bundle.Shipped(MINI).state_dict(), torch.float16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundle, "FILE", path)
            yield
    finally:
        torch.set_num_threads(threads)
