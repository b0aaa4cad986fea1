"""The weight files that thbench knows: those whose digest is known, and those that only their user can name.

Sizes and digests are those that several public manifests agree on.
"""

from __future__ import annotations

from thbench.spec import WeightSlot, WeightSpec

_LIPSYNC = "https://www.robots.ox.ac.uk/~vgg/software/lipsync"
_INSIGHTFACE_TERMS = "non-commercial research only"

PUBLISHED: tuple[WeightSpec, ...] = (
    WeightSpec(
        name="face-landmarker",
        file="face_landmarker.task",
        bytes=3_758_596,
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        licence="Apache-2.0",
        source="MediaPipe Face Landmarker, float16, version 1: https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker",
        url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        used_for="the face pass: landmarks, blendshapes and head pose",
    ),
    WeightSpec(
        name="inception-fid",
        file="pt_inception-2015-12-05-6726825d.pth",
        bytes=95_628_359,
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        licence="Apache-2.0 (port of the TensorFlow graph of 2015-12-05)",
        source="mseitzer/pytorch-fid, release fid_weights; the same file as toshas/torch-fidelity, release v0.2.0",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        used_for="FID and KID",
    ),
    WeightSpec(
        name="i3d-torchscript",
        file="i3d_torchscript.pt",
        bytes=51_235_320,
        sha256="bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
        licence="none stated by its publisher",
        source="universome/stylegan-v (link in its README); Hugging Face flateon/FVD-I3D-torchscript",
        url="https://huggingface.co/flateon/FVD-I3D-torchscript/resolve/main/i3d_torchscript.pt",
        used_for="FVD",
    ),
    WeightSpec(
        name="syncnet",
        file="syncnet_v2.model",
        bytes=54_573_114,
        sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
        licence="research (CC BY)",
        source=f"Chung and Zisserman, SyncNet v2: {_LIPSYNC}",
        url=f"{_LIPSYNC}/data/syncnet_v2.model",
        used_for="LSE-C, LSE-D and the offset of sound and lips",
    ),
    WeightSpec(
        name="s3fd",
        file="sfd_face.pth",
        bytes=89_844_381,
        sha256="d54a87c2b7543b64729c9a25eafd188da15fd3f6e02f0ecec76ae1b30d86c491",
        licence="none stated by its publisher",
        source=f"face detector of the SyncNet pipeline: {_LIPSYNC}",
        url=f"{_LIPSYNC}/data/sfd_face.pth",
        used_for="faces of the published LSE protocol",
    ),
    WeightSpec(
        name="vgg16",
        file="vgg16-397923af.pth",
        bytes=553_433_881,
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        licence="BSD-3-Clause (torchvision); trained on ImageNet",
        source="torchvision, VGG16_Weights.IMAGENET1K_V1",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        used_for="LPIPS with the VGG trunk",
    ),
    WeightSpec(
        name="arcface-w600k-r50",
        file="w600k_r50.onnx",
        bytes=174_383_860,
        sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        licence=_INSIGHTFACE_TERMS,
        source="deepinsight/insightface, release v0.7, inside buffalo_l.zip",
        used_for="identity similarity (CSIM)",
    ),
)
"""Files with a known size and digest."""

SLOTS: tuple[WeightSlot, ...] = (
    WeightSlot(
        name="alexnet",
        file="alexnet-owt-7be5be79.pth",
        licence="BSD-3-Clause (torchvision); trained on ImageNet",
        source="torchvision, AlexNet_Weights.IMAGENET1K_V1: https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        used_for="LPIPS with the AlexNet trunk",
    ),
    WeightSlot(
        name="i3d-videogpt",
        file="i3d_pretrained_400.pt",
        licence="none stated by its publisher",
        source="wilson1yan/VideoGPT (links in its README); in JunyaoHu/common_metrics_on_video_quality",
        used_for="FVD as VideoGPT and DisCo compute it",
    ),
    WeightSlot(
        name="arcface-iresnet",
        file="backbone.pth",
        licence=_INSIGHTFACE_TERMS,
        source="deepinsight/insightface, model zoo of arcface_torch (a state dict of iresnet18 to iresnet100)",
        used_for="identity similarity (CSIM) with a second network",
    ),
    WeightSlot(
        name="hopenet",
        file="hopenet_robust_alpha1.pkl",
        licence="Apache-2.0",
        source="natanielruiz/deep-head-pose (link in its README)",
        used_for="head-pose diversity as KDTalker computes it",
    ),
    WeightSlot(
        name="sixdrepnet",
        file="6DRepNet_300W_LP_AFLW2000.pth",
        licence="MIT",
        source="thohemp/6DRepNet (link in its README)",
        used_for="head-pose diversity",
    ),
    WeightSlot(
        name="deep3d",
        file="epoch_20.pth",
        licence="non-commercial research; its coefficients are of the Basel Face Model 2009, which needs registration",
        source="sicxu/Deep3DFaceRecon_pytorch (link in its README)",
        used_for="expression and pose of a 3-D face model (AED, APD, E-FID)",
    ),
    WeightSlot(
        name="deep3d-standard-face",
        file="similarity_Lm3D_all.mat",
        licence="part of the data for the Basel Face Model 2009, which needs registration",
        source="sicxu/Deep3DFaceRecon_pytorch, folder BFM",
        used_for="alignment of faces for Deep3DFaceRecon",
    ),
)
"""Published files whose digest no public manifest states; `thbench weights add` takes the user's copy."""
