"""Specs of lip sync on the project's own small SyncNet, in the published form.

Their protocols begin with `mini` and the digest of the weights: other numbers than those of the published network, and
only for frames that one synthetic head fills as in synth-heads.
"""

from __future__ import annotations

from typing import Any

from thbench.backbones.mini.digests import mark
from thbench.metrics.specs_mini_face import MINI_FACE
from thbench.spec import MetricSpec

_SYNC = (
    f"{mark('sync')}/{MINI_FACE}/upright-lips-48-by-nose-and-eyes/longest-stretch/25fps/16kHz-int16-mfcc/"
    "15-shifts-either-way"
)


def _sync(**fields: Any) -> MetricSpec:
    return MetricSpec(
        needs=frozenset({"audio"}),
        packages=("torch", "safetensors"),
        source="joonson/syncnet_python SyncNetInstance.py, on a small network trained on synth-heads",
        observer="thbench.metrics.observe_mini:MiniObserver",
        **fields,
    )


MINI_SYNC_METRICS: tuple[MetricSpec, ...] = (
    _sync(
        name="lse-c/mini",
        title="Lip-sync confidence (mini)",
        direction="higher",
        unit="1",
        low=0,
        protocol=f"{_SYNC}/median-less-minimum-of-mean-distances",
    ),
    _sync(
        name="lse-d/mini",
        title="Lip-sync distance (mini)",
        direction="lower",
        unit="1",
        low=0,
        protocol=f"{_SYNC}/minimum-of-mean-distances",
    ),
    _sync(
        name="av-offset/mini",
        title="Frames by which the sound leads the lips (mini; negative: lags)",
        direction="closer-to-real",
        unit="frames",
        low=-15,
        high=15,
        protocol=f"{_SYNC}/15-minus-argmin",
    ),
)
"""Metrics that need no file beyond the package."""
