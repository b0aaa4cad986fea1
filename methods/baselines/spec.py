"""What is known of the baselines; imports nothing heavy."""

from __future__ import annotations

from thbench.spec import MethodSpec

GROUND_TRUTH = MethodSpec(
    name="ground-truth",
    title="the reference video itself: the upper bound",
    kind="baseline",
    factory="thbench_methods.baselines.replay:GroundTruth",
    inputs=frozenset({"reference"}),
)

STATIC_PORTRAIT = MethodSpec(
    name="static-portrait",
    title="the portrait, repeated: identity without any motion",
    kind="baseline",
    factory="thbench_methods.baselines.portrait:StaticPortrait",
)

SHUFFLED_AUDIO = MethodSpec(
    name="shuffled-audio",
    title="the reference video with another clip's sound: motion without synchrony",
    kind="baseline",
    factory="thbench_methods.baselines.replay:ShuffledAudio",
    inputs=frozenset({"reference", "other_audio"}),
)

MOUTH_WARP = MethodSpec(
    name="mouth-warp",
    title="the portrait with its mouth opened by the loudness of the sound",
    kind="baseline",
    factory="thbench_methods.baselines.mouth_warp:MouthWarp",
    extra="eval",
    controls={"gain": "how far the loudest moment opens the mouth, in mouth widths (default 0.35)"},
)
