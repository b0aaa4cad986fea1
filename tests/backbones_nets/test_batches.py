"""Features do not depend on batches, order or shards, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from net_helpers import filled

from thbench.backbones.arcface import LAYERS, IResNet
from thbench.backbones.batches import BatchQueue, FixedBatches, batch_for, in_fixed_batches
from thbench.backbones.inception import InceptionFID
from thbench.backbones.lpips import LPIPS
from thbench.backbones.modes import prepare
from thbench.backbones.syncnet import SyncNet
from thbench.metrics import csim, fid, lpips, lse


@pytest.fixture(scope="module")
def network() -> IResNet:
    return filled(lambda: IResNet((1, 1, 1, 1)))


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    return torch.rand(11, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("given", [1, 2, 7, 11])
def test_features_do_not_depend_on_how_inputs_come(network: IResNet, inputs: torch.Tensor, given: int) -> None:
    whole = in_fixed_batches(network, inputs, 4)
    batches = FixedBatches(network, 4)
    for part in inputs.split(given):
        batches.add(part)
    assert batches.count == 11
    assert torch.equal(batches.finish(), whole)


def test_features_do_not_depend_on_order_or_shards(network: IResNet, inputs: torch.Tensor) -> None:
    whole = in_fixed_batches(network, inputs, 4)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(1))
    assert torch.equal(in_fixed_batches(network, inputs[order], 4), whole[order])
    shards = torch.cat([in_fixed_batches(network, shard, 4) for shard in (inputs[:3], inputs[3:4], inputs[4:])])
    assert torch.equal(shards, whole)


def test_they_equal_one_plain_run_up_to_rounding(network: IResNet, inputs: torch.Tensor) -> None:
    with torch.inference_mode():
        plain = network(inputs)
    assert torch.allclose(in_fixed_batches(network, inputs, 4), plain, rtol=1e-4, atol=1e-4 * float(plain.abs().max()))


def test_the_network_sees_one_size_only() -> None:
    seen = []

    def double(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return 2 * x

    assert in_fixed_batches(double, torch.arange(10.0), 4).tolist() == [2 * i for i in range(10)]
    assert seen == [4, 4, 4]


def test_nothing_has_no_features() -> None:
    with pytest.raises(ValueError, match="no input"):
        FixedBatches(lambda x: x).finish()


@pytest.mark.parametrize(
    ("height", "width", "batch"), [(64, 64, 8), (256, 256, 8), (512, 512, 2), (1920, 1080, 1), (256, 257, 7)]
)
def test_larger_frames_come_in_smaller_batches(height: int, width: int, batch: int) -> None:
    assert batch_for(height, width) == batch


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_no_digit_of_any_metric_depends_on_the_batch(batch: int) -> None:
    """Features of real networks, not of stand-ins: their convolutions round by the size of what they are given."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (9, 64, 64, 3)).astype(np.uint8)
    faces = random.integers(0, 256, (9, 112, 112, 3)).astype(np.uint8)
    embedder = prepare(filled(lambda: IResNet(LAYERS["iresnet18"])), "exact")
    assert np.array_equal(csim.embed(embedder, faces, batch), csim.embed(embedder, faces))
    perceptual = prepare(filled(lambda: LPIPS("alex")), "exact")
    distances = [lpips.distances(perceptual, images, images[::-1].copy(), of) for of in (batch, None)]
    assert torch.equal(*distances)
    inception = prepare(filled(InceptionFID), "exact")
    whole, parts = (fid.features(inception, torch.from_numpy(images), "pytorch-fid", of) for of in (8, batch))
    assert torch.equal(whole, parts)
    lips = prepare(filled(SyncNet), "exact")
    frames, sound = random.integers(0, 256, (16, 224, 224, 3)).astype(np.uint8), np.zeros(16 * 640, np.int16)
    embeddings = [lse.clip_embeddings(lips, frames, sound, of)[0] for of in (batch, 32)]
    assert torch.allclose(*embeddings, rtol=0, atol=1e-5 * float(embeddings[1].abs().max()))


def test_features_are_kept_in_few_pieces_of_memory() -> None:
    """A piece for each input, between the large ones of networks, would split the heap as a video grows long."""
    queue = BatchQueue(lambda batch: batch.flatten(1), 4)
    tickets = [queue.submit(torch.full((2, 256), float(number))) for number in range(1100)]
    rows = torch.stack([ticket.result() for ticket in tickets])
    assert torch.equal(rows, torch.arange(1100.0)[:, None].expand(1100, 512))
    assert len({ticket.result().untyped_storage().data_ptr() for ticket in tickets}) == 3
    batches = FixedBatches(lambda batch: batch.flatten(1), 4)
    batches.add(rows)
    assert torch.equal(batches.finish(), rows)


def test_features_of_another_shape_get_a_block_of_their_own() -> None:
    queue = BatchQueue(lambda batch: batch, 1)
    assert [queue.submit(torch.ones(size)).result().shape for size in (3, 5)] == [(3,), (5,)]
