"""The autoencoder's networks, in the key names of huggingface/diffusers.

Source: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022, section 3.1;
huggingface/diffusers, models/autoencoders/autoencoder_kl.py. Older files, `sd-vae-ft-mse` among them, call the
projections of the attention by other names; `read_published` knows both.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from thbench_methods.common.presets import shipped
from thbench_methods.nets.building import build
from thbench_methods.nets.unet3d.layers import Upsample
from thbench_methods.nets.vae.config import MINI
from torch import Tensor, nn

from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench_methods.nets.vae.config import VAEConfig

FILE = Path(__file__).parent / "mini.safetensors"
_EPS = 1e-6
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class AutoencoderKL(nn.Module):
    """Pictures (N, 3, H, W) in [-1, 1] to Gaussians over latents (N, latent, H / factor, W / factor), and back."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _Encoder(config)
        self.decoder = _Decoder(config)
        self.quant_conv = nn.Conv2d(2 * config.latent, 2 * config.latent, 1)
        self.post_quant_conv = nn.Conv2d(config.latent, config.latent, 1)

    def gaussian(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance, unscaled."""
        mean, log_variance = self.quant_conv(self.encoder(pictures)).chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def encode(self, pictures: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return scaled latents.

        Args:
            pictures: Shape (N, 3, H, W), range [-1, 1]; H and W multiples of the config's factor.
            generator: Draws from the Gaussian; without one its mean is taken.
        """
        mean, log_variance = self.gaussian(pictures)
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, device=generator.device, dtype=torch.float32)
            mean = mean + (0.5 * log_variance).exp() * noise.to(mean)
        return mean * self.config.scaling

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures (N, 3, H, W), about [-1, 1], of scaled latents."""
        pictures: Tensor = self.decoder(self.post_quant_conv(latents / self.config.scaling))
        return pictures


class _Resnet(nn.Module):
    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps=_EPS)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, outputs, eps=_EPS)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return hidden + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class _Attention(nn.Module):
    """One head over all places, with biases."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, eps=_EPS)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.group_norm(x).flatten(2).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        output: Tensor = x + self.to_out[0](mixed).transpose(1, 2).reshape(x.shape)
        return output


class _Middle(nn.Module):
    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(_Resnet(channels, channels, groups) for _ in range(2))
        self.attentions = nn.ModuleList([_Attention(channels, groups)])

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.resnets[1](self.attentions[0](self.resnets[0](x)))
        return output


class _Downsample(nn.Module):
    """Halves height and width; zeros are added to the right and below only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        smaller: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return smaller


class _DownBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, layers: int, groups: int, *, last: bool) -> None:
        super().__init__()
        widths = (inputs, *(outputs for _ in range(layers)))
        self.resnets = nn.ModuleList(_Resnet(a, b, groups) for a, b in pairwise(widths))
        self.downsamplers = None if last else nn.ModuleList([_Downsample(outputs)])

    def forward(self, x: Tensor) -> Tensor:
        for resnet in self.resnets:
            x = resnet(x)
        return x if self.downsamplers is None else self.downsamplers[0](x)


class _UpBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, layers: int, groups: int, *, last: bool) -> None:
        super().__init__()
        widths = (inputs, *(outputs for _ in range(layers)))
        self.resnets = nn.ModuleList(_Resnet(a, b, groups) for a, b in pairwise(widths))
        self.upsamplers = None if last else nn.ModuleList([Upsample(outputs)])

    def forward(self, x: Tensor) -> Tensor:
        for resnet in self.resnets:
            x = resnet(x)
        if self.upsamplers is None:
            return x
        larger: Tensor = self.upsamplers[0](x, (2 * x.shape[-2], 2 * x.shape[-1]))
        return larger


class _Encoder(nn.Module):
    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths, groups = (config.channels[0], *config.channels), config.groups
        last = len(config.channels) - 1
        self.patch = config.patch
        self.conv_in = nn.Conv2d(3 * config.patch**2, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            _DownBlock(a, b, config.layers, groups, last=i == last) for i, (a, b) in enumerate(pairwise(widths))
        )
        self.mid_block = _Middle(widths[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=_EPS)
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(F.pixel_unshuffle(x, self.patch))
        for block in self.down_blocks:
            x = block(x)
        output: Tensor = self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))
        return output


class _Decoder(nn.Module):
    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths, groups = (config.channels[-1], *reversed(config.channels)), config.groups
        last = len(config.channels) - 1
        self.conv_in = nn.Conv2d(config.latent, widths[0], 3, padding=1)
        self.mid_block = _Middle(widths[0], groups)
        self.up_blocks = nn.ModuleList(
            _UpBlock(a, b, config.layers + 1, groups, last=i == last) for i, (a, b) in enumerate(pairwise(widths))
        )
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=_EPS)
        self.patch = config.patch
        self.conv_out = nn.Conv2d(widths[-1], 3 * config.patch**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        output: Tensor = F.pixel_shuffle(self.conv_out(F.silu(self.conv_norm_out(x))), self.patch)
        return output


def read_published(state: Mapping[str, Tensor], config: VAEConfig, *, source: str) -> AutoencoderKL:
    """Make the autoencoder of a published state dict, in its present or its older key names.

    Args:
        state: Key to tensor.
        config: Sizes.
        source: What the state dict is, for errors.

    Raises:
        WeightsMismatchError: A key is missing or unexpected, or a shape differs.
    """
    renamed = {}
    for key, value in state.items():
        head, dot, rest = key.partition(".attentions.0.")
        name, _, kind = rest.rpartition(".")
        new = f"{head}{dot}{_OLD_NAMES.get(name, name)}.{kind}" if dot else key
        # Files of the first release keep the projections as 1 x 1 convolutions.
        renamed[new] = value.flatten(1) if dot and value.ndim == 4 else value
    return build(lambda: AutoencoderKL(config), renamed, source=source)


def load_mini_vae(path: Path = FILE) -> AutoencoderKL:
    """Load the shipped weights, strictly.

    Args:
        path: Another training's.

    Raises:
        MissingWeightsError: The file was not installed.
        WeightsMismatchError: It is damaged or of another network.
    """
    vae = AutoencoderKL(MINI)
    load_weights(shipped(path), vae)
    return vae


def whiten(vae: AutoencoderKL, mean: Tensor, deviation: Tensor) -> None:
    """Fold a shift and a scale of each latent channel into the weights, so that latents have mean 0 and deviation 1.

    Args:
        vae: Changed in place; its scaling must be 1.
        mean: Shape (latent,): of the present latents.
        deviation: Shape (latent,): of the present latents.
    """
    latent = vae.config.latent
    into, out = dict(vae.quant_conv.named_parameters()), dict(vae.post_quant_conv.named_parameters())
    with torch.no_grad():
        out["bias"].add_(out["weight"][:, :, 0, 0] @ mean)
        out["weight"].mul_(deviation[None, :, None, None])
        into["bias"][:latent] = (into["bias"][:latent] - mean) / deviation
        into["weight"][:latent] /= deviation[:, None, None, None]
        into["bias"][latent:] -= 2 * deviation.log()
