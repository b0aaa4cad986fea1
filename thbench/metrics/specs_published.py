"""Specs of the metrics that published networks compute: FID, KID, FVD, LSE, CSIM, LPIPS, head-pose diversity.

The standard protocol of each family belongs to every evaluation; the others, which cost another pass of a network or
say nearly the same, are for those who ask for them by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thbench.backbones.mode_names import in_mode
from thbench.metrics.specs_coefficients import COEFFICIENT_METRICS
from thbench.spec import MetricSpec, SetStatistic

if TYPE_CHECKING:
    from collections.abc import Mapping

_TORCH = ("torch",)
_FRAMES = "full-frame/all-instants"
_RESIZES = {
    "pytorch-fid": "torch-bilinear/2x-1",
    "clean-fid": "pil-bicubic/(v-128)/128",
    "torch-fidelity": "tf1-bilinear/(v-128)/128",
    "torchmetrics": "torch-bilinear-antialias/(v-128)/128",
}
"""Tool to what `thbench.metrics.fid.PREPARATIONS` says of it."""
_FID_SOURCES = {
    "pytorch-fid": "mseitzer/pytorch-fid 0.3.0",
    "clean-fid": "GaParmar/clean-fid 0.1.35, mode clean",
    "torch-fidelity": "toshas/torch-fidelity 0.4.0",
    "torchmetrics": "torchmetrics 1.9.0 FrechetInceptionDistance",
}
_REAL = "against-the-ground-truth-row"


def _fid(tool: str, *, on_request: bool = True) -> MetricSpec:
    features = f"inception-2015-12-05.{tool}"
    return MetricSpec(
        name=f"fid/{tool}",
        title="Frechet inception distance",
        direction="lower",
        unit="1",
        low=0,
        protocol=f"{_FRAMES}/inception-2015-12-05/pool3/{_RESIZES[tool]}/{_REAL}/float64/ddof1",
        source=f"Heusel et al. (NeurIPS 2017), equation 6, as {_FID_SOURCES[tool]}",
        needs=frozenset({"reference"}),
        weights=("inception-fid",),
        packages=_TORCH,
        on_request=on_request,
        statistic=SetStatistic(kind="frechet", extractor=features, reference=features, ddof=1),
        observer="thbench.metrics.observe_fid:FidObserver",
    )


def _kid(tool: str, subsets: str, rule: str, *, on_request: bool = True) -> MetricSpec:
    features = f"inception-2015-12-05.{tool}"
    return MetricSpec(
        name=f"kid/{tool}",
        title="Kernel inception distance",
        direction="lower",
        unit="1",
        protocol=f"{_FRAMES}/inception-2015-12-05/pool3/{_RESIZES[tool]}/{_REAL}/cubic-kernel/unbiased/{rule}",
        source=f"Binkowski et al. (ICLR 2018), features as {_FID_SOURCES[tool]}",
        needs=frozenset({"reference"}),
        weights=("inception-fid",),
        packages=_TORCH,
        on_request=on_request,
        statistic=SetStatistic(kind="kid", extractor=features, reference=features, subsets=subsets),
        observer="thbench.metrics.observe_fid:FidObserver",
    )


def _fvd(name: str, protocol: str, source: str, *, standard: bool = True, **fields: Any) -> MetricSpec:
    videogpt = name in ("videogpt-16f", "disco")
    same = name != "styleganv-16f"
    return MetricSpec(
        **{
            "name": f"fvd/{name}",
            "title": "Frechet video distance" + ("" if standard else " (non-standard)"),
            "direction": "lower",
            "unit": "1",
            "low": 0,
            "protocol": f"{protocol}/{_REAL}/float64/weights-{'videogpt-state-dict' if videogpt else 'torchscript'}",
            "source": source,
            "needs": frozenset({"reference"}),
            "weights": ("i3d-videogpt" if videogpt else "i3d-torchscript",),
            "packages": _TORCH,
            "on_request": True,
            "statistic": SetStatistic(
                kind="frechet",
                extractor=f"i3d.{name}" if same else f"i3d.{name}.generated",
                reference=f"i3d.{name}" if same else f"i3d.{name}.reference",
                ddof=int(protocol.rpartition("ddof")[2]),
            ),
            "observer": "thbench.metrics.observe_fvd:FvdObserver",
            **fields,
        }
    )


def _fid_infinity(tool: str) -> MetricSpec:
    features = f"inception-2015-12-05.{tool}"
    return MetricSpec(
        name=f"fid-infinity/{tool}",
        title="Frechet inception distance at infinitely many frames",
        direction="lower",
        unit="1",
        protocol=f"{_FRAMES}/inception-2015-12-05/pool3/{_RESIZES[tool]}/{_REAL}/float64/ddof1/"
        "intercept-of-the-line-over-1/N/15-random-subsets-from-N5000-to-all/seed0",
        source=f"Chong and Forsyth (CVPR 2020), features as {_FID_SOURCES[tool]}",
        needs=frozenset({"reference"}),
        weights=("inception-fid",),
        packages=_TORCH,
        on_request=True,
        statistic=SetStatistic(kind="frechet-infinity", extractor=features, reference=features, ddof=1),
        observer="thbench.metrics.observe_fid:FidObserver",
    )


_CROP = "crop-2.8s-centre-0.4s-below/median13-zero-ends/opencv-bilinear-224"
_SCORE = "25fps/16kHz-int16-mfcc/15-shifts-either-way"
_S3FD_TRACKS = (
    "s3fd-scale0.25-score>0.9/shots-by-content-27-merged-15/iou>0.5,gaps<=25,length>100,side>100/mean-over-tracks"
)
_LSE_PROTOCOLS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "shared-faces": (
        f"face-mesh-box-of-the-shared-pass/iou>0.5,gaps<=25-interpolated/longest-track/{_CROP}/no-re-encoding/{_SCORE}",
        "joonson/syncnet_python with the shared face pass in place of S3FD and of its tracker",
        {
            "weights": ("syncnet",),
            "needs": frozenset({"face", "audio"}),
            "on_request": False,
            "approximates": "joonson",
        },
    ),
    "wav2lip-lrs": (
        f"whole-frame-opencv-bilinear-224/no-face-crop/{_SCORE}",
        "Rudrabha/Wav2Lip evaluation/scores_LSE/calculate_scores_LRS.py",
        {"weights": ("syncnet",), "needs": frozenset({"audio"}), "on_request": True},
    ),
    "joonson": (
        f"{_S3FD_TRACKS}/{_CROP}/no-re-encoding/{_SCORE}",
        "joonson/syncnet_python run_pipeline.py and run_syncnet.py, without their lossy encodings",
        {"weights": ("syncnet", "s3fd"), "needs": frozenset({"audio"}), "on_request": True, "version": 2},
    ),
    "joonson-lossy": (
        f"mpeg4-q2-and-jpeg-q2/mp3/{_S3FD_TRACKS}/{_CROP}/xvid-and-default-jpeg/{_SCORE}",
        "joonson/syncnet_python run_pipeline.py and run_syncnet.py, with their lossy encodings, without containers",
        {"weights": ("syncnet", "s3fd"), "needs": frozenset({"audio"}), "on_request": True},
    ),
}


def _lse(protocol: str) -> tuple[MetricSpec, ...]:
    text, source, fields = _LSE_PROTOCOLS[protocol]
    stands_for = fields.get("approximates")
    common: dict[str, Any] = {
        "source": source,
        "packages": _TORCH,
        "observer": "thbench.metrics.observe_lse:LseObserver",
        **fields,
    }

    def approximated(family: str) -> str | None:
        return f"{family}/{stands_for}" if stands_for else None

    return (
        MetricSpec(
            **common
            | {
                "name": f"lse-c/{protocol}",
                "title": "Lip-sync confidence (LSE-C, Sync-C)",
                "direction": "higher",
                "unit": "1",
                "low": 0,
                "protocol": f"{text}/median-less-minimum-of-mean-distances",
                "approximates": approximated("lse-c"),
            }
        ),
        MetricSpec(
            **common
            | {
                "name": f"lse-d/{protocol}",
                "title": "Lip-sync distance (LSE-D, Sync-D)",
                "direction": "lower",
                "unit": "1",
                "low": 0,
                "protocol": f"{text}/minimum-of-mean-distances",
                "approximates": approximated("lse-d"),
            }
        ),
        MetricSpec(
            **common
            | {
                "name": f"av-offset/{protocol}",
                "title": "Frames by which the sound leads the lips (negative: lags)",
                "direction": "closer-to-real",
                "unit": "frames",
                "low": -15,
                "high": 15,
                "protocol": f"{text}/15-minus-argmin" + ("/longest-track" if protocol.startswith("joonson") else ""),
                "approximates": approximated("av-offset"),
            }
        ),
    )


_ALIGNED = {
    "mediapipe-5pt": "5-points-of-the-shared-face-pass/least-squares-similarity-to-112/exact-bilinear",
    "whole-frame": "whole-frame-opencv-bilinear-112/no-alignment",
}
_AGAINST = {
    "same-frame": "reference-frame-of-the-instant/frames-with-both-faces",
    "portrait": "first-frame-of-the-reference/frames-with-a-face",
}


def _csim(model: str, alignment: str, against: str, *, on_request: bool) -> MetricSpec:
    ours = model == "w600k-r50"
    needs = {"reference", "face"} if alignment == "mediapipe-5pt" else {"reference"}
    return MetricSpec(
        name=f"csim/{model}/{alignment}/{against}",
        title="Identity similarity" + (" to the portrait" if against == "portrait" else ""),
        direction="higher",
        unit="1",
        low=-1,
        high=1,
        protocol=f"arcface-{model}/{_ALIGNED[alignment]}/(v-127.5)/127.5/cosine/{_AGAINST[against]}/mean",
        source="Deng et al., ArcFace (CVPR 2019); deepinsight/insightface "
        + ("w600k_r50.onnx of buffalo_l" if ours else "recognition/arcface_torch, a state dict of the user's choice"),
        needs=frozenset(needs),  # type: ignore[arg-type]  # the literals are checked by pydantic
        weights=("arcface-w600k-r50" if ours else "arcface-iresnet",),
        packages=_TORCH,
        on_request=on_request,
        observer="thbench.metrics.observe_csim:CsimObserver",
    )


def _lpips(trunk: str, weights: str, *, on_request: bool) -> MetricSpec:
    return MetricSpec(
        name=f"lpips/{trunk}",
        title="Learned perceptual distance",
        direction="lower",
        unit="1",
        low=0,
        protocol=f"full-frame/no-resize/rgb-in-[-1,1]/lpips-0.1-{trunk}/instants-up-to-the-shorter/mean-over-frames",
        source="Zhang et al. (CVPR 2018); richzhang/PerceptualSimilarity 0.1.4",
        needs=frozenset({"reference"}),
        weights=(weights,),
        packages=("torch", "torchmetrics|lpips"),
        on_request=on_request,
        observer="thbench.metrics.observe_lpips:LpipsObserver",
    )


def _pose(name: str, weights: str, unit: str, protocol: str, source: str, version: int = 1) -> MetricSpec:
    return MetricSpec(
        name=f"pose-div/{name}",
        version=version,
        title="Head-pose diversity",
        direction="closer-to-real",
        unit=unit,
        low=0,
        protocol=protocol,
        source=source,
        needs=frozenset({"face"}),
        weights=(weights,),
        packages=_TORCH,
        on_request=True,
        observer="thbench.metrics.observe_pose_networks:PoseNetworkObserver",
    )


_HOPENET_CROP = "shared-face-box/margins-1/2-sides-3/4-top-1/4-bottom/short-side-224-antialias/centre/imagenet"

_EXACT: tuple[MetricSpec, ...] = (
    _fid("pytorch-fid", on_request=False),
    _fid("clean-fid"),
    _fid("torch-fidelity"),
    _fid("torchmetrics"),
    _fid_infinity("pytorch-fid"),
    _kid("pytorch-fid", "shrinking", "100-subsets-of-min(1000,N)/seed2020", on_request=False),
    _kid("clean-fid", "clean-fid", "100-subsets-of-min(1000,N)/seed0"),
    _kid("torch-fidelity", "torch-fidelity", "100-subsets-of-1000/seed2020"),
    _fvd(
        "styleganv-16f",
        "i3d-k400/T16/reference-random-offset,generated-from-0/224-stretch/ddof0",
        "universome/stylegan-v src/metrics/frechet_video_distance.py (fvd2048_16f)",
        on_request=False,
    ),
    _fvd(
        "videogpt-16f",
        "i3d-k400/T16/first/224-short-side-crop/ddof1",
        "wilson1yan/VideoGPT videogpt/fvd/fvd.py",
    ),
    _fvd("16", "i3d-k400/T16/stride1/every-16/224-stretch/ddof0", "FVD16 of papers; clips that follow each other"),
    _fvd("32", "i3d-k400/T32/stride1/every-32/224-stretch/ddof0", "FVD32 of papers; clips that follow each other"),
    _fvd(
        "latentsync",
        "non-standard/i3d-k400/frames-20-35/shared-face-box-per-frame-area-224/range-0-1/ddof1",
        "bytedance/LatentSync eval/fvd.py, there on mediapipe's face detector",
        standard=False,
        needs=frozenset({"reference", "face"}),
    ),
    _fvd(
        "disco",
        "non-standard/i3d-k400/whole-video/224-stretch-pil-bicubic/time-pool-1/ddof1",
        "Wangt-CN/DisCo metrics, mp4 input",
        standard=False,
    ),
    *_lse("shared-faces"),
    *_lse("wav2lip-lrs"),
    *_lse("joonson"),
    *_lse("joonson-lossy"),
    *(
        _csim(model, alignment, against, on_request=(model, alignment) != ("w600k-r50", "mediapipe-5pt"))
        for model in ("w600k-r50", "iresnet")
        for alignment in _ALIGNED
        for against in _AGAINST
    ),
    _lpips("alex", "alexnet", on_request=False),
    _lpips("vgg", "vgg16", on_request=True),
    _pose(
        "hopenet-logits",
        "hopenet",
        "1",
        f"{_HOPENET_CROP}/std-over-time-of-raw-logits/first-200-frames-with-a-face/mean-over-bins-and-angles/ddof0",
        "KDTalker; chaolongy/KDTalker evaluation/deep-head-pose/code/cal_std.py",
    ),
    _pose(
        "hopenet-degrees",
        "hopenet",
        "deg",
        f"{_HOPENET_CROP}/3-degree-bins-expectation/std-over-time/mean-over-angles/ddof0",
        "Ruiz et al. (CVPR-W 2018); natanielruiz/deep-head-pose",
    ),
    _pose(
        "sixdrepnet-degrees",
        "sixdrepnet",
        "deg",
        "shared-face-box/margins-1/5-of-the-height-at-the-sides-of-the-width-above-and-below/short-side-224-antialias/"
        "centre/imagenet/std-over-time/mean-over-angles/ddof0",
        "Hempel et al., 6DRepNet (ICIP 2022); thohemp/6DRepNet, crop of sixdrepnet/demo.py",
        version=2,
    ),
)


def _fast(exact: MetricSpec) -> MetricSpec:
    """The same metric by networks in the mode `fast`, a column of its own."""
    # A program has no layers to round: it runs in bfloat16 where that is faster.
    products = "bfloat16-autocast" if "i3d-torchscript" in exact.weights else "8-bit-convolutions"
    detector = "/s3fd-on-every-5th-frame-and-ends-of-shots" if "s3fd" in exact.weights else ""
    statistic = exact.statistic
    if statistic is not None:
        names = {side: in_mode(getattr(statistic, side), "fast") for side in ("extractor", "reference")}
        statistic = statistic.model_copy(update=names)
    return exact.model_copy(
        update={
            "name": in_mode(exact.name, "fast"),
            "title": f"{exact.title}, fast mode",
            "protocol": f"{exact.protocol}/fast-{products}{detector}",
            "approximates": exact.name,
            "on_request": True,
            "statistic": statistic,
            "version": exact.version + 1,
        }
    )


_BOTH_MODES = (*_EXACT, *COEFFICIENT_METRICS)

PUBLISHED_METRICS: tuple[MetricSpec, ...] = (*_BOTH_MODES, *map(_fast, _BOTH_MODES))
"""Metrics of published networks, in both modes; those whose weights are absent say how to get them."""
