"""Makes torchvision importable beside a torch build that its compiled part does not fit.

torchvision 0.28 for torch 2.13 is published as a CUDA build only; with a CPU build of torch its import fails because
the operators of its library are not registered. The peers need its networks and transforms alone, which are Python.
"""

from __future__ import annotations

from typing import Any

_KEPT: list[Any] = []


def install() -> None:
    """Register the operators that the import asks for; a torchvision that works is left alone."""
    try:
        import torchvision

        return
    except (RuntimeError, OSError):
        import sys

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)
    import torchvision

    torchvision.ops.boxes._assert_has_ops = lambda: None
