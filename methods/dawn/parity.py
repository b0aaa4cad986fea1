"""Adapters of DAWN's networks: fixture to outputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch
from thbench_methods.dawn import face_mask as face_masks
from thbench_methods.dawn import lfg as flow_generator
from thbench_methods.dawn.config import Diffusion, PBNetSizes, UNetSizes
from thbench_methods.dawn.diffusion import A2VFDM, flow_of
from thbench_methods.dawn.pbnet import PBNet
from thbench_methods.dawn.schedule import stochastic_ddim
from thbench_methods.dawn.unet import Condition, UNet
from thbench_methods.nets.building import build
from thbench_methods.nets.unet3d.guidance import Guided

from thbench.parity.loading import tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thbench.parity.fixture import Fixture

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)
Outputs = dict[str, Any]


def network(fixture: Fixture, factory: Callable[[], ModuleT]) -> ModuleT:
    """Build a network with the recipe's weights and its own tables, strictly."""
    return build(factory, tensors(fixture.weights()), source=fixture.target)


@torch.inference_mode()
def face_mask(fixture: Fixture) -> Outputs:
    """`dawn.face_mask`: the drawn box and its feature."""
    encoder = network(fixture, face_masks.FaceMaskEncoder)
    mask = face_masks.face_mask(torch.from_numpy(fixture.inputs["face_box"]), int(fixture.inputs["image_size"]))
    return {"face_mask": mask, "face_mask_feature": encoder(mask)}


@torch.inference_mode()
def lfg(fixture: Fixture) -> Outputs:
    """`dawn.lfg`: regions, background and flow of two images, and frames under that flow and a given one."""
    net = network(fixture, lambda: _flow_generator(fixture.config))
    given = tensors(fixture.inputs)
    source, driving = given["source_image"], given["driving_image"]
    source_regions, driving_regions = net.region_predictor(source), net.region_predictor(driving)
    background = net.bg_predictor(source, driving)
    flow = net.generator.pixelwise_flow_predictor(source, source_regions, driving_regions, background)
    portrait = net.generator.encode(source)
    frame = net.generator.decode(portrait, flow)
    warped = net.generator.decode(portrait, flow_generator.Flow(given["optical_flow"], given["occlusion_map"]))
    return {
        **{f"source_region_{name}": value for name, value in source_regions._asdict().items()},
        **{f"driving_region_{name}": value for name, value in driving_regions._asdict().items()},
        "bg_params": background,
        "bottleneck_feature": portrait.feature,
        **flow._asdict(),
        **frame._asdict(),
        **{f"warp_{name}": value for name, value in warped._asdict().items()},
    }


def _flow_generator(config: Mapping[str, Any]) -> flow_generator.LatentFlowGenerator:
    generator = config["generator_params"]
    common = {"num_channels": config["num_channels"]}
    regions = common | {"num_regions": config["num_regions"]}
    predictor = flow_generator.PixelwiseFlowPredictor(
        **regions, **_chosen(generator["pixelwise_flow_predictor_params"], *HOURGLASS, "scale_factor")
    )
    return flow_generator.LatentFlowGenerator(
        flow_generator.Generator(
            **common,
            **_chosen(generator, "block_expansion", "max_features", "num_down_blocks", "num_bottleneck_blocks"),
            flow_predictor=predictor,
        ),
        flow_generator.RegionPredictor(
            **regions, **_chosen(config["region_predictor_params"], *HOURGLASS, "scale_factor", "temperature")
        ),
        flow_generator.BackgroundPredictor(**common, **_chosen(config["bg_predictor_params"], *HOURGLASS)),
    )


HOURGLASS = ("block_expansion", "num_blocks", "max_features")


def _chosen(config: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: config[name] for name in names}


@torch.inference_mode()
def pbnet(fixture: Fixture) -> Outputs:
    """`dawn.pbnet_pose`, `dawn.pbnet_blink` and `dawn.pbnet_joint`: differences to the first state."""
    config = fixture.config
    sizes = PBNetSizes(
        state=config["pos_dim"] + config["eye_dim"],
        audio=config["audio_dim"],
        state_latent=config["pose_latent_dim"],
        audio_latent=config["audio_latent_dim"],
        feed_forward=config["ff_size"],
        layers=config["num_layers"],
        heads=config["num_heads"],
        buckets=config["num_buckets"],
        max_distance=config["max_distance"],
    )
    net = network(fixture, lambda: PBNet(sizes))
    given = tensors(fixture.inputs)
    latent = given["latent_noise"].transpose(0, 1)
    return {"output": net.generate(given["initial_state"], given["audio_embedding"], latent)}


@torch.inference_mode()
def unet3d(fixture: Fixture) -> Outputs:
    """`dawn.unet3d`: predicted noise, plain and guided."""
    net = network(fixture, lambda: UNet(_unet_sizes(fixture.config)))
    given = tensors(fixture.inputs)
    inputs = given["noisy_flow"], given["timestep"], _condition(given)
    return {
        "model_output": net(*inputs),
        "model_output_guided": Guided(net, float(given["cond_scale"])).full(*inputs[:2], inputs[2].paired())[0],
    }


@torch.inference_mode()
def sample(fixture: Fixture) -> Outputs:
    """`dawn.sample`: sampled motion, and the flow and occlusion that it means."""
    config = fixture.config
    net = network(fixture, lambda: A2VFDM(_unet_sizes(config["unet"])))
    given = tensors(fixture.inputs)
    diffusion = Diffusion(steps=config["sampling_timesteps"], eta=config["ddim_sampling_eta"])
    sampler = stochastic_ddim(net.schedule, diffusion, fresh=lambda index: given["step_noise"][index])
    motion = net.sample(sampler, _condition(given), given["initial_noise"], float(given["cond_scale"]))
    flow = flow_of(motion)

    def by_clip(frames: torch.Tensor) -> torch.Tensor:
        return frames.view(len(motion), -1, *frames.shape[1:]).transpose(1, 2)

    return {
        "sample": motion,
        "flow_grid": by_clip(flow.optical_flow.movedim(3, 1)),
        "occlusion": by_clip(flow.occlusion_map),
    }


def _unet_sizes(config: Mapping[str, Any]) -> UNetSizes:
    motion = UNetSizes().motion
    return UNetSizes(
        width=config["dim"],
        multipliers=tuple(config["dim_mults"]),
        still=config["channels"] - motion,
        audio=config["cond_aud"],
        pose=config["cond_pose"],
        blink=config["cond_eye"],
        window=config["win_width"],
    )


def _condition(given: Mapping[str, torch.Tensor]) -> Condition:
    names = ("source_feature", "face_mask_feature", "audio_embedding", "pose_difference", "blink_difference")
    return Condition(*(given[name] for name in names))
