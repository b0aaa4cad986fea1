"""How a method offers its networks for counting.

A method names a provider in its spec, `flops="module:callable"`. Called as `provider(preset)`, it returns an `Offer`:
its networks on the meta device, so that the published size needs neither weights nor memory, with the inputs of one
call each and how often each runs for one stated workload. Counting, applying accelerations and drawing tables is
thbench's part.

Example:
    A provider in a method's package, beside its spec:

    def offer(preset: str) -> Offer:
        config = PRESETS[preset]
        with torch.device("meta"):
            net = Denoiser(config.sizes)
            noise, condition = torch.empty(1, 64, 70), torch.empty(1, 64, 512)
        return Offer(
            workload="64 frames, 50 steps",
            frames=64,
            denoising=Denoising("denoiser", net, net, noise, condition, steps=50),
        )
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from thbench.accel.denoiser import Denoiser


@dataclass(frozen=True, slots=True)
class Part:
    """A network outside the sampler loop."""

    name: str
    """The paper's word, e.g. `reference_unet`."""
    module: nn.Module
    """On the meta device; its parameters are counted."""
    call: Callable[[], object]
    """One call of it."""
    calls: float = 1.0
    """How often it runs for the workload."""
    inputs: tuple[Any, ...] = ()
    """What it reads, tensors in any nesting."""


@dataclass(frozen=True, slots=True)
class Denoising:
    """The sampler loop."""

    name: str
    """The paper's word for the denoising network."""
    module: nn.Module
    """On the meta device; its parameters are counted."""
    denoiser: Denoiser
    """As the sampler loop runs it, guidance included; often `module` itself."""
    noise: Tensor
    """What a loop starts from, on the meta device."""
    condition: Any
    """In the denoiser's own type."""
    steps: int
    """Denoising steps of one loop."""
    loops: float = 1.0
    """How often the loop runs for the workload, e.g. once per window of frames."""
    key_steps: tuple[int, ...] | None = None
    """Calibrated for the method; None spreads them evenly."""
    foreground: Tensor | None = None
    """For foreground attention: shape (h, w) of the latent, bool, on the CPU; None where there is no such picture."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The networks of one preset and the workload that they are counted for."""

    workload: str
    """In words, e.g. `16 frames at 512 px, 40 steps, guided`."""
    frames: int
    """Frames of the workload."""
    denoising: Denoising | None = None
    """The sampler loop, where the method has one."""
    parts: tuple[Part, ...] = ()
    """Other networks, in the order in which they run."""
    dtype: str = "float32"
    """Number format that the method runs in, e.g. `float16`; for bytes and for the machine's rates."""
    uncounted: tuple[str, ...] = ()
    """What the method runs beside them and does not offer, in words."""


class Provider(Protocol):
    """What `MethodSpec.flops` names."""

    def __call__(self, preset: str) -> Offer:
        """Return the networks of a preset."""
        ...
