"""EchoMimic Acc from request to frames.

Source: antgroup/echomimic at a53e970, src/pipelines/pipeline_echo_mimic_acc.py. What that does beside EchoMimic's is
the identity: it turns a velocity into a clean latent and that into a velocity again.
"""

from __future__ import annotations

from thbench_methods.echomimic import bundle as files
from thbench_methods.echomimic.acc.spec import CONTROLS, ECHOMIMIC_ACC
from thbench_methods.echomimic.config import ACCELERATED, MINI_ACCELERATED
from thbench_methods.echomimic.pipeline import EchoMimic, Kind, Preset

PRESETS = {
    "mini": Preset(MINI_ACCELERATED, files.load_mini_acc),
    "paper": Preset(ACCELERATED, files.load_published_acc),
}
KIND = Kind(ECHOMIMIC_ACC.name, PRESETS, CONTROLS, __name__)


def EchoMimicAcc(preset: str = "mini", device: str = "cpu", accelerations: tuple[str, ...] = ()) -> EchoMimic:
    """Load EchoMimic Acc.

    Args:
        preset: `mini` or `paper`.
        device: Where the networks run.
        accelerations: Names of the registry.
    """
    return EchoMimic(preset, device, accelerations, KIND)
