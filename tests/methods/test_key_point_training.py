"""What the trainings of KDTalker and MoDA draw, and the ablation of KDTalker."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from thbench_methods.kdtalker.config import MINI as KDTALKER
from thbench_methods.kdtalker.networks import Condition, SpatiotemporalTransformer
from thbench_methods.kdtalker.train import DenoiserTask
from thbench_methods.moda.config import MINI as MODA
from thbench_methods.moda.motion import LAYOUT
from thbench_methods.moda.networks import MotionDiffusion
from thbench_methods.moda.train import BATCH, OTHER_EXPRESSION, FlowTask, other_clips, statistics


def test_other_clips_are_the_next_ones_of_the_person():
    person = np.array([0, 1, 2, 0, 1, 0])
    assert other_clips(person).tolist() == [3, 4, 2, 5, 1, 0]


@pytest.fixture
def flow():
    """Clips whose motion is their number, so that it tells where it came from."""
    motion = torch.arange(4.0)[:, None, None].expand(4, 100, LAYOUT.size).clone()
    audio = torch.zeros(4, 100, MODA.sizes.audio_layers, MODA.sizes.audio)
    return FlowTask(
        MotionDiffusion(MODA.sizes), motion, torch.zeros(4, 63), audio, torch.arange(4), torch.tensor([1, 0, 3, 2])
    )


def test_some_windows_follow_an_expression_of_the_same_persons_other_clip(flow):
    torch.manual_seed(0)
    swapped = 0
    for seed in range(20):
        batch = flow.batch(np.random.default_rng(seed))
        assert batch.motion.shape == (BATCH, MODA.sampling.window, LAYOUT.size)
        clip, previous = batch.motion[:, 0, 0], batch.previous[:, 0]
        expression, pose = previous[:, : LAYOUT.place("exp").stop], previous[:, LAYOUT.place("exp").stop :]
        assert (pose.mean(dim=1) - clip).abs().max() < 0.3  # the pose goes on as it was
        of = expression.mean(dim=1).round()
        assert ((of == clip) | (of == torch.tensor([1, 0, 3, 2])[clip.long()])).all()
        swapped += int((of != clip).sum())
    assert swapped / (20 * BATCH) == pytest.approx(OTHER_EXPRESSION, abs=0.06)


def test_labels_and_speech_are_dropped_for_a_tenth(flow):
    torch.manual_seed(0)
    batches = [flow.batch(np.random.default_rng(seed)) for seed in range(40)]
    emotion, silent = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("emotion", "silent"))
    assert (emotion == MODA.sizes.emotions).float().mean() == pytest.approx(0.1, abs=0.03)
    assert silent.float().mean() == pytest.approx(0.1, abs=0.03)


def test_errors_where_nothing_moves_stay_small():
    torch.manual_seed(0)
    motion = 3 + 0.1 * torch.randn(4, 100, LAYOUT.size)
    motion[..., 23] = 0.25 + 1e-8 * torch.randn(4, 100)
    found = statistics(motion)
    misread = motion[0, 0].clone()
    misread[23] += 0.003
    assert found.normalise(misread).abs().max() < 6 and found.normalise(misread)[23].abs() < 0.01
    assert found.normalise(motion)[..., :23].std() == pytest.approx(1, abs=0.01)


def test_losses_reach_every_weight_that_is_used(flow):
    torch.manual_seed(0)
    flow.losses(flow.batch(np.random.default_rng(0)))["loss"].backward()
    idle = [name for name, weight in flow.network.named_parameters() if weight.grad is None]
    assert idle == ["null_motion_feat"]


def test_kdtalkers_targets_follow_their_reference():
    count = torch.arange(100.0)[None, :, None].expand(3, 100, KDTALKER.sizes.motion).clone()
    task = DenoiserTask(
        SpatiotemporalTransformer(KDTALKER.sizes), count, torch.zeros(3, 63), torch.zeros(3, 100, KDTALKER.sizes.audio)
    )
    torch.manual_seed(0)
    batch = task.batch(np.random.default_rng(0))
    assert (batch.motion[:, 0] - batch.condition.reference - 1).abs().max() < 1
    assert (batch.motion.diff(dim=1) == 1).all()


@pytest.mark.parametrize("attention", [True, False])
def test_without_attention_a_frame_hears_itself_alone(attention):
    torch.manual_seed(0)
    net = SpatiotemporalTransformer(replace(KDTALKER.sizes, attention=attention)).eval()
    noisy, audio = torch.randn(1, 8, 70), torch.randn(1, 8, KDTALKER.sizes.audio)
    other = audio.clone()
    other[:, 5] += 1
    with torch.inference_mode():
        first, second = (
            net(noisy, torch.tensor([10]), Condition(torch.zeros(1, 70), torch.zeros(1, 63), heard))
            for heard in (audio, other)
        )
    changed = (first != second).any(dim=-1)[0].nonzero().flatten().tolist()
    assert changed == (list(range(8)) if attention else [5])


def test_the_ablation_lacks_the_attentions_weights_only():
    full, ablated = (
        set(SpatiotemporalTransformer(replace(KDTALKER.sizes, attention=on)).state_dict()) for on in (True, False)
    )
    assert ablated < full and all(".fn." in key for key in full - ablated)
