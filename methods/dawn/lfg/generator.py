"""The generator: a portrait under a flow to the frame; and the whole latent flow generator.

Source: Hanbo-Cheng/DAWN-pytorch, LFG/modules/generator.py; Ni et al., "Conditional Image-to-Video Generation with
Latent Flow Diffusion Models", CVPR 2023, section 3.2.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from thbench_methods.dawn.lfg.blocks import ConvBlock, DownBlock, ResidualBlock, UpBlock, resized, warp
from thbench_methods.dawn.lfg.flow import Flow, PixelwiseFlowPredictor
from thbench_methods.dawn.lfg.regions import BackgroundPredictor, RegionPredictor, Regions
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.dawn.config import LFGSizes


class Portrait(NamedTuple):
    """A portrait and what the generator sees in it; encoded once for a whole clip."""

    image: Tensor
    """Shape (N, 3, H, W), in [0, 1]."""
    maps: tuple[Tensor, ...]
    """Features from the full size down to a quarter."""

    @property
    def feature(self) -> Tensor:
        """The coarsest map, (N, 256, H / 4, W / 4): the diffusion model's view of the portrait."""
        return self.maps[-1]

    def repeated(self, times: int) -> Portrait:
        """Return each portrait so many times, the copies of one together."""
        image, *maps = (each.repeat_interleave(times, dim=0) for each in (self.image, *self.maps))
        return Portrait(image, tuple(maps))


class Frame(NamedTuple):
    """What the generator returns for one flow."""

    prediction: Tensor
    """Shape (N, 3, H, W), in [0, 1]."""
    deformed: Tensor
    """Shape (N, 3, H, W): the portrait itself under the flow."""


class Generator(nn.Module):
    """Warps the portrait's features at every size and paints what the flow cannot bring."""

    def __init__(
        self,
        num_channels: int = 3,
        *,
        block_expansion: int = 64,
        max_features: int = 512,
        num_down_blocks: int = 2,
        num_bottleneck_blocks: int = 6,
        flow_predictor: PixelwiseFlowPredictor | None = None,
    ) -> None:
        super().__init__()
        widths = [min(max_features, block_expansion * 2**level) for level in range(num_down_blocks + 1)]
        self.pixelwise_flow_predictor = flow_predictor or PixelwiseFlowPredictor(num_channels=num_channels)
        self.first = ConvBlock(num_channels, widths[0], kernel=7)
        self.down_blocks = nn.ModuleList(DownBlock(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.bottleneck = nn.Sequential()
        for number in range(num_bottleneck_blocks):
            self.bottleneck.add_module(f"r{number}", ResidualBlock(widths[-1]))
        self.up_blocks = nn.ModuleList(UpBlock(inputs, outputs) for inputs, outputs in pairwise(reversed(widths)))
        self.final = nn.Conv2d(widths[0], num_channels, 7, padding=3)

    def encode(self, image: Tensor) -> Portrait:
        """Return the features of portraits (N, 3, H, W) in [0, 1]."""
        maps = [self.first(image)]
        for block in self.down_blocks:
            maps.append(block(maps[-1]))
        return Portrait(image, tuple(maps))

    def decode(self, portrait: Portrait, flow: Flow) -> Frame:
        """Return the frames of N portraits under N flows."""
        finest, *others = portrait.maps
        x = self.bottleneck(warp(others[-1], flow.optical_flow) * resized(flow.occlusion_map, others[-1]))
        for block, skip in zip(self.up_blocks, reversed(others), strict=True):
            x = block(mixed(skip, x, flow))
        painted = self.final(mixed(finest, x, flow)).sigmoid()
        return Frame(mixed(portrait.image, painted, flow), warp(portrait.image, flow.optical_flow))


def mixed(source: Tensor, painted: Tensor, flow: Flow) -> Tensor:
    """Return what the flow brings from `source` (N, C, H, W) where it is visible, and `painted` elsewhere."""
    visible = resized(flow.occlusion_map, source)
    return warp(source, flow.optical_flow) * visible + painted * (1 - visible)


class LatentFlowGenerator(nn.Module):
    """The three networks, under the names of their entries in the checkpoint."""

    def __init__(
        self,
        generator: Generator | None = None,
        region_predictor: RegionPredictor | None = None,
        bg_predictor: BackgroundPredictor | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator or Generator()
        self.region_predictor = region_predictor or RegionPredictor()
        self.bg_predictor = bg_predictor or BackgroundPredictor()

    def flow(self, source: Tensor, driving: Tensor, regions: tuple[Regions, Regions] | None = None) -> Flow:
        """Return the flow that takes portraits to other images.

        Args:
            source: Shape (N, 3, H, W), in [0, 1].
            driving: Of the same shape.
            regions: Of the portraits and of the others; None lets the region predictor find them.
        """
        both: tuple[Regions, Regions] = regions or (self.region_predictor(source), self.region_predictor(driving))
        flow: Flow = self.generator.pixelwise_flow_predictor(source, *both, self.bg_predictor(source, driving))
        return flow

    def forward(self, source: Tensor, driving: Tensor) -> Frame:
        """Return `driving` as the portrait `source` and the flow between them give it: the flow autoencoder."""
        return self.generator.decode(self.generator.encode(source), self.flow(source, driving))


def flow_generator(sizes: LFGSizes) -> LatentFlowGenerator:
    """Return the three networks in given sizes, with random weights."""
    return LatentFlowGenerator(
        Generator(
            block_expansion=sizes.block_expansion,
            max_features=sizes.max_features,
            num_bottleneck_blocks=sizes.num_bottleneck_blocks,
            flow_predictor=PixelwiseFlowPredictor(sizes.num_regions, centred=sizes.centred, **asdict(sizes.flow)),
        ),
        RegionPredictor(
            sizes.num_regions, scale_factor=sizes.region_scale, spread=sizes.spread, **asdict(sizes.regions)
        ),
        BackgroundPredictor(**asdict(sizes.background)),
    )
