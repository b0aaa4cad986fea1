"""FVD by protocol: clips, preparations, logits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from thbench.errors import MediaError, UsageError
from thbench.metrics.fvd import (
    PROTOCOLS,
    clip_starts,
    cropped,
    logits,
    protocol,
    stretched,
    stretched_bicubic,
    torchscript_network,
    unscaled,
)


def clip(shape: tuple[int, int] = (60, 80), frames: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (1, frames, *shape, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize("prepare", [stretched, cropped, stretched_bicubic])
def test_clips_come_out_channels_first_in_the_networks_range(prepare) -> None:  # type: ignore[no-untyped-def]
    ends = torch.cat((torch.zeros(1, 2, 60, 80, 3), torch.full((1, 2, 60, 80, 3), 255)), dim=1).to(torch.uint8)
    out = prepare(ends)
    assert out.shape == (1, 3, 4, 224, 224)
    assert torch.allclose(out[:, :, :2], torch.tensor(-1.0), atol=1e-6)
    assert torch.allclose(out[:, :, 2:], torch.tensor(1.0), atol=1e-6)


def test_only_the_crop_keeps_the_aspect() -> None:
    wide = torch.zeros(1, 1, 100, 300, 3, dtype=torch.uint8)
    wide[:, :, :, 100:200] = 255
    assert float((cropped(wide) > 0).float().mean()) == 1
    assert float((stretched(wide) > 0).float().mean()) == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("prepare", [stretched, cropped, stretched_bicubic])
def test_a_clip_does_not_depend_on_its_batch(prepare) -> None:  # type: ignore[no-untyped-def]
    two = torch.cat((clip(), clip().flip(1)))
    assert torch.allclose(prepare(two)[1:], prepare(two[1:]))


def test_latentsync_feeds_half_the_range_and_only_crops() -> None:
    crops = clip((224, 224))
    assert torch.equal(unscaled(crops), crops.permute(0, 4, 1, 2, 3).float() / 255)
    with pytest.raises(UsageError, match="face crops of 224x224; these frames are 80x60"):
        unscaled(clip())


@pytest.mark.parametrize(
    ("name", "frames", "starts"),
    [
        ("16", 16, (0,)),
        ("16", 50, (0, 16, 32)),
        ("32", 50, (0,)),
        ("videogpt-16f", 50, (0,)),
        ("latentsync", 36, (20,)),
        ("disco", 9, (0,)),
        ("disco", 100, (0,)),
    ],
)
def test_clips_are_taken_as_the_protocol_says(name: str, frames: int, starts: tuple[int, ...]) -> None:
    chosen = protocol(name)
    assert clip_starts(chosen.reference, frames, chosen, clip="a") == starts
    assert clip_starts(chosen.generated, frames, chosen, clip="a") == starts


def test_styleganv_takes_generated_videos_from_the_start_and_real_ones_anywhere() -> None:
    chosen = protocol("styleganv-16f")
    assert clip_starts(chosen.generated, 200, chosen, clip="a") == (0,)
    starts = [clip_starts(chosen.reference, 40, chosen, clip=f"video-{i}")[0] for i in range(400)]
    assert min(starts) == 0 and max(starts) == 24
    assert np.mean(starts) == pytest.approx(12, abs=1.5)
    assert clip_starts(chosen.reference, 40, chosen, clip="video-7") == (starts[7],)
    assert starts != [clip_starts(chosen.reference, 40, chosen, clip=f"video-{i}", seed=1)[0] for i in range(400)]


@pytest.mark.parametrize(
    ("name", "needed"), [("16", 16), ("32", 32), ("styleganv-16f", 16), ("latentsync", 36), ("disco", 9)]
)
def test_short_videos_are_refused(name: str, needed: int) -> None:
    chosen = protocol(name)
    for rule in (chosen.reference, chosen.generated):
        length = needed - 1 if rule != "random" else 15
        with pytest.raises(MediaError, match=f"talk has {length} frames; this FVD needs at least"):
            clip_starts(rule, length, chosen, clip="talk")


def test_logits_are_computed_clip_by_clip() -> None:
    seen = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape))
        return x.mean(dim=(3, 4)).flatten(1)[:, :4]

    clips = [clip()[0], clip(frames=3).flip(1)[0]]
    both = logits(network, clips, protocol("16"))
    assert both.shape == (2, 4) and seen == [(1, 3, 3, 224, 224)] * 2
    assert torch.equal(logits(network, clips[::-1], protocol("16")), both.flip(0))
    with pytest.raises(MediaError, match="no clip"):
        logits(network, [], protocol("16"))


class Flags(torch.nn.Module):
    """Has the signature of StyleGAN-V's TorchScript file and shows which flags it was called with."""

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool) -> torch.Tensor:
        return torch.tensor([[float(rescale), float(resize), float(return_features)]]) + 0 * x.sum()


def test_the_torchscript_file_gets_prepared_clips() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network = torchscript_network(torch.jit.script(Flags()))
    assert logits(network, [clip()[0]], protocol("styleganv-16f")).tolist() == [[0, 0, 1]]


def test_protocols_are_spelled_out_and_non_standard_ones_marked() -> None:
    assert len({p.text for p in PROTOCOLS.values()}) == len(PROTOCOLS)
    for name, chosen in PROTOCOLS.items():
        assert f"ddof{chosen.ddof}" in chosen.text
        assert chosen.standard is ("non-standard" not in chosen.text)
        assert chosen.standard is (name not in {"latentsync", "disco"})
    with pytest.raises(UsageError, match="did you mean 'styleganv-16f'"):
        protocol("stylegan-16f")
