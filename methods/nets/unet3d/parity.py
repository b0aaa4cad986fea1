"""What the parity adapters of the UNet family share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thbench_methods.nets.unet3d.config import Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

BANK = "reference_bank."
"""Prefix of the reference network's features among a fixture's inputs and outputs."""


def sizes_of(config: Mapping[str, Any]) -> Sizes:
    """Return the sizes that a published UNet configuration names."""
    # The published configurations call the number of heads `attention_head_dim`, as diffusers long did.
    sizes = Sizes(
        latent=config["in_channels"],
        channels=tuple(config["block_out_channels"]),
        layers=config["layers_per_block"],
        heads=config["attention_head_dim"],
        groups=config["norm_num_groups"],
        tokens=config["cross_attention_dim"],
    )
    own = {"audio": config.get("audio_attention_dim")}
    own["positions"] = config.get("motion_module_kwargs", {}).get("temporal_position_encoding_max_len")
    return replace(sizes, **{name: value for name, value in own.items() if value is not None})


def features_of(given: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the inputs under a prefix, by place."""
    return {name.removeprefix(prefix): tensor for name, tensor in given.items() if name.startswith(prefix)}
