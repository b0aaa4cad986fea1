"""One generation under an injected clock: every time is known in advance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cost_fakes import CLOCK, FRAME, FakeDevice, Scripted, request

from thbench.cost.device import HostDevice
from thbench.cost.watch import Clocks, watch
from thbench.errors import MethodError
from thbench.types import Generation

CLOCKS = Clocks(wall=CLOCK, processor=lambda: CLOCK.now * 2)


def test_every_time_is_the_scripted_one() -> None:
    taken = watch(Scripted(), request(frames=5), HostDevice(CLOCK), CLOCKS)
    # 1 s, three steps of 0.5 s, five frames of 0.25 s.
    assert taken.seconds["end-to-end"] == pytest.approx(3.75)
    assert taken.seconds["first-frame"] == pytest.approx(2.75)
    assert taken.seconds["frame"] == pytest.approx(0.25)
    assert taken.seconds["step/denoise"] == pytest.approx(0.5)
    assert taken.seconds["stage/audio"] == 0.75
    assert taken.seconds["processor"] == pytest.approx(7.5)
    assert taken.seconds["real-time-factor"] == pytest.approx(3.75 / (5 / 25))
    assert taken.samples["frame"] == pytest.approx((0.25,) * 4)
    assert taken.samples["step/denoise"] == pytest.approx((0.5,) * 2)
    assert taken.device_seconds == {}


def test_a_cold_start_counts_from_the_start_of_loading() -> None:
    start = CLOCK()
    method = Scripted()
    taken = watch(method, request(frames=5), HostDevice(CLOCK), CLOCKS, since=start)
    assert taken.seconds["end-to-end"] == pytest.approx(7.75)
    assert taken.seconds["first-frame"] == pytest.approx(6.75)
    assert taken.seconds["frame"] == pytest.approx(0.25)


def test_device_times_come_from_events_and_host_times_from_after_it_has_finished() -> None:
    device = FakeDevice(CLOCK)
    taken = watch(Scripted(), request(frames=5), device, CLOCKS)
    assert taken.device_seconds["end-to-end"] == pytest.approx(3 * 3.75)
    assert taken.samples["step/denoise"] == pytest.approx((1.5,) * 2)
    assert device.log == ["synchronise", "synchronise"]


def test_steps_of_two_windows_are_not_mixed() -> None:
    class Windows(Scripted):
        def generate(self, request: Any, on_step: Any = None) -> Generation:
            for _ in range(2):
                CLOCK.advance(10.0)
                for index in range(3):
                    CLOCK.advance(0.5)
                    on_step("denoise", index, 3)
                on_step("decode", 0, 1)
            return Generation([FRAME] * request.frames)

    taken = watch(Windows(), request(), HostDevice(CLOCK), CLOCKS)
    assert taken.samples["step/denoise"] == pytest.approx((0.5,) * 4)
    assert "step/decode" not in taken.samples


def test_what_cannot_be_told_is_absent() -> None:
    class File(Scripted):
        def generate(self, request: Any, on_step: Any = None) -> Generation:
            CLOCK.advance(2.0)
            return Generation(Path("made.mp4"))

    taken = watch(File(), request(), HostDevice(CLOCK), CLOCKS)
    assert taken.seconds["end-to-end"] == taken.seconds["first-frame"] == pytest.approx(2.0)
    assert "frame" not in taken.seconds
    one = watch(Scripted(), request(frames=1), HostDevice(CLOCK), CLOCKS)
    assert "frame" not in one.seconds


@pytest.mark.parametrize("frames", [4, 6])
def test_another_number_of_frames_is_refused(frames: int) -> None:
    class Wrong(Scripted):
        def generate(self, request: Any, on_step: Any = None) -> Generation:
            return Generation(FRAME for _ in range(frames))

    with pytest.raises(MethodError, match="asked for 5"):
        watch(Wrong(), request(frames=5), HostDevice(CLOCK), CLOCKS)
