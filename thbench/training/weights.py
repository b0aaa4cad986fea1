"""Shipped weights: safetensors files, small and strict about their keys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from thbench.errors import MissingExtraError, WeightsMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn


def save_weights(path: Path, state: dict[str, Tensor], dtype: torch.dtype | None = None) -> tuple[int, str]:
    """Write a state; return the file's bytes and SHA-256.

    Args:
        path: A `.safetensors` file.
        state: Tensors by key.
        dtype: Type in which floating tensors are stored; None keeps theirs.
    """
    from safetensors.torch import save_file

    stored = {
        k: (v.to(dtype) if dtype is not None and v.is_floating_point() else v).contiguous().cpu()
        for k, v in state.items()
    }
    save_file(stored, path)
    data = path.read_bytes()
    return len(data), hashlib.sha256(data).hexdigest()


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill a network; every key must be there and none beside. Floating tensors become float32.

    Raises:
        WeightsMismatchError: The file is damaged, or of another network.
        MissingExtraError: safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise MissingExtraError("safetensors", "torch", f"weights {path.name}") from error
    try:
        state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
        network.load_state_dict(state, strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsMismatchError(f"{path} does not fit its network ({reason}); install thbench again") from error
    network.eval()
