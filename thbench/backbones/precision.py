"""Numbers of lower precision: where a processor gains by them, and where they are raised again."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

LOW = (torch.bfloat16, torch.float16)
"""Types in which an average over hundreds of values would be rounded to two or three digits."""


def at_least_float32(x: Tensor) -> Tensor:
    """Return values of 16 bits in float32, and others as they are."""
    return x.float() if x.dtype in LOW else x


@cache
def processor_gains_by_bfloat16() -> bool:
    """Whether convolutions of bfloat16 take less time than those of float32 on this CPU.

    They do with matrix units (AMX) and on AMD's AVX-512. Intel's vector units multiply bfloat16 at half the rate of
    float32 (measured: 89 against 157 GFLOP/s in a convolution), and older processors only emulate it.
    """
    known = torch.cpu.get_capabilities()
    vectors = known.get("avx512_bf16", False) and "Intel" not in str(known.get("cpu_name"))
    return bool(known.get("amx_bf16") or known.get("arm_bf16") or vectors)
