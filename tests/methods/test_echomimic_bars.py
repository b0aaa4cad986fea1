"""How large EchoMimic's small weights are, and what a video costs; what they reach is in the common bars."""

from __future__ import annotations

from typing import Any

import pytest
from held_out import one_thread
from thbench_methods.common.judging import made, read_held
from thbench_methods.echomimic.acc.pipeline import EchoMimicAcc
from thbench_methods.echomimic.bundle import ACC_FILE, FILE
from thbench_methods.echomimic.pipeline import EchoMimic

from thbench.data.synth_heads.dataset import clips_of
from thbench.types import Audio, Request


def test_weights_are_small() -> None:
    assert FILE.stat().st_size < 8_000_000 and ACC_FILE.stat().st_size < 8_000_000


def test_the_accelerated_one_denoises_a_tenth_of_what_the_other_does(monkeypatch: pytest.MonkeyPatch) -> None:
    held = next(read_held(clips_of()[:1]))
    request = Request(held.frames[0], Audio(held.sound[:5120], 16_000), 25.0, 8)

    def denoised(method: EchoMimic | EchoMimicAcc) -> int:
        """Frames that go through the network, over all steps and halves of the guidance."""
        network, counts = method.bundle.networks.denoising_unet, []
        own = network.full

        def counted(z: Any, t: Any, condition: Any) -> Any:
            counts.append(z.shape[0] * z.shape[2])
            return own(z, t, condition)

        monkeypatch.setattr(network, "full", counted)
        with one_thread():
            assert made(method, request).shape == (8, 128, 128, 3)
        return sum(counts)

    whole, fast = denoised(EchoMimic("mini")), denoised(EchoMimicAcc("mini"))
    assert whole == 30 * 2 * 8 and fast == 6 * 8
