"""Specs of the metrics that a 3-D face model defines: AED, APD, E-FID.

The models are under licences that each user signs; their files are the user's and never come with thbench.
"""

from __future__ import annotations

from typing import Any

from thbench.spec import MetricSpec, SetStatistic

_FACES = (
    "5-of-68-points-of-the-shared-face-pass/weak-perspective-to-the-standard-face/scale-102/pil-bicubic-224/"
    "deep3dfacerecon-resnet50"
)
_COMMON: dict[str, Any] = {
    "direction": "lower",
    "low": 0,
    "weights": ("deep3d", "deep3d-standard-face"),
    "packages": ("torch", "scipy"),
    "on_request": True,
}
_BY_FRAME: dict[str, Any] = {
    **_COMMON,
    "needs": frozenset({"face", "reference"}),
    "observer": "thbench.metrics.observe_coefficients:CoefficientObserver",
}
_FRAMES = "frames-with-both-faces/mean"

COEFFICIENT_METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="aed/deep3d",
        title="Average expression distance",
        unit="1",
        protocol=f"{_FACES}/64-expression-coefficients/absolute-difference/{_FRAMES}",
        source="evaluation scripts of StyleHEAT and OTAvatar; sicxu/Deep3DFaceRecon_pytorch",
        **_BY_FRAME,
    ),
    MetricSpec(
        name="apd/deep3d-rad",
        title="Average pose distance",
        unit="rad",
        protocol=f"{_FACES}/3-euler-angles/absolute-difference/{_FRAMES}",
        source="evaluation scripts of StyleHEAT and OTAvatar; sicxu/Deep3DFaceRecon_pytorch",
        **_BY_FRAME,
    ),
    MetricSpec(
        name="apd/deep3d-deg",
        title="Average pose distance",
        unit="deg",
        protocol=f"{_FACES}/3-euler-angles/absolute-difference/{_FRAMES}/degrees",
        source="evaluation scripts of StyleHEAT and OTAvatar, in degrees; sicxu/Deep3DFaceRecon_pytorch",
        **_BY_FRAME,
    ),
    MetricSpec(
        name="e-fid/deep3d",
        title="Expression Frechet distance",
        unit="1",
        protocol=f"{_FACES}/64-expression-coefficients/frames-with-a-face/against-the-ground-truth-row/float64/ddof1",
        source="idea of EMO (ECCV 2024), which has no published code; read as a Frechet distance of frames x 64 "
        "coefficients, as asked in antgroup/echomimic issue 177; not comparable with hallo2's ER-NeRF tracking",
        needs=frozenset({"face", "reference"}),
        statistic=SetStatistic(kind="frechet", extractor="deep3d.expression", reference="deep3d.expression", ddof=1),
        observer="thbench.metrics.observe_coefficients:ExpressionObserver",
        **_COMMON,
    ),
)
"""Metrics of Deep3DFaceRecon's coefficients."""
