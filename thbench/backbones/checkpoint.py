"""Reads published weight files and fills networks with them, strictly.

Files are read with torch's `weights_only` reader, which runs no code from the file. Whether a file is the published
one is the weights registry's question and answered before.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, TypeVar

import torch

from thbench.errors import MissingWeightsError, WeightsMismatchError

if TYPE_CHECKING:
    from pathlib import Path

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)


def read_state_dict(
    path: Path, *, entry: str | None = None, optional_entry: str | None = None, prefix: str = ""
) -> dict[str, torch.Tensor]:
    """Read a `.pth`, `.pt`, `.pkl` or `.model` checkpoint of tensors.

    Args:
        path: The file.
        entry: Name under which the checkpoint holds the state dict, e.g. `model_state_dict`; None if it is one itself.
        optional_entry: The same, for a checkpoint that is published with and without it.
        prefix: Removed from every key, e.g. `module.`; keys without it are refused later as unexpected.

    Returns:
        Key to tensor, on the CPU.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: The file is damaged, holds more than tensors and plain containers, or has no such entry.
    """
    content = _read(path)
    if optional_entry is not None and isinstance(content, Mapping) and optional_entry in content:
        entry = optional_entry
    if entry is not None:
        if not isinstance(content, Mapping) or entry not in content:
            raise WeightsMismatchError(
                f"{path} has no entry {entry!r}; it is another checkpoint than the published one"
            )
        content = content[entry]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise WeightsMismatchError(f"{path} holds no state dict (key to tensor); get the published file again")
    return {str(key).removeprefix(prefix): value for key, value in content.items()}


def _read(path: Path) -> object:
    if not path.is_file():
        raise MissingWeightsError(f"{path} does not exist; `thbench weights list` says where each file comes from")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "WeightsUnpickler" in str(error) or "weights_only" in str(error).lower():
            raise WeightsMismatchError(
                f"{path} holds something other than tensors, which could run code when read, and is refused; "
                "get the published file"
            ) from error
        raise _damaged(path, error) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WeightsMismatchError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return WeightsMismatchError(
        f"{path} ({path.stat().st_size} bytes) is truncated or damaged ({reason}); delete it and get the file again"
    )


def read_torchscript(path: Path) -> torch.jit.ScriptModule:
    """Read a TorchScript file as it is, in evaluation mode, on the CPU.

    A TorchScript file holds a program. It must have passed the registry's digest check before.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: The file is damaged or no TorchScript.
    """
    if not path.is_file():
        raise MissingWeightsError(f"{path} does not exist; `thbench weights list` says where each file comes from")
    try:
        with warnings.catch_warnings():
            # The format is on its way out in torch, but it is what was published.
            warnings.simplefilter("ignore", DeprecationWarning)
            module: torch.jit.ScriptModule = torch.jit.load(str(path), "cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise _damaged(path, error) from error
    return module.eval()


def build(
    factory: Callable[[], ModuleT],
    state: Mapping[str, torch.Tensor],
    *,
    source: str,
    kept: Collection[str] = frozenset(),
) -> ModuleT:
    """Make a network without spending time on random weights, fill it strictly, and put it into evaluation mode.

    Args:
        factory: Makes the network; it must keep all its numbers in parameters and persistent buffers.
        state: Key to tensor.
        source: What the state dict is, for errors.
        kept: See `fill`; only for networks that compute nothing themselves may it be left out.

    Raises:
        WeightsMismatchError: A key is missing or unexpected, or a shape differs.
    """
    with torch.device("meta"):
        module = factory()
    return fill(module.to_empty(device="cpu"), state, source=source, kept=kept).eval()


def fill(
    module: ModuleT, state: Mapping[str, torch.Tensor], *, source: str, kept: Collection[str] = frozenset()
) -> ModuleT:
    """Load a state dict whose keys and shapes must be exactly those of the module.

    Args:
        module: The network.
        state: Key to tensor.
        source: What the state dict is, for errors.
        kept: Keys that the network computes itself: they may be absent on either side, and are left as computed.

    Returns:
        The module itself.

    Raises:
        WeightsMismatchError: A key is missing or unexpected, or a shape differs; the first few are named.
    """
    own = module.state_dict()
    free = set(kept)
    problems = [
        _listing("missing", [key for key in own if key not in state and key not in free]),
        _listing("unexpected", [key for key in state if key not in own and key not in free]),
        _listing(
            "of another shape",
            [
                f"{key} {tuple(tensor.shape)} instead of {tuple(own[key].shape)}"
                for key, tensor in state.items()
                if key in own and key not in free and tensor.shape != own[key].shape
            ],
        ),
    ]
    if any(problems):
        raise WeightsMismatchError(
            f"{source} does not fit {type(module).__name__}: {'; '.join(filter(None, problems))}"
        )
    module.load_state_dict(
        {key: tensor for key, tensor in state.items() if key in own and key not in free}, strict=False
    )
    return module


def _listing(what: str, keys: list[str], most: int = 4) -> str:
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return f"{len(keys)} {what} ({', '.join(keys[:most])}{more})" if keys else ""
