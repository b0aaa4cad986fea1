"""The UNet over video: the whole pass, and passes of its last up layers alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar

from thbench_methods.nets.unet3d.focus import Focus, Foreground, Keeping, Restricted
from thbench_methods.nets.unet3d.layout import clips, images, repeated
from thbench_methods.nets.unet3d.unet import UNet

from thbench.accel.tree import mapped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor


class Read(Protocol):
    """A condition with features of a reference image."""

    @property
    def batch(self) -> int:
        """Rows B of the latents that it is for."""
        ...

    def without_reference(self, places: Collection[str], /) -> Self:
        """Return the condition without the features of some places."""
        ...

    def conditional(self) -> Self:
        """Return the conditional half of [unconditional | conditional]."""
        ...

    def repeated(self, times: int, /) -> Self:
        """Return the condition of a batch whose rows are each repeated, the copies of a row together."""
        ...


ConditionT = TypeVar("ConditionT", bound=Read)


class Kept(NamedTuple):
    """What a full pass keeps for the passes of the last layers alone; rows are clips times what a tensor counts."""

    entered: Any
    """What entered the first of these layers, as `VideoUNet.keep` gives it."""
    skips: Sequence[Tensor] = ()
    """Skips (B, C, F, h, w) of these layers, where they are not computed anew."""
    background: Mapping[str, Tensor] | None = None
    """Attention to its outputs for the background, where attention acts in the foreground only."""


class VideoUNet(UNet, ABC, Generic[ConditionT]):
    """A denoiser of latent video; a method says how its condition is laid out for its stages."""

    @abstractmethod
    def call(self, condition: ConditionT, frames: int) -> Any:
        """Return what the stages want to know of a forward pass over clips of so many frames; it has a `focus`."""

    @abstractmethod
    def first(self, z: Tensor, condition: ConditionT) -> Tensor:
        """Return the first feature, which is the first skip: (B F, channels[0], h, w)."""

    def keep(self, deep: Tensor, call: Any) -> Any:
        """Return what `recall` needs in another pass, given the trunk's output (B, C, F, h, w)."""
        del call
        return deep

    def recall(self, kept: Any, call: Any) -> tuple[Tensor, Any]:
        """Return the trunk's output (B, C, F, h, w) and the call of a pass that goes on from there."""
        tensor: Tensor = kept
        return tensor, call

    def full(self, z: Tensor, t: Tensor, condition: ConditionT) -> tuple[Tensor, Any]:
        """Return the prediction, and what enters the last up layer.

        Args:
            z: Noisy latents (B, latent, F, h, w).
            t: Times, shape () or (B,).
            condition: Of the same batch.

        Returns:
            Prediction (B, latent, F, h, w), and the input of the last up layer without its skip (B, channels, F, h, w),
            with what else `keep` says.
        """
        prediction, kept = View(self).full(z, t, condition)
        return prediction, kept.entered

    def shallow(self, z: Tensor, t: Tensor, condition: ConditionT, deep: Any) -> Tensor:
        """Return the prediction of the last up layer alone, from what entered it in a full pass."""
        return View(self).shallow(z, t, condition, Kept(deep))

    def cut(self, layers: int) -> View[ConditionT]:
        """Return the network as a denoiser whose shallow pass runs the last `layers` up layers."""
        return View(self, layers)

    def decoder(self) -> View[ConditionT]:
        """Return the network as a denoiser whose shallow pass runs all up layers, on the skips of the full pass."""
        return View(self, self.up_layers, keep_skips=True)

    def focused(self, foreground: Tensor, attentions: Collection[str] = ()) -> View[ConditionT]:
        """Return the network as a denoiser whose last layer attends in the foreground (h, w) of the latent only."""
        return View(self).focused(foreground, attentions)

    def repeated(self, condition: ConditionT, deep: Any, times: int) -> tuple[ConditionT, Any]:
        """Return condition and `deep` of a batch whose rows are each repeated, the copies of a row together."""
        return View(self).repeated(condition, deep, times)

    @property
    def reference_places(self) -> tuple[str, ...]:
        """Where features of a reference image are read, from the first layer to the last."""
        return reading_places(self)

    def without_reference(self, condition: ConditionT, places: Collection[str]) -> ConditionT:
        """Return the condition without the features of some places."""
        return condition.without_reference(places)

    def conditional(self, condition: ConditionT) -> ConditionT:
        """Return the conditional half of a condition."""
        return condition.conditional()


