"""Windows over long clips."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st
from thbench_methods.dawn.windows import Window, joined, windows


@given(frames=st.integers(1, 3000), window=st.integers(2, 400), share=st.floats(0, 0.9))
def test_windows_cover_the_clip_and_overlap_enough(frames: int, window: int, share: float) -> None:
    overlap = int(share * (window - 1))
    found = windows(frames, window, overlap)
    assert found[0].start == 0 and found[-1].stop == frames
    assert {w.stop - w.start for w in found} == {min(frames, window)}
    assert all(before.stop - after.start >= overlap for before, after in pairwise(found))
    assert len(found) == 1 or (len(found) - 2) * (window - overlap) + window < frames, "no window too many"


def test_equal_motion_is_joined_without_a_trace() -> None:
    motion = torch.randn(2, 3, 57, 2, 2)
    cover = windows(57, 20, 6)
    torch.testing.assert_close(joined([motion[:, :, w.start : w.stop] for w in cover], cover), motion)


def test_the_fade_is_linear_and_excludes_its_ends() -> None:
    parts = [torch.zeros(1, 1, 5, 1, 1), torch.ones(1, 1, 5, 1, 1)]
    whole = joined(parts, [Window(0, 5), Window(2, 7)]).flatten()
    assert whole.tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]
