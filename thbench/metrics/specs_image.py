"""Specs of the metrics of pixels, landmarks and lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thbench.spec import MetricSpec

if TYPE_CHECKING:
    from thbench.spec import Need

_FRAMES = "full-frame/no-resize/8-bit/instants-up-to-the-shorter"
_LUMA = f"{_FRAMES}/luma-bt601-rounded"
_RGB = f"{_FRAMES}/rgb"
_GAUSSIAN = "gauss11-sigma1.5/K1=.01,K2=.03,L=255/population-covariance/valid-windows"
_WANG = "Wang, Bovik, Sheikh, Simoncelli (IEEE TIP 2004), equation 13"
_68 = "mediapipe-face-landmarker-to-68/shorter-side=256px"
_BOTH = "frames-with-both-faces/mean-over-frames"
_EAT = "EAT (ICCV 2023); yuangan/evaluation_eat code/test_lmd.py, there on dlib's landmarks"
_THM = "bangskitchen/talking-head-metrics metric.py, there on FaceXLib's landmarks"


def _image(**fields: Any) -> MetricSpec:
    return MetricSpec(
        direction="higher", needs=frozenset({"reference"}), observer="thbench.metrics.image:ImageObserver", **fields
    )


def _landmark(*, unit: str = "px@256", protocol: str, **fields: Any) -> MetricSpec:
    return MetricSpec(
        direction="lower",
        low=0,
        unit=unit,
        protocol=f"{_68}/{protocol}",
        needs=frozenset({"face", "reference"}),
        observer="thbench.metrics.landmarks:LandmarkObserver",
        **fields,
    )


def _jitter(**fields: Any) -> MetricSpec:
    return MetricSpec(
        direction="closer-to-real",
        unit="1/s^2",
        low=0,
        needs=frozenset({"face"}),
        source="thbench.metrics.jitter",
        observer="thbench.metrics.jitter:JitterObserver",
        **fields,
    )


def _length(*needs: Need, **fields: Any) -> MetricSpec:
    return MetricSpec(
        needs=frozenset(needs),
        source="thbench.metrics.duration",
        observer="thbench.metrics.duration:DurationObserver",
        **fields,
    )


PIXEL_METRICS: tuple[MetricSpec, ...] = (
    _image(
        name="psnr",
        title="Peak signal-to-noise ratio",
        unit="dB",
        low=0,
        protocol=f"{_RGB}/mse-over-pixels-and-channels/mean-of-per-frame-dB/infinite-if-any-frame-is-equal",
        source="10 log10(255^2 / MSE), as skimage.metrics.peak_signal_noise_ratio for each frame",
    ),
    _image(
        name="psnr/pooled",
        title="Peak signal-to-noise ratio of the whole clip",
        unit="dB",
        low=0,
        protocol=f"{_RGB}/dB-of-mse-over-all-frames/infinite-if-all-frames-are-equal",
        source="10 log10(255^2 / MSE), as torchmetrics' PeakSignalNoiseRatio with its default reduction",
    ),
    _image(
        name="psnr/cap100",
        title="Peak signal-to-noise ratio, at most 100 dB",
        unit="dB",
        low=0,
        high=100,
        protocol=f"{_RGB}/mse-over-pixels-and-channels/per-frame-dB-at-most-100/mean",
        source="JunyaoHu/common_metrics_on_video_quality calculate_psnr.py",
    ),
    _image(
        name="ssim",
        title="Structural similarity",
        unit="1",
        low=-1,
        high=1,
        protocol=f"{_LUMA}/{_GAUSSIAN}/mean-over-frames",
        source=_WANG,
    ),
    _image(
        name="ms-ssim",
        title="Multi-scale structural similarity",
        unit="1",
        low=0,
        high=1,
        protocol=(
            f"{_LUMA}/{_GAUSSIAN}/5-scales-2x2-means-odd-edge-dropped/weights-.0448-.2856-.3001-.2363-.1333/"
            "negative-scale-mean-is-0/sides>=176/mean-over-frames"
        ),
        source="Wang, Simoncelli, Bovik (Asilomar 2003), equation 7",
    ),
    MetricSpec(
        name="flicker",
        title="Temporal flickering: closeness of consecutive frames",
        direction="closer-to-real",
        unit="1",
        low=0,
        high=1,
        protocol="full-frame/rgb/8-bit/(255-mean-abs-difference)/255/mean-over-consecutive-instants",
        source="VBench (CVPR 2024), temporal flickering; Vchitect/VBench vbench/temporal_flickering.py",
        observer="thbench.metrics.flicker:FlickerObserver",
    ),
)

COLOUR_METRICS: tuple[MetricSpec, ...] = (
    _image(
        name="ssim/rgb",
        title="Structural similarity, mean of the colour channels",
        unit="1",
        on_request=True,
        low=-1,
        high=1,
        protocol=f"{_RGB}/{_GAUSSIAN}/mean-over-channels-then-frames",
        source=f"{_WANG}; per channel as JunyaoHu/common_metrics_on_video_quality calculate_ssim.py",
    ),
    _image(
        name="ssim/skimage",
        title="Structural similarity with scikit-image's default window",
        unit="1",
        on_request=True,
        low=-1,
        high=1,
        protocol=f"{_RGB}/uniform7/K1=.01,K2=.03,L=255/sample-covariance/valid-windows/mean-over-channels-then-frames",
        source="skimage.metrics.structural_similarity with channel_axis and data_range=255, otherwise its defaults",
    ),
)
"""SSIM on three channels instead of one: three times the cost of `ssim`, so not part of `IMAGE_METRICS`."""

LANDMARK_METRICS: tuple[MetricSpec, ...] = (
    _landmark(
        name="m-lmd/eat",
        title="Mouth landmark distance",
        protocol=f"whole-pixels/mouth20/mouth-centred/mean-euclidean/{_BOTH}",
        source=_EAT,
    ),
    _landmark(
        name="m-lmd/atvgnet",
        title="Mouth landmark distance, sum over points",
        protocol=f"whole-pixels/mouth20/mouth-centred/sum-euclidean/{_BOTH}",
        source="ATVGnet (CVPR 2019); lelechen63/ATVGnet, landmark evaluation, there on dlib's landmarks",
    ),
    _landmark(
        name="m-lmd/vico",
        title="Mouth landmark distance, mean of x and y",
        protocol=f"mouth20/not-centred/mean-abs-x-and-y/{_BOTH}",
        source="ViCo challenge; dc3ea9f/vico_challenge_baseline evaluations/compute_lmd.py, there on face_alignment",
    ),
    _landmark(
        name="m-lmd/thm68",
        title="Mouth landmark distance, divided by 68",
        protocol=f"mouth20/not-centred/sum-euclidean-over-68/{_BOTH}",
        source=_THM,
    ),
    _landmark(
        name="m-lmd/plain",
        title="Mouth landmark distance, head motion included",
        protocol=f"mouth20/not-centred/mean-euclidean/{_BOTH}",
        source="as m-lmd/thm68, divided by the number of points",
    ),
    _landmark(
        name="m-lmd/centred",
        title="Mouth landmark distance, sub-pixel",
        protocol=f"mouth20/mouth-centred/mean-euclidean/{_BOTH}",
        source="as m-lmd/eat without rounding",
    ),
    _landmark(
        name="m-lmd/interocular",
        title="Mouth landmark distance relative to the eyes' distance",
        unit="1",
        protocol=f"mouth20/mouth-centred/mean-euclidean/over-reference-eye-distance-of-the-frame/{_BOTH}",
        source="as m-lmd/centred; normalised as in 300-W (ICCVW 2013), between eye centres",
    ),
    _landmark(
        name="f-lmd/eat",
        title="Face landmark distance",
        protocol=f"whole-pixels/all68/face-centred/mean-euclidean/{_BOTH}",
        source=_EAT,
    ),
    _landmark(
        name="f-lmd/thm",
        title="Face landmark distance, head motion included",
        protocol=f"all68/not-centred/mean-euclidean/{_BOTH}",
        source=_THM,
    ),
    _landmark(
        name="f-lmd/interocular",
        title="Face landmark distance relative to the eyes' distance",
        unit="1",
        protocol=f"all68/face-centred/mean-euclidean/over-reference-eye-distance-of-the-frame/{_BOTH}",
        source="as f-lmd/eat without rounding; normalised as in 300-W (ICCVW 2013), between eye centres",
    ),
    _landmark(
        name="akd/mediapipe68",
        title="Average keypoint distance",
        protocol=f"all68/not-centred/mean-abs-x-and-y/{_BOTH}",
        source="First Order Motion Model (NeurIPS 2019); AliaksandrSiarohin/pose-evaluation, there on face_alignment",
    ),
    _landmark(
        name="m-lvd/eat",
        title="Mouth landmark velocity distance",
        unit="px@256/frame",
        protocol="whole-pixels/mouth20/not-centred/mean-euclidean-of-displacements/sum-over-pairs-over-(pairs+1)",
        source=_EAT,
    ),
)

STABILITY_METRICS: tuple[MetricSpec, ...] = (
    _jitter(
        name="landmark-jitter",
        title="Acceleration of the face's steady points",
        protocol=(
            "mediapipe-face-landmarker-to-68/nose-and-eye-corners/second-difference*fps^2/rms-over-points-and-xy/"
            "over-mean-eye-distance/no-gap-bridged"
        ),
    ),
    _jitter(
        name="landmark-jitter/shape",
        title="Acceleration of the face's steady points, head motion removed",
        protocol=(
            "mediapipe-face-landmarker-to-68/nose-and-eye-corners/similarity-aligned-to-first-face/"
            "second-difference*fps^2/rms-over-points-and-xy/over-mean-eye-distance/no-gap-bridged"
        ),
    ),
)

LENGTH_METRICS: tuple[MetricSpec, ...] = (
    _length(
        "reference",
        name="duration-error",
        title="Difference in length to the reference",
        direction="lower",
        unit="s",
        low=0,
        protocol="file-timestamps/picture/absolute",
    ),
    _length(
        "audio",
        name="av-length-gap",
        title="How late the sound ends after the picture",
        direction="closer-to-real",
        unit="ms",
        protocol="file-timestamps/end-of-sound-minus-end-of-last-frame",
    ),
    _length(
        "audio",
        name="av-start-gap",
        title="How late the sound starts after the picture",
        direction="closer-to-real",
        unit="ms",
        protocol="file-timestamps/first-sample-minus-first-frame",
    ),
)

IMAGE_METRICS: tuple[MetricSpec, ...] = PIXEL_METRICS + LANDMARK_METRICS + STABILITY_METRICS + LENGTH_METRICS
"""The metrics of pixels, landmarks and lengths that belong to every evaluation."""
