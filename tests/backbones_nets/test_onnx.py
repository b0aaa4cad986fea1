"""Networks of ONNX files in torch: onnxruntime as the oracle, and files that are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from net_helpers import filled

from thbench.backbones.arcface import LAYERS, IResNet
from thbench.backbones.modes import prepare
from thbench.backbones.onnx_file import read_graph
from thbench.backbones.onnx_network import load_onnx
from thbench.errors import MissingWeightsError, WeightsMismatchError

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))
from random_weights import field, tiny_faces


def faces(count: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (count, 3, 112, 112)).astype(np.float32))


def by_onnxruntime(path: Path, images: torch.Tensor) -> np.ndarray:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])


def test_a_file_of_few_operations_is_what_onnxruntime_makes_of_it(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(tiny_faces())
    graph = read_graph(tmp_path / "net.onnx")
    assert [node.kind for node in graph.nodes] == ["AveragePool", "Flatten", "MatMul"]
    with torch.inference_mode():
        ours = load_onnx(tmp_path / "net.onnx")(faces()).numpy()
    np.testing.assert_allclose(ours, by_onnxruntime(tmp_path / "net.onnx", faces()), rtol=1e-4, atol=1e-5)


def test_an_exported_recognition_network_is_what_onnxruntime_makes_of_it(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the extra `oracle-peers` is not installed")
    network, path = filled(lambda: IResNet(LAYERS["iresnet18"])), tmp_path / "net.onnx"
    names = {"input_names": ["input"], "output_names": ["embedding"]}
    axes = {"input": {0: "n"}, "embedding": {0: "n"}}
    torch.onnx.export(network, torch.zeros(1, 3, 112, 112), path, dynamo=False, dynamic_axes=axes, **names)
    expected, scale = by_onnxruntime(path, faces()), 0.0
    scale = float(np.abs(expected).max())
    with torch.inference_mode():
        for mode, tolerance in (("exact", 2e-5), ("fast", 0.05)):
            ours = prepare(load_onnx(path), mode)(faces())  # type: ignore[arg-type]
            assert ours.dtype == torch.float32
            assert 0 < np.abs(ours.numpy() - expected).max() < tolerance * scale


def test_files_that_cannot_be_run_are_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "net.onnx", tiny_faces()
    with pytest.raises(MissingWeightsError, match="does not exist"):
        load_onnx(path)
    for content in (b"", b"nothing at all", whole[: len(whole) // 2], whole[:-40]):
        path.write_bytes(content)
        with pytest.raises(WeightsMismatchError, match="truncated, damaged or no ONNX file"):
            load_onnx(path)
    path.write_bytes(whole.replace(b"Flatten", b"Softmax"))
    with pytest.raises(WeightsMismatchError, match="it holds the operation 'Softmax'; known are Add"):
        load_onnx(path)
    path.write_bytes(field(7, field(2, "empty")))
    with pytest.raises(WeightsMismatchError, match="0 inputs and 0 outputs"):
        load_onnx(path)
