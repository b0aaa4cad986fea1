"""What the pipelines of all methods share: controls, sound, portraits, presets, seeds and seconds by stage."""

from thbench_methods.common.controls import Control, read_controls
from thbench_methods.common.portrait import portrait_tensor, resized, to_frame_batch
from thbench_methods.common.presets import chosen, own_files, shipped
from thbench_methods.common.seeds import Noise
from thbench_methods.common.sound import at_frame_rate, model_frames, speech
from thbench_methods.common.stages import Stages

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
