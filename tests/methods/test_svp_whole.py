"""The whole training of SVP's small preset on two clips and hardly any steps writes a file that generates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from svp_weights import beginning, small_split
from thbench_methods.svp import bundle, train
from thbench_methods.svp.pipeline import SVP
from thbench_methods.svp.style_reader import load_style_reader

from thbench.data.synth_heads.dataset import clips_of
from thbench.media import read_audio, read_frames
from thbench.training import Card
from thbench.training.order import Order
from thbench.types import Request


def test_the_whole_training_writes_a_file_that_generates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, out = tmp_path / "split", tmp_path / "out"
    small_split(split, 2)
    beginning(monkeypatch, train, tmp_path)
    before = torch.get_num_threads()
    order = Order("svp", "mini", "typed", split, tmp_path / "work", out, share=1e-4)
    try:
        train.train(order)
        first = (out / "mini.safetensors").read_bytes()
        train.train(order)  # goes on from where it was, which is the end
        assert (out / "mini.safetensors").read_bytes() == first
        assert len(first) < 8e6
        reader = load_style_reader(out / "mini_style_reader.safetensors")
        assert reader.directions.shape == (3 * 53, 1)  # of two styles
        card = Card.model_validate_json((out / "mini.json").read_bytes())
        assert card.bytes == len(first) and card.data.endswith("first 2 clips of 2 people")
        monkeypatch.setattr(bundle, "FILE", out / "mini.safetensors")
        clip = clips_of()[0]
        portrait = next(iter(read_frames(clip.path, threads=1))).rgb
        request = Request(portrait, read_audio(clip.path), 25.0, 2, controls={"steps": 2})
        made = np.stack(list(SVP("mini").generate(request).frames))  # type: ignore[arg-type]
        assert made.shape == (2, 128, 128, 3)
    finally:
        torch.set_num_threads(before)