def located(first: Tensor, locator: Tensor, frames: int) -> Tensor:
    """Return the first feature (B F, C, h, w) with the face locator's (B, C, F, h, w), or 1 in the place of F."""
    return images(clips(first, frames) + locator)


def reading_places(network: UNet) -> tuple[str, ...]:
    """Return the places of the spatial transformers, from the first layer to the last."""
    blocks = [*network.down_blocks, network.mid_block, *network.up_blocks]
    stages = (stage for block in blocks if hasattr(block, "attentions") for stage in block.attentions)
    return tuple(str(stage.place) for stage in stages)


@dataclass(frozen=True, slots=True)
class View(Generic[ConditionT]):
    """A UNet over video as a denoiser, and what of it a shallow pass runs."""

    network: VideoUNet[ConditionT]
    layers: int = 1
    """Last up layers that a shallow pass runs."""
    keep_skips: bool = False
    """The shallow pass takes the skips of the full pass; it computes them anew otherwise."""
    foreground: Foreground | None = None
    """Where the attentions of a shallow pass act; None for everywhere."""

    def full(self, z: Tensor, t: Tensor, condition: ConditionT) -> tuple[Tensor, Kept]:
        """Return the prediction and what is kept of the pass, as in `VideoUNet.full`."""
        network, frames = self.network, z.shape[2]
        time, call = network.time_embedding(t.reshape(-1)), network.call(condition, frames)
        deep, skips = network.trunk(network.first(z, condition), time, call, self.layers)
        entered = network.keep(clips(deep, frames), call)
        keeping = None if self.foreground is None else Keeping(self.foreground)
        call = _focused(call, keeping)
        prediction = clips(network.head(deep, skips, time, call), frames)
        kept_skips = [clips(skip, frames) for skip in skips] if self.keep_skips else ()
        return prediction, Kept(entered, kept_skips, None if keeping is None else keeping.kept)

    def shallow(self, z: Tensor, t: Tensor, condition: ConditionT, deep: Kept) -> Tensor:
        """Return the prediction of the last up layers alone, from what was kept of a full pass."""
        network, frames = self.network, z.shape[2]
        time, call = network.time_embedding(t.reshape(-1)), network.call(condition, frames)
        skips = [images(skip) for skip in deep.skips]
        if not self.keep_skips:
            skips = list(islice(network.descend(network.first(z, condition), time, call), self.layers))
        entered, call = network.recall(deep.entered, call)
        restricted = None
        if self.foreground is not None and deep.background is not None:
            restricted = Restricted(self.foreground, deep.background)
        return clips(network.head(images(entered), skips, time, _focused(call, restricted)), frames)

    def cut(self, layers: int) -> View[ConditionT]:
        """Return the same denoiser; its shallow pass runs the last `layers` up layers."""
        return replace(self, layers=layers, keep_skips=False)

    def decoder(self) -> View[ConditionT]:
        """Return the same denoiser; its shallow pass runs all up layers, on the skips of the full pass."""
        return replace(self, layers=self.network.up_layers, keep_skips=True)

    def focused(self, foreground: Tensor, attentions: Collection[str] = ()) -> View[ConditionT]:
        """Return the same denoiser; attentions of its shallow pass act in the foreground only.

        Args:
            foreground: Shape (h, w) of the latent, bool.
            attentions: Stages whose attentions do, e.g. `motion_modules`; all of them unless stated.
        """
        device = next(self.network.parameters()).device
        return replace(self, foreground=Foreground.of(foreground, attentions).to(device))

    def repeated(self, condition: ConditionT, deep: Any, times: int) -> tuple[ConditionT, Any]:
        """Return condition and what was kept, of a batch whose rows are each repeated."""
        batch = condition.batch
        return condition.repeated(times), mapped(deep, lambda rows: repeated(rows, batch, times))

    @property
    def reference_places(self) -> tuple[str, ...]:
        """As of the network."""
        return self.network.reference_places

    def without_reference(self, condition: ConditionT, places: Collection[str]) -> ConditionT:
        """Return the condition without the features of some places."""
        return condition.without_reference(places)

    def conditional(self, condition: ConditionT) -> ConditionT:
        """Return the conditional half of a condition."""
        return condition.conditional()


def _focused(call: Any, focus: Focus | None) -> Any:
    return call if focus is None else replace(call, focus=focus)
