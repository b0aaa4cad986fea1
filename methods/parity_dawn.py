"""Which adapter runs which parity target of DAWN; importing this imports no network."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAWN = "thbench_methods.dawn.parity"

TARGETS: Mapping[str, str] = MappingProxyType(
    {
        "dawn.face_mask": f"{_DAWN}:face_mask",
        "dawn.lfg": f"{_DAWN}:lfg",
        "dawn.pbnet_blink": f"{_DAWN}:pbnet",
        "dawn.pbnet_joint": f"{_DAWN}:pbnet",
        "dawn.pbnet_pose": f"{_DAWN}:pbnet",
        "dawn.sample": f"{_DAWN}:sample",
        "dawn.unet3d": f"{_DAWN}:unet3d",
    }
)
"""Target to `module:callable`, registered with the entry-point group `thbench.parity`."""
