"""What the pipelines of all methods share: controls, sound, portraits, presets, seeds and seconds by stage.

Specs read their controls from here, and listing them must not load torch: names are imported at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thbench_methods.common.controls import Control, read_controls
    from thbench_methods.common.portrait import portrait_tensor, resized, to_frame_batch
    from thbench_methods.common.presets import chosen, own_files, shipped
    from thbench_methods.common.seeds import Noise
    from thbench_methods.common.sound import at_frame_rate, model_frames, speech
    from thbench_methods.common.stages import Stages

_MODULES = {
    "Control": "controls",
    "Noise": "seeds",
    "Stages": "stages",
    "at_frame_rate": "sound",
    "chosen": "presets",
    "model_frames": "sound",
    "own_files": "presets",
    "portrait_tensor": "portrait",
    "read_controls": "controls",
    "resized": "portrait",
    "shipped": "presets",
    "speech": "sound",
    "to_frame_batch": "portrait",
}
"""Name to the module that it is read from."""

__all__ = [
    "Control",
    "Noise",
    "Stages",
    "at_frame_rate",
    "chosen",
    "model_frames",
    "own_files",
    "portrait_tensor",
    "read_controls",
    "resized",
    "shipped",
    "speech",
    "to_frame_batch",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
