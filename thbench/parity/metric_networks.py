"""Adapters of the networks that metrics use: fixture to outputs by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thbench.backbones import arcface as arcface_network
from thbench.backbones import hopenet as hopenet_network
from thbench.backbones import i3d as i3d_network
from thbench.backbones import inception as inception_network
from thbench.backbones import lpips as lpips_network
from thbench.backbones import s3fd as s3fd_network
from thbench.backbones import sixdrepnet as sixdrepnet_network
from thbench.backbones import syncnet as syncnet_network
from thbench.backbones.checkpoint import build
from thbench.metrics import fid, fvd, lse
from thbench.metrics.pose import hopenet_degrees
from thbench.parity.loading import network, tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


@torch.inference_mode()
def arcface(fixture: Fixture) -> Outputs:
    """`metrics.arcface_iresnet50`: embeddings and their cosines for each input."""
    config = fixture.config
    net = network(fixture, lambda: arcface_network.IResNet(config["layers"], config["num_features"]))
    outputs: Outputs = {}
    for name, faces in fixture.inputs.items():
        embedding = net(torch.from_numpy(faces))
        outputs |= {f"{name}.embedding": embedding, f"{name}.cosine": arcface_network.cosine_matrix(embedding)}
    return outputs


@torch.inference_mode()
def hopenet(fixture: Fixture) -> Outputs:
    """`metrics.hopenet`: logits and angles for each input."""
    config = fixture.config
    net = network(fixture, lambda: hopenet_network.Hopenet(config["layers"], config["num_bins"]))
    outputs: Outputs = {}
    for name, images in fixture.inputs.items():
        logits = net(torch.from_numpy(images))
        outputs |= {f"{name}.logits": logits, f"{name}.degrees": hopenet_degrees(logits.numpy())}
    return outputs


@torch.inference_mode()
def i3d(fixture: Fixture) -> Outputs:
    """`metrics.i3d_fvd`: logits of network inputs, and of uint8 frames (N, T, H, W, 3) with both preprocessings."""
    config = fixture.config
    net = network(fixture, lambda: i3d_network.I3D(config["num_classes"], config["in_channels"], config["bn_eps"]))
    outputs: Outputs = {}
    for name, array in fixture.inputs.items():
        clips = torch.from_numpy(array)
        if array.dtype == np.uint8:
            outputs[f"{name}.stretched"] = fvd.stretched(clips)
            clips = fvd.cropped(clips)
            outputs[f"{name}.preprocessed"] = clips
        outputs[f"{name}.logits"] = net(clips)
    return outputs


@torch.inference_mode()
def inception(fixture: Fixture) -> Outputs:
    """`metrics.inception_fid`: taps of network inputs, and of uint8 frames (N, H, W, 3) as four tools prepare them."""
    net = network(fixture, lambda: inception_network.InceptionFID(fixture.config["num_classes"]))
    outputs: Outputs = {}
    for name, array in fixture.inputs.items():
        images = torch.from_numpy(array)
        if array.dtype == np.uint8:
            outputs |= _inception_tools(net, name, images)
            images = fid.prepare(images, "pytorch-fid")
            outputs[f"{name}.preprocessed"] = images
        outputs |= {f"{name}.{_TAPS.get(size, f'tap{size}')}": tap for size, tap in net.taps(images).items()}
    return outputs


_TAPS = {2048: "pool3"}


def _inception_tools(net: inception_network.InceptionFID, name: str, images: torch.Tensor) -> Outputs:
    outputs: Outputs = {}
    for tool in fid.PREPARATIONS:
        label = "torchmetrics-antialias" if tool == "torchmetrics" else tool
        outputs[f"{name}.resized.{label}"] = fid.resized(images, tool)
        outputs[f"{name}.pool3.{label}"] = net(fid.prepare(images, tool))
    return outputs


@torch.inference_mode()
def lpips(fixture: Fixture) -> Outputs:
    """`metrics.lpips`: distances with each trunk that the fixture has and with both kinds of heads."""
    first, second = _lpips_images(fixture)
    outputs: Outputs = {}
    for trunk in sorted({key.partition(":")[0] for key in fixture.shapes}):
        weights = tensors(fixture.weights(group=f"{trunk}:"))
        # Published heads are not negative, so the recipe's are taken without their sign.
        heads = {"recipe": {k: v.abs() for k, v in weights.items() if k.startswith("lin")}}
        heads["wheel"] = lpips_network.published_heads(trunk)
        for label, head in heads.items():
            state = lpips_network.trunk_state(weights) | head
            net = build(partial(lpips_network.LPIPS, trunk), state, source=fixture.target)
            layers = net.layers(first, second)
            outputs[f"{trunk}.{label}"] = layers.sum(dim=1)
            outputs[f"{trunk}.{label}.layers"] = layers
            outputs[f"{trunk}.{label}.torchmetrics"] = net(first, second, "torchmetrics")
    return outputs


def _lpips_images(fixture: Fixture) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pairs of which the second is a mix of the first and another image, by shares over the batch."""
    inputs = fixture.inputs
    share = fixture.shares("image_b", (1, 0.5, 0.1, 0)).astype(np.float32)[:, None, None, None]
    first = np.clip(inputs["a"] + inputs["an"], -1, 1)
    second = np.clip((1 - share) * inputs["a"] + share * inputs["b"] + inputs["bn"], -1, 1)
    return torch.from_numpy(first), torch.from_numpy(second)


