"""Seeds that methods are given in a run."""

from __future__ import annotations

from thbench.run.seeds import clip_seed


def test_clips_have_noise_of_their_own_that_stays_the_same() -> None:
    found = {(seed, clip): clip_seed(seed, clip) for seed in range(3) for clip in ("may", "obama", "1/2")}
    assert len(set(found.values())) == len(found)
    assert all(0 <= value < 2**31 for value in found.values())
    # Runs of tomorrow are to be comparable with those of today.
    assert clip_seed(0, "may") == 26_342_136
