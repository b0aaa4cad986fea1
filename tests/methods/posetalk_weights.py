"""Random weights in the places of PoseTalk's shipped files, for what does not depend on a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from thbench_methods.dreamtalk.mean_face import measured_face
from thbench_methods.posetalk import bundle
from thbench_methods.posetalk.bundle import Drawing, Posing
from thbench_methods.posetalk.config import MINI

from thbench.training.weights import save_weights


@contextmanager
def random_mini(folder: Path) -> Iterator[None]:
    """Load the preset `mini` from random weights inside, with one thread."""
    torch.manual_seed(0)
    posing, drawing = Posing(MINI), Drawing(MINI)
    drawing.face.load_state_dict(measured_face())
    for layer in (drawing.coarse.warping.flow_out[-1], *(stage.out for stage in drawing.refine.stages)):
        torch.nn.init.normal_(layer.weight, std=0.05)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, network in (("POSE_FILE", posing), ("VIDEO_FILE", drawing)):
                save_weights(folder / f"{name}.safetensors", network.state_dict(), torch.float16)
                patch.setattr(bundle, name, folder / f"{name}.safetensors")
            yield
    finally:
        torch.set_num_threads(threads)