@torch.inference_mode()
def s3fd(fixture: Fixture) -> Outputs:
    """`metrics.s3fd`: the network and its boxes on an image at several scales, and the boxes on given predictions."""
    config, inputs = fixture.config, fixture.inputs
    settings = s3fd_network.DetectorSettings(
        variances=tuple(config["variance"]),
        confidence=config["conf_thresh"],
        overlap=config["nms_thresh"],
        candidates=config["nms_top_k"],
        most=config["top_k"],
        image_overlap=config["image_nms"],
    )
    net = network(fixture, s3fd_network.S3FD)
    outputs: Outputs = {}
    for label in sorted({name.rpartition(".")[0] for name in fixture.expected if name.startswith("scale")}):
        images = s3fd_network.preprocess(inputs["image"], float(label.removeprefix("scale")))[None]
        loc, score, maps = net(images)
        priors = s3fd_network.priors(
            images.shape[2], images.shape[3], maps, strides=config["steps"], sizes=config["min_sizes"]
        )
        boxes = s3fd_network.decode(loc[0], priors, settings.variances)
        found = s3fd_network.detect(boxes, score[0], settings)
        outputs |= {
            f"{label}.preprocessed": images[0],
            f"{label}.loc": loc[0],
            f"{label}.face_score": score[0],
            f"{label}.priors": priors,
            f"{label}.decoded": boxes,
            # The published code returns a fixed number of rows and fills what is left with zeros.
            f"{label}.detections": torch.nn.functional.pad(found, (0, 0, 0, settings.most - len(found))),
        }
    return outputs | _given_faces(inputs, settings)


def _given_faces(inputs: Mapping[str, NDArray[Any]], settings: s3fd_network.DetectorSettings) -> Outputs:
    loc, prior, score = (torch.from_numpy(inputs[name]) for name in ("given_loc", "given_prior", "given_score"))
    found = s3fd_network.detect(s3fd_network.decode(loc, prior, settings.variances), score, settings)
    faces = s3fd_network.in_pixels(found, height=480, width=640, threshold=0.5)
    return {"given.detections": found, "given.faces": s3fd_network.suppress(faces, settings.image_overlap)}


@torch.inference_mode()
def sixdrepnet(fixture: Fixture) -> Outputs:
    """`metrics.sixdrepnet` and `metrics.sixdrepnet_deploy`: six numbers, rotation and angles for each input."""
    deploy = fixture.config["deploy"]
    net = network(fixture, lambda: sixdrepnet_network.SixDRepNet(deploy=deploy))
    outputs: Outputs = {}
    for name, array in fixture.inputs.items():
        given = array.ndim == 2
        label, numbers = ("given", torch.from_numpy(array)) if given else (name, net(torch.from_numpy(array)))
        rotation = sixdrepnet_network.rotation_from_six(numbers)
        outputs |= {
            f"{label}.raw6": numbers,
            f"{label}.rotation": rotation,
            f"{label}.euler_deg": sixdrepnet_network.euler_degrees(rotation),
        }
    return outputs


@torch.inference_mode()
def syncnet(fixture: Fixture) -> Outputs:
    """`metrics.syncnet`: embeddings, and the scores of a clip and of given embeddings."""
    config, inputs = fixture.config, fixture.inputs
    net = network(fixture, lambda: syncnet_network.SyncNet(config["num_layers_in_fc_layers"]))
    video, audio = lse.clip_embeddings(net, inputs["frames"], inputs["audio"])
    base = torch.from_numpy(inputs["base"])
    jitter = torch.from_numpy(inputs["jitter"])
    outputs: Outputs = {
        "lip_embedding": net.lips(torch.from_numpy(inputs["lip"]).float()),
        "audio_embedding": net.audio(torch.from_numpy(inputs["mfcc"])),
        "clip.video_embeddings": video,
        "clip.audio_embeddings": audio,
    }
    given = (base[7 : 7 + len(jitter)], base[3 : 3 + len(jitter)] + jitter)
    for label, (ours, theirs) in {"clip": (video, audio), "score": given}.items():
        score = lse.score(ours, theirs, config["vshift"])
        outputs |= {
            f"{label}.distances": score.distances,
            f"{label}.curve": score.curve,
            f"{label}.lse_d": [score.lse_d],
            f"{label}.lse_c": [score.lse_c],
            f"{label}.offset": [score.offset],
            f"{label}.framewise_confidence": score.framewise_confidence,
        }
    return outputs
