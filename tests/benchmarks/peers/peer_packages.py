"""Which packages the peers need, and whether they are here."""

from __future__ import annotations

import importlib.util

PACKAGES = ("pytorch_fid", "cleanfid", "torch_fidelity", "torchmetrics", "lpips", "skimage", "syncnet_python")
PACKAGES += ("insightface", "onnxruntime", "onnx", "cdfvd", "python_speech_features", "imageio_ffmpeg")
ABSENT = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
WHY = f"the extra `oracle-peers` is not installed: no {', '.join(ABSENT)}"
