"""The peers' side of each part, through their own public functions, with the shared weights put in their place."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch

Arrays = dict[str, Any]
Work = Callable[[], Arrays]
NAMES = ("generated", "reference")
WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}


def ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg program that the peers' instructions call."""
    import imageio_ffmpeg

    program = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def pictures(path: Path) -> Iterator[np.ndarray]:
    """RGB frames as most scripts read them."""
    video = cv2.VideoCapture(str(path))
    while True:
        found, frame = video.read()
        if not found:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _folders_of_images(folder: Path, label: str) -> Iterator[tuple[str, Path]]:
    """File-based tools begin with one PNG per frame."""
    for name in NAMES:
        images = empty(folder / f"png-{label}-{name}")
        ffmpeg("-i", folder / f"{name}.mp4", images / "%06d.png")
        yield name, images


def pytorch_fid(folder: Path) -> Work:
    import pytorch_fid.inception as published
    from pytorch_fid.fid_score import get_activations

    published.load_state_dict_from_url = lambda *_args, **_kwargs: torch.load(folder / "inception.pth")
    net = published.InceptionV3([published.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    return lambda: {
        name: get_activations(sorted(images.glob("*.png")), net, batch_size=50, num_workers=0)
        for name, images in _folders_of_images(folder, "pytorch-fid")
    }


class _CleanInception(torch.nn.Module):
    """clean-fid's normalisation of 0..255 before the same network."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net((images - 128) / 128)[0][:, :, 0, 0]


def clean_fid(folder: Path) -> Work:
    import pytorch_fid.inception as published
    from cleanfid.fid import get_folder_features

    published.load_state_dict_from_url = lambda *_args, **_kwargs: torch.load(folder / "inception.pth")
    net = published.InceptionV3([3], resize_input=False, normalize_input=False)
    model = _CleanInception(net).eval()
    return lambda: {
        name: get_folder_features(str(images), model, num_workers=0, batch_size=32, device="cpu", verbose=False)
        for name, images in _folders_of_images(folder, "clean-fid")
    }


def torch_fidelity(folder: Path) -> Work:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.utils import create_feature_extractor, extract_featuresdict_from_input_id_cached

    del FeatureExtractorInceptionV3
    extractor = create_feature_extractor(
        "inception-v3-compat", ["2048"], cuda=False, feature_extractor_weights_path=str(folder / "inception.pth")
    )
    options = {"cuda": False, "batch_size": 32, "cache": False, "verbose": False, "samples_find_deep": False}

    def features(images: Path) -> np.ndarray:
        found = extract_featuresdict_from_input_id_cached(1, extractor, input1=str(images), **options)
        return found["2048"].numpy()

    return lambda: {name: features(images) for name, images in _folders_of_images(folder, "torch-fidelity")}


def torchmetrics_fid(folder: Path) -> Work:
    from torchmetrics.image.fid import NoTrainInceptionV3

    net = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(folder / "inception.pth"))

    @torch.no_grad()
    def features(name: str) -> np.ndarray:
        images = torch.from_numpy(np.stack(list(pictures(folder / f"{name}.mp4")))).permute(0, 3, 1, 2)
        return torch.cat([net(batch) for batch in images.split(32)]).numpy()

    return lambda: {name: features(name) for name in NAMES}


def scipy_frechet(folder: Path) -> Work:
    from pytorch_fid.fid_score import calculate_frechet_distance

    first, second = np.load(folder / "first.npy"), np.load(folder / "second.npy")

    def run() -> Arrays:
        parts = [part for rows in (first, second) for part in (rows.mean(axis=0), np.cov(rows, rowvar=False))]
        return {"value": [calculate_frechet_distance(*parts)]}

    return run


def cd_fvd(folder: Path) -> Work:
    from cdfvd.third_party.i3d.utils import load_i3d_model, preprocess_i3d

    state = torch.load(folder / "i3d.pth")
    net = load_i3d_model("cpu", _renamed_i3d(folder, state))

    @torch.no_grad()
    def features(name: str) -> np.ndarray:
        frames = np.stack(list(pictures(folder / f"{name}.mp4")))
        clips = frames[: len(frames) // 16 * 16].reshape(-1, 16, *frames.shape[1:])
        return torch.cat([net(preprocess_i3d(clip[None])) for clip in clips]).numpy()

    return lambda: {name: features(name) for name in NAMES}


def _renamed_i3d(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, folder / "i3d-cd-fvd.pth")
    return folder / "i3d-cd-fvd.pth"


def syncnet_detection(folder: Path) -> Work:
    """The conversions of run_pipeline.py and S3FD on every frame."""
    from syncnet_python.detectors.s3fd import S3FD
    from syncnet_python.detectors.s3fd.nets import S3FDNet

    net = S3FDNet(device="cpu")
    net.load_state_dict(torch.load(folder / "s3fd.pth"))
    detector = S3FD(net, device="cpu")

    def run() -> Arrays:
        work = empty(folder / "pipeline")
        ffmpeg("-i", folder / "generated.mp4", "-qscale:v", "2", "-async", "1", "-r", "25", work / "video.avi")
        ffmpeg("-i", work / "video.avi", "-qscale:v", "2", "-threads", "1", "-f", "image2", work / "%06d.jpg")
        ffmpeg("-i", work / "video.avi", "-ac", "1", "-vn", "-acodec", "pcm_s16le", "-ar", "16000", work / "audio.wav")
        images = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in sorted(work.glob("*.jpg"))]
        found = [detector.detect_faces(image, conf_th=0.9, scales=[0.25]) for image in images]
        return {"boxes": np.concatenate([boxes[:20] for boxes in found])}

    return run


def syncnet_scoring(folder: Path) -> Work:
    """`SyncNetInstance.evaluate` on a cropped clip, with the conversions that it begins with."""
    from syncnet_python.SyncNetModel import S

    # The package has a class of this name in the module's place.
    published = importlib.import_module("syncnet_python.SyncNetInstance")
    net = S(num_layers_in_fc_layers=1024)
    net.load_state_dict(torch.load(folder / "syncnet.pth"))
    instance = published.SyncNetInstance(net.eval(), device="cpu")
    curves: list[np.ndarray] = []
    original = published.calc_pdist

    def recorded(*args: Any, **kwargs: Any) -> Any:
        distances = original(*args, **kwargs)
        curves.append(torch.stack(distances, 1).mean(1).detach().numpy())
        return distances

    published.calc_pdist = recorded

    def run() -> Arrays:
        work = empty(folder / "evaluated")
        crop = folder / "crop.mp4"
        ffmpeg("-i", crop, "-threads", "1", "-f", "image2", work / "%06d.jpg")
        ffmpeg("-i", crop, "-async", "1", "-ac", "1", "-vn", "-acodec", "pcm_s16le", "-ar", "16000", work / "audio.wav")
        options = SimpleNamespace(tmp_dir=str(work), batch_size=20, vshift=15)
        with torch.no_grad():
            offset, confidence, distance = instance.evaluate(options)
        return {"curve": curves[-1], "lse_c": [confidence], "lse_d": [distance], "offset": [offset]}

    return run


def insightface_embeddings(folder: Path) -> Work:
    """Alignment and recognition at given key points: no weights of the detector are at hand, so it costs nothing."""
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX
    from insightface.utils.face_align import norm_crop

    net = ArcFaceONNX(str(folder / "arcface.onnx"), _session(folder / "arcface.onnx"))
    points = np.load(folder / "fives.npy") - 0.5

    def run() -> Arrays:
        found = {}
        for name in NAMES:
            rows = []
            for picture, five in zip(pictures(folder / f"{name}.mp4"), points, strict=True):
                aligned = norm_crop(np.ascontiguousarray(picture[..., ::-1]), five)
                rows.append(net.get_feat(aligned).ravel())
            found[name] = np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
        return found

    return run


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def lpips_alex(folder: Path) -> Work:
    import lpips

    net = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    ours = torch.load(folder / "alex.pth")
    slices = {f"{i}": f"net.slice{1 + (i > 1) + (i > 4) + (i > 7) + (i > 9)}.{i}" for i in (0, 3, 6, 8, 10)}
    state = {}
    for key, value in ours.items():
        kind, index, name = key.split(".", 2)
        state[f"{slices[index]}.{name}" if kind == "features" else key] = value
    missing = net.load_state_dict(state, strict=False)
    if missing.unexpected_keys:
        raise SystemExit(f"lpips has other keys: {missing.unexpected_keys}")
    heads = {f"lin{n}": getattr(net, f"lin{n}") for n in range(5)}
    if any(not torch.equal(head.model[1].weight, ours[f"{name}.model.1.weight"]) for name, head in heads.items()):
        raise SystemExit("the heads of lpips were not loaded")

    @torch.no_grad()
    def run() -> Arrays:
        both = [np.stack(list(pictures(folder / f"{name}.mp4"))) for name in NAMES]
        first, second = (torch.from_numpy(frames).permute(0, 3, 1, 2) for frames in both)
        pairs = zip(first.split(8), second.split(8), strict=True)
        return {"distances": torch.cat([net(a / 127.5 - 1, b / 127.5 - 1).flatten() for a, b in pairs]).numpy()}

    return run


def skimage_ssim(folder: Path) -> Work:
    from skimage.metrics import structural_similarity

    sources = (pictures(folder / f"{name}.mp4") for name in NAMES)
    pairs = [tuple(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pair) for pair in zip(*sources, strict=True)]
    return lambda: {"ssim": [structural_similarity(x, y, **WANG) for x, y in pairs]}


def skimage_images(folder: Path) -> Work:
    """SSIM and PSNR from the files, as part of the complete set."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    def run() -> Arrays:
        rows = []
        for pair in zip(*(pictures(folder / f"{name}.mp4") for name in NAMES), strict=True):
            x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pair)
            rows.append((structural_similarity(x, y, **WANG), peak_signal_noise_ratio(*pair, data_range=255)))
        return {"images": np.array(rows)}

    return run


def mediapipe_landmarks(folder: Path) -> Work:
    """One face mesh per frame with MediaPipe itself, for landmark distance, blinks and pose."""
    from mediapipe import Image, ImageFormat
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode

    from thbench.backbones.weights import find

    options = FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(find("face-landmarker"))),
        running_mode=RunningMode.IMAGE,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    landmarker = FaceLandmarker.create_from_options(options)

    def run() -> Arrays:
        found = {}
        for name in NAMES:
            results = [
                landmarker.detect(Image(image_format=ImageFormat.SRGB, data=picture))
                for picture in pictures(folder / f"{name}.mp4")
            ]
            found[name] = np.array([len(result.face_landmarks) for result in results])
        return found

    return run


PARTS: dict[str, Callable[[Path], Work]] = {
    "FID features, pytorch-fid": pytorch_fid,
    "FID features, clean-fid": clean_fid,
    "FID features, torch-fidelity": torch_fidelity,
    "FID features, torchmetrics": torchmetrics_fid,
    "Frechet distance": scipy_frechet,
    "FVD logits": cd_fvd,
    "LSE detection": syncnet_detection,
    "LSE scoring": syncnet_scoring,
    "CSIM embeddings": insightface_embeddings,
    "LPIPS alex": lpips_alex,
    "SSIM": skimage_ssim,
    "SSIM and PSNR": skimage_images,
    "Landmarks": mediapipe_landmarks,
}
COMPLETE = (
    "FID features, pytorch-fid",
    "FVD logits",
    "LSE detection",
    "LSE scoring",
    "CSIM embeddings",
    "LPIPS alex",
    "SSIM and PSNR",
    "Landmarks",
)
"""What a user runs one after another for one pair of videos. The Frechet step is apart: it comes once per set."""
