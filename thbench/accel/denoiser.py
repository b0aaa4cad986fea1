"""What the sampler loop asks of a denoiser and of a schedule.

`Denoiser` and `Schedule` are enough for every plan that runs step by step. The other protocols are abilities that
single plans ask for; `able` turns a missing one into an error that says which plan needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch import Tensor

AbilityT = TypeVar("AbilityT")


class Denoiser(Protocol):
    """A network that can run whole, or its last layer alone.

    For a U-Net `deep` is the input of the last up layer, for a transformer the input of its last block. Conditions and
    `deep` are whatever the network makes of them; the loop only hands them back.
    """

    def full(self, z: Tensor, t: Tensor, condition: Any, /) -> tuple[Tensor, Any]:
        """Return the prediction and `deep`.

        Args:
            z: Noisy latents, shape (B, ...).
            t: Times, shape (B,).
            condition: What is generated from.
        """
        ...

    def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Any, /) -> Tensor:
        """Return the prediction of the last layer alone, given what entered it in a full pass."""
        ...


class Schedule(Protocol):
    """Which times are visited, and how a latent moves from one to the next."""

    @property
    def times(self) -> Sequence[float]:
        """What the network is told, in the order visited."""
        ...

    def step(self, index: int, latent: Tensor, prediction: Tensor, /) -> Tensor:
        """Return the latent after step `index`, from what the network made of it."""
        ...


@runtime_checkable
class Estimating(Protocol):
    """A schedule that knows where a prediction leads if it keeps its clean latent and its noise."""

    def estimate(self, index: int, later: int, latent: Tensor, prediction: Tensor, /) -> Tensor:
        """Return the latent that enters step `later`.

        Args:
            index: Step of the prediction.
            later: A step after it.
            latent: What entered step `index`.
            prediction: What the network made of it.
        """
        ...


@runtime_checkable
class Repeating(Protocol):
    """A denoiser that can predict several steps of a clip as one batch."""

    def repeated(self, condition: Any, deep: Any, times: int, /) -> tuple[Any, Any]:
        """Return condition and `deep` for latents whose rows are each repeated, the copies of a row together."""
        ...


@runtime_checkable
class Cuttable(Protocol):
    """A U-Net that can be cut elsewhere than below its last up layer."""

    def cut(self, layers: int, /) -> Denoiser:
        """Return the same network with `shallow` running the last `layers` up layers, and the down layers beside."""
        ...

    def decoder(self) -> Denoiser:
        """Return the same network with `shallow` running everything behind the down and middle blocks."""
        ...


@runtime_checkable
class Focusing(Protocol):
    """A denoiser whose last layer can attend in the foreground only."""

    def focused(self, foreground: Tensor, attentions: Collection[str], /) -> Denoiser:
        """Return the same network; in `shallow`, background tokens keep the attention outputs of the full pass.

        Args:
            foreground: Shape (h, w) of the latent, bool.
            attentions: Stages whose attentions are meant, in the network's own words; empty for all.
        """
        ...


@runtime_checkable
class ReferenceReading(Protocol):
    """A denoiser that reads features of a reference image."""

    @property
    def reference_places(self) -> Sequence[str]:
        """Where it reads them, from the first layer to the last."""
        ...

    def without_reference(self, condition: Any, places: Collection[str], /) -> Any:
        """Return the condition without the features of some places."""
        ...


@runtime_checkable
class CachingGuidance(Protocol):
    """A denoiser under classifier-free guidance that can run its conditional half alone."""

    def with_cached_guidance(self) -> Led:
        """Return the same denoiser, able to reuse what guidance added."""
        ...


@runtime_checkable
class Led(Denoiser, Protocol):
    """A guided denoiser that can leave its unconditional half out."""

    def led(self, z: Tensor, t: Tensor, condition: Any, deep: Any, /) -> tuple[Tensor, Any]:
        """Return the prediction of a whole pass of the conditional half, with the guidance of the pass before."""
        ...


LACKING = {
    "Cuttable": "it is no U-Net with skips",
    "Estimating": "its steps draw fresh noise, so where they lead cannot be told in advance",
    "Focusing": "its last layer has no attention over the places of a picture",
    "CachingGuidance": "it is not sampled under classifier-free guidance of two halves",
    "ReferenceReading": "it reads no features of a reference image",
    "Repeating": "it cannot predict several steps as one batch",
}
"""Ability to why a denoiser or a schedule has it not."""


def able(value: object, ability: type[AbilityT], wanted_by: str) -> AbilityT:
    """Return the value if it has an ability.

    Args:
        value: A denoiser or schedule.
        ability: A protocol of this module.
        wanted_by: What needs it, for the error.

    Raises:
        MethodError: It has not.
    """
    if not isinstance(value, ability):
        reason = LACKING.get(ability.__name__, f"it is not {ability.__name__}")
        raise MethodError(
            f"{wanted_by} cannot be applied to {type(value).__name__}: {reason}; use another plan for this method"
        )
    return value
