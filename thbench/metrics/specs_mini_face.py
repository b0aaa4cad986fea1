"""Specs of head pose, blinks and landmarks on the project's own small face regressor.

Their protocols begin with `mini` and the digest of the weights: other numbers than those of the published networks, and
only for frames that one synthetic head fills as in synth-heads; other frames count as frames without a face.
"""

from __future__ import annotations

from typing import Any

from thbench.backbones.mini.digests import mark
from thbench.spec import MetricSpec, Need

MINI_FACE = f"{mark('face')}/middle-square-area-or-bilinear-128/frames-with-presence>=0.5,most-of-all"
"""How a mini metric finds the face."""
_GAPS = "gaps<=5-frames-interpolated"


def _metric(*needs: Need, **fields: Any) -> MetricSpec:
    return MetricSpec(
        needs=frozenset(needs),
        packages=("torch", "safetensors"),
        observer="thbench.metrics.observe_mini:MiniObserver",
        **fields,
    )


MINI_FACE_METRICS: tuple[MetricSpec, ...] = (
    _metric(
        name="pose-div/mini",
        title="Head-pose diversity (mini), mean over yaw, pitch and roll",
        direction="closer-to-real",
        unit="deg",
        low=0,
        protocol=f"{MINI_FACE}/mean-of-three-std/unwrapped/ddof0/{_GAPS}",
        source="standard deviation of head-pose angles over time, on a small network trained on synth-heads",
    ),
    _metric(
        "reference",
        name="apd/mini",
        title="Head-pose error (mini), mean over yaw, pitch and roll",
        direction="lower",
        unit="deg",
        low=0,
        high=180,
        protocol=f"{MINI_FACE}/mean-abs-difference/frames-with-both-heads",
        source="average pose distance of PIRenderer (ICCV 2021), on a small network trained on synth-heads",
    ),
    _metric(
        name="blink-rate/mini",
        title="Blinks per second (mini)",
        direction="closer-to-real",
        unit="1/s",
        low=0,
        protocol=f"{MINI_FACE}/1-minus-mean-eyeBlink/0.6-of-running-p90-2s/2-12-frames-at-25fps/merge<=2/{_GAPS}",
        source="DAWN (ICLR 2025), blinks per second, on a small network trained on synth-heads",
    ),
    _metric(
        "reference",
        name="m-lmd/mini",
        title="Mouth landmark distance (mini)",
        direction="lower",
        unit="1",
        low=0,
        protocol=f"{MINI_FACE}/points-49-68/centred/mean-euclidean/inter-ocular/frames-with-both-heads",
        source="Chen et al. (ECCV 2018), LMD, on a small network trained on synth-heads",
    ),
    _metric(
        "reference",
        name="f-lmd/mini",
        title="Face landmark distance (mini)",
        direction="lower",
        unit="1",
        low=0,
        protocol=f"{MINI_FACE}/points-1-68/centred/mean-euclidean/inter-ocular/frames-with-both-heads",
        source="Chen et al. (ECCV 2018), LMD, on a small network trained on synth-heads",
    ),
)
"""Metrics that need no file beyond the package."""
