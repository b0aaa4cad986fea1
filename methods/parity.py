"""Which adapter runs which parity target of the methods; importing this imports no network."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DREAMTALK = "thbench_methods.dreamtalk.parity"
_ECHOMIMIC = "thbench_methods.echomimic.parity"
_HALLO = "thbench_methods.hallo.parity"
_KDTALKER = "thbench_methods.kdtalker.parity"
_LIVEPORTRAIT = "thbench_methods.nets.liveportrait.parity"
_MEMO = "thbench_methods.memo.parity"
_MODA = "thbench_methods.moda.parity"

TARGETS: Mapping[str, str] = MappingProxyType(
    {
        "dreamtalk.denoiser": f"{_DREAMTALK}:denoiser",
        "dreamtalk.renderer": f"{_DREAMTALK}:renderer",
        "dreamtalk.sample": f"{_DREAMTALK}:sample",
        "echomimic.denoising_unet": f"{_ECHOMIMIC}:denoising_unet",
        "echomimic.face_locator": f"{_ECHOMIMIC}:face_locator",
        "hallo.audio_proj": f"{_HALLO}:audio_proj",
        "hallo.denoising_unet": f"{_HALLO}:denoising_unet",
        "hallo.face_locator": f"{_HALLO}:face_locator",
        "hallo.image_proj": f"{_HALLO}:image_proj",
        "hallo.reference_unet": f"{_HALLO}:reference_unet",
        "hallo.sample": f"{_HALLO}:sample",
        "kdtalker.audio_encoder": f"{_KDTALKER}:audio_encoder",
        "kdtalker.denoiser": f"{_KDTALKER}:denoiser",
        "kdtalker.sample": f"{_KDTALKER}:sample",
        "liveportrait.appearance": f"{_LIVEPORTRAIT}:appearance",
        "liveportrait.generator": f"{_LIVEPORTRAIT}:generator",
        "liveportrait.keypoints": f"{_LIVEPORTRAIT}:keypoints",
        "liveportrait.motion": f"{_LIVEPORTRAIT}:motion",
        "liveportrait.stitching": f"{_LIVEPORTRAIT}:stitching",
        "liveportrait.warping": f"{_LIVEPORTRAIT}:warping",
        "memo.denoising_unet": f"{_MEMO}:denoising_unet",
        "moda.denoiser": f"{_MODA}:denoiser",
        "moda.denoiser_small": f"{_MODA}:denoiser",
        "moda.sample": f"{_MODA}:sample",
    }
)
"""Target to `module:callable`, registered with the entry-point group `thbench.parity`."""
