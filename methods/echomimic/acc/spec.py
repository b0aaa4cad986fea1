"""What is known of EchoMimic Acc; imports nothing heavy."""

from __future__ import annotations

from thbench_methods.common.controls import Control, helps
from thbench_methods.echomimic.config import ACCELERATED
from thbench_methods.echomimic.spec import PAPER_TITLE

from thbench.spec import MethodSpec

CONTROLS = {
    "steps": Control("denoising steps", ACCELERATED.sampling.steps, 1, 1000),
    "guidance": Control("scale of classifier-free guidance, 1 for none", ACCELERATED.sampling.guidance, 0.0, 20.0),
}
"""By name."""

ECHOMIMIC_ACC = MethodSpec(
    name="echomimic-acc",
    title="EchoMimic in six steps without guidance",
    kind="image-diffusion",
    factory="thbench_methods.echomimic.acc.pipeline:EchoMimicAcc",
    controls=helps(CONTROLS),
    presets=("mini", "paper"),
    paper=PAPER_TITLE,
    extra="torch",
    flops="thbench_methods.echomimic.flops:offer_acc",
    trainers={"mini": "thbench_methods.echomimic.acc.train:train"},
)
