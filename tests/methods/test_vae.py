import dataclasses
from typing import Any, cast

import numpy as np
import pytest
import torch
from thbench_methods.nets.vae.autoencoder import AutoencoderKL, read_published, whiten
from thbench_methods.nets.vae.config import MINI, PAPER

from thbench.errors import WeightsMismatchError

SMALL = dataclasses.replace(MINI, channels=(8, 16), latent=2, groups=4, patch=1)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return AutoencoderKL(SMALL).eval()


def test_published_sizes():
    with torch.device("meta"):
        vae = AutoencoderKL(PAPER)
    assert sum(p.numel() for p in vae.parameters()) == 83_653_863
    assert PAPER.factor == 8
    keys = vae.state_dict().keys()
    assert len(keys) == 248
    assert {"encoder.mid_block.attentions.0.to_out.0.weight", "decoder.up_blocks.2.upsamplers.0.conv.bias"} <= keys
    assert "decoder.up_blocks.3.upsamplers.0.conv.bias" not in keys


def test_shapes_and_scaling(vae):
    pictures = torch.rand(2, 3, 32, 48) * 2 - 1
    latents = vae.encode(pictures)
    assert latents.shape == (2, 2, 16, 24)
    assert vae.decode(latents).shape == pictures.shape
    twice = AutoencoderKL(dataclasses.replace(SMALL, scaling=2.0)).eval()
    twice.load_state_dict(vae.state_dict())
    assert torch.allclose(twice.encode(pictures), 2 * latents)
    assert torch.allclose(twice.decode(2 * latents), vae.decode(latents), atol=1e-6)


def test_squares_of_pixels_enter_as_channels():
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, patch=4)
    vae = AutoencoderKL(config).eval()
    assert config.factor == 8
    pictures = torch.rand(2, 3, 32, 48) * 2 - 1
    latents = vae.encode(pictures)
    assert latents.shape == (2, 2, 4, 6)
    assert vae.decode(latents).shape == pictures.shape
    # A pixel moves what is near it, and not the other end of the picture.
    inner = vae.encoder.conv_in(torch.nn.functional.pixel_unshuffle(pictures, 4))
    pictures[0, :, 3, 3] += 1
    moved = (vae.encoder.conv_in(torch.nn.functional.pixel_unshuffle(pictures, 4)) - inner).abs().sum(1)
    assert moved[0, :2, :2].min() > 0
    assert moved[0, 2:].max() == moved[0, :, 2:].max() == moved[1].max() == 0


def test_draws_follow_the_gaussian_and_the_generator(vae):
    pictures = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        mean, log_variance = vae.gaussian(pictures)
        draws = torch.cat([vae.encode(pictures, torch.Generator().manual_seed(s)) for s in range(400)])
        assert torch.equal(draws[3:4], vae.encode(pictures, torch.Generator().manual_seed(3)))
    z = (draws - mean) / (0.5 * log_variance).exp()
    assert z.mean().abs() < 0.01
    assert z.var() == pytest.approx(1, abs=0.02)


def test_older_key_names_are_read(vae):
    new_to_old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for key, value in vae.state_dict().items():
        for new, name in new_to_old.items():
            if f".attentions.0.{new}." in key:
                key = key.replace(new, name)
                value = value[..., None, None] if value.ndim == 2 else value
        old[key] = value
    assert any("proj_attn" in key for key in old)
    pictures = torch.rand(1, 3, 16, 16)
    assert torch.equal(read_published(old, SMALL, source="test").encode(pictures), vae.encode(pictures))
    old.pop("quant_conv.bias")
    with pytest.raises(WeightsMismatchError, match=r"quant_conv\.bias"):
        read_published(old, SMALL, source="test")


def test_whitening_changes_latents_not_pictures(vae):
    pictures = torch.rand(16, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        before, drawn_before = vae.encode(pictures), vae.gaussian(pictures)[1]
        decoded = vae.decode(before)
        mean, deviation = before.mean((0, 2, 3)), before.std((0, 2, 3))
        whiten(vae, mean, deviation)
        after = vae.encode(pictures)
        assert torch.allclose(after.mean((0, 2, 3)), torch.zeros(2), atol=1e-4)
        assert torch.allclose(after.std((0, 2, 3)), torch.ones(2), atol=1e-3)
        assert torch.allclose(vae.decode(after), decoded, atol=1e-4)
        shift = (vae.gaussian(pictures)[1] - drawn_before).mean((0, 2, 3))
        assert torch.allclose(shift, -2 * deviation.log(), atol=1e-4)


def test_training_goes_downhill_on_one_clip(tmp_path):
    from thbench_methods.nets.vae.train import FOCUS, RECIPE, VAETask, focus, similarity, whitened

    from thbench.data.synth_heads.dataset import clips_of, truth_of
    from thbench.media import read_frames

    clip = clips_of()[0]
    truth = truth_of(clip)
    frames = np.stack([f.rgb for f in read_frames(clip.path)])[None]
    pictures = cast("Any", _Shown(frames, truth.landmarks68[None]))
    torch.manual_seed(0)
    task = VAETask(pictures)
    optimiser = torch.optim.Adam(task.network.parameters(), RECIPE.learning_rate)
    losses = []
    for step in range(6):
        parts = task.losses(task.batch(np.random.default_rng(step)))
        optimiser.zero_grad()
        parts["loss"].backward()
        optimiser.step()
        losses.append(float(parts["loss"]))
    assert losses[-1] < 0.8 * losses[0]
    whitened(task.network.eval(), pictures, count=16)
    rgb = torch.from_numpy(frames[0, ::20]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        assert float(task.network.encode(rgb).std()) == pytest.approx(1, abs=0.3)
    weight = focus(truth.landmarks68[0], 128)
    assert weight.mean() == pytest.approx(1)
    assert weight.max() / weight.min() == pytest.approx(FOCUS["mouth"])
    assert similarity(rgb, rgb) == pytest.approx(1)
    assert similarity(rgb, -rgb) < 0.5


@dataclasses.dataclass
class _Shown:
    """What the task reads of a split."""

    frames: np.ndarray
    landmarks68: np.ndarray

    def __len__(self):
        return len(self.frames)
