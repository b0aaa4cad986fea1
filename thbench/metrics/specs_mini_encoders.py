"""Specs of FID, KID, FVD and identity similarity on the project's own small encoders.

Their protocols begin with `mini` and the digest of the weights: other numbers than those of the published networks, on
another scale, and made for synthetic heads.
"""

from __future__ import annotations

from thbench.backbones.mini.digests import mark
from thbench.spec import MetricSpec, SetStatistic

_TORCH = ("torch", "safetensors")
_REAL = "real=reference-row-of-ground-truth"
_SMALL = "whole-frame/area-or-bilinear"
_AGAINST = {
    "same-frame": "reference-frame-of-the-instant",
    "portrait": "first-frame-of-the-reference",
}
_FRAMES = f"{mark('frame_encoder')}/all-frames/{_SMALL}-128/256-features/{_REAL}"
_CLIPS = f"{mark('clip_encoder')}/T16/stride1/every-16/{_SMALL}-64/128-features/{_REAL}"


def _csim(against: str) -> MetricSpec:
    return MetricSpec(
        name=f"csim/mini/whole-frame/{against}",
        title="Identity similarity (mini)" + (" to the portrait" if against == "portrait" else ""),
        direction="higher",
        unit="1",
        low=-1,
        high=1,
        protocol=f"{mark('identity')}/{_SMALL}-112/no-alignment/cosine/{_AGAINST[against]}/mean",
        source="Deng et al., ArcFace (CVPR 2019), on a small network trained on synth-heads",
        needs=frozenset({"reference"}),
        packages=_TORCH,
        observer="thbench.metrics.observe_mini_csim:MiniCsimObserver",
    )


MINI_ENCODER_METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="fid/mini",
        title="Frechet distance of frames (mini)",
        direction="lower",
        unit="1",
        low=0,
        protocol=f"{_FRAMES}/float64/ddof1",
        source="Heusel et al. (NeurIPS 2017), equation 6, on a small network trained on synth-heads",
        needs=frozenset({"reference"}),
        packages=_TORCH,
        statistic=SetStatistic(kind="frechet", extractor="mini-frame-encoder", reference="mini-frame-encoder", ddof=1),
        observer="thbench.metrics.observe_mini_sets:MiniFrameObserver",
    ),
    MetricSpec(
        name="kid/mini",
        title="Kernel distance of frames (mini)",
        direction="lower",
        unit="1",
        protocol=f"{_FRAMES}/cubic-kernel/unbiased/100-subsets-of-min(1000,N)/seed2020",
        source="Binkowski et al. (ICLR 2018), on a small network trained on synth-heads",
        needs=frozenset({"reference"}),
        packages=_TORCH,
        statistic=SetStatistic(
            kind="kid", extractor="mini-frame-encoder", reference="mini-frame-encoder", subsets="shrinking"
        ),
        observer="thbench.metrics.observe_mini_sets:MiniFrameObserver",
    ),
    MetricSpec(
        name="fvd/mini",
        title="Frechet distance of clips (mini)",
        direction="lower",
        unit="1",
        low=0,
        protocol=f"{_CLIPS}/float64/ddof0",
        source="Unterthiner et al. (2018), on a small (2+1)-D network trained on synth-heads",
        needs=frozenset({"reference"}),
        packages=_TORCH,
        statistic=SetStatistic(kind="frechet", extractor="mini-clip-encoder", reference="mini-clip-encoder", ddof=0),
        observer="thbench.metrics.observe_mini_sets:MiniClipObserver",
    ),
    _csim("same-frame"),
    _csim("portrait"),
)
"""Metrics that need no file beyond the package."""
