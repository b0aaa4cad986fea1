"""Networks that are published as ONNX files, run by onnxruntime on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thbench.errors import MissingExtraError, MissingWeightsError, WeightsMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def load_onnx(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function of an ONNX file with one input and one output.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        MissingWeightsError: There is no such file.
        WeightsMismatchError: The file is damaged, or has another number of inputs or outputs.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as failures
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnxruntime", "onnx", path.name) from error
    if not path.is_file():
        raise MissingWeightsError(f"{path} does not exist; `thbench weights list` says where each file comes from")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (failures.Fail, failures.InvalidProtobuf, failures.InvalidGraph, failures.InvalidArgument) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsMismatchError(
            f"{path} ({path.stat().st_size} bytes) is truncated or damaged ({reason}); delete it and get the file again"
        ) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if (len(inputs), len(outputs)) != (1, 1):
        raise WeightsMismatchError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs instead of one each; get the published file"
        )

    def network(batch: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run([outputs[0].name], {inputs[0].name: batch.numpy()})[0])

    return network
