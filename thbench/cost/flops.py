"""Operations, bytes and parameters of a network call, counted on meta tensors: no weights, no memory, no GPU.

Conventions
- A multiplication and an addition are two operations. Matrix products, convolutions and attention are counted;
  elementwise work, norms and softmax are not, as in all published numbers.
- A product is counted for the sizes it has, zeros and masked positions included: causal attention counts as full.
- `scaled_dot_product_attention` is counted as one fused kernel whatever the device would run: 2 N L S (E + V)
  operations for N heads of L queries and S keys with E and V features, and bytes of query, key, value, mask and output
  only.
- Bytes assume that floating-point tensors have the width of one stated number format.

The formulas are those of `torch.utils.flop_counter`, with products of vectors added; operations that hold products and
have no formula are refused rather than missed.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from thbench.cost.counted import PartCount
from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

aten = torch.ops.aten

ATTENTION, CONVOLUTION, MATMUL = "attention", "convolution", "matmul"
UNKNOWN_PRODUCTS = frozenset(
    {
        "_cdist_forward",
        "_cudnn_rnn",
        "_embedding_bag",
        "_native_multi_head_attention",
        "_sparse_mm",
        "_thnn_fused_gru_cell",
        "_thnn_fused_lstm_cell",
        "_transformer_encoder_layer_fwd",
        "_trilinear",
        "linalg_solve_ex",
        "mkldnn_rnn_layer",
    }
)
"""Operations with products inside for which there is no formula."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of operation with the sizes it was called with."""

    name: str
    """As torch names it."""
    flops: int
    """Of one call."""
    bytes: int
    """Read and written by one call if nothing stays in a cache."""


@dataclass(slots=True)
class Tally:
    """What ran."""

    operations: Counter[Operation] = field(default_factory=Counter)
    """Operation to how often."""
    weights: dict[int, Tensor] = field(default_factory=dict)
    """Parameters that were read, by identity."""

    @property
    def flops(self) -> int:
        """Of all calls."""
        return sum(operation.flops * times for operation, times in self.operations.items())

    @property
    def moved_bytes(self) -> int:
        """Of all calls, if nothing stays in a cache."""
        return sum(operation.bytes * times for operation, times in self.operations.items())

    def by_kind(self) -> dict[str, int]:
        """Operations by kind of product."""
        kinds: Counter[str] = Counter()
        for operation, times in self.operations.items():
            if operation.flops:
                kinds[kind_of(operation.name)] += operation.flops * times
        return dict(sorted(kinds.items()))

    def least_seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """Time of a machine with these rates that runs one operation after the other, each at its own limit."""
        return sum(
            times * max(operation.flops / flops_per_second, operation.bytes / bytes_per_second)
            for operation, times in self.operations.items()
        )


def kind_of(name: str) -> str:
    """Kind of product of an operation.

    Example:
        >>> kind_of("convolution")
        'convolution'
    """
    if "attention" in name:
        return ATTENTION
    return CONVOLUTION if "conv" in name else MATMUL


def tally(call: Callable[[], object], *, dtype: torch.dtype = torch.float32) -> tuple[Tally, Any]:
    """Run a call and count what it does.

    Args:
        call: Runs networks, usually on meta tensors.
        dtype: Number format that the bytes of floating-point tensors are counted in.

    Returns:
        The tally, and what the call returned.

    Raises:
        MethodError: An operation holds products that cannot be counted.
    """
    found = Tally()
    width = torch.empty((), dtype=dtype).element_size()
    # Gradients would keep what nobody needs, and let composite operations pass as one.
    with torch.inference_mode(), _unfused(), _Counting(found, width):
        result = call()
    return found, result


def count_part(
    name: str,
    module: torch.nn.Module,
    call: Callable[[], object],
    *,
    inputs: Iterable[object] = (),
    calls: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> tuple[PartCount, Tally]:
    """Count one call of a network.

    Args:
        name: The paper's word for it.
        module: The network, for its parameters.
        call: One call of it.
        inputs: What the call reads, tensors in any nesting.
        calls: How often it runs.
        dtype: Number format.
    """
    found, result = tally(call, dtype=dtype)
    return part_of(found, name, module, (inputs, result), calls=calls, dtype=dtype), found


def part_of(
    found: Tally,
    name: str,
    module: torch.nn.Module,
    touched: object,
    *,
    calls: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> PartCount:
    """Return a tally as the count of a network.

    Args:
        found: What one call ran.
        name: The paper's word for the network.
        module: The network.
        touched: What the call read and returned, tensors in any nesting.
        calls: How often it runs.
        dtype: Number format.
    """
    width = torch.empty((), dtype=dtype).element_size()
    weights = list({id(p): p for p in module.parameters()}.values())
    return PartCount(
        name=name,
        calls=calls,
        flops=found.flops,
        by_kind=found.by_kind(),
        parameters=sum(p.numel() for p in weights),
        least_bytes=sum(_bytes(t, width) for t in (*found.weights.values(), *tensors_in(touched))),
        moved_bytes=found.moved_bytes,
        dtype=str(dtype).removeprefix("torch."),
    )


def tensors_in(tree: object) -> list[Tensor]:
    """All tensors in nested tuples, lists, mappings and dataclasses."""
    found: list[Tensor] = []
    for leaf in tree_leaves(tree):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif hasattr(leaf, "__dataclass_fields__"):
            found += tensors_in([getattr(leaf, name) for name in leaf.__dataclass_fields__])
        elif hasattr(leaf, "items"):
            found += tensors_in(dict(leaf.items()))
    return found


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every elementary operation."""

    def __init__(self, found: Tally, width: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._found = found
        self._width = width

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        packet = func.overloadpacket
        self._found.weights.update((id(t), t) for t in tree_leaves((args, options)) if isinstance(t, Parameter))
        if packet is aten.scaled_dot_product_attention:
            return self._attention(func, args, options)
        if packet not in FORMULAS and func is not torch.ops.prim.device.default:
            # A composite operation (einsum, linear, lstm, ...) is what it is made of.
            with self:
                parts = func.decompose(*args, **options)
            if parts is not NotImplemented:
                return parts
        name = packet.__name__
        if name in UNKNOWN_PRODUCTS:
            raise MethodError(
                f"operations cannot be counted: torch's {name} holds products that have no formula here; run the "
                "network without that fused operation"
            )
        result = func(*args, **options)
        formula = FORMULAS.get(packet)
        flops = int(formula(*args, **options, out_val=result)) if formula else 0
        moved = 0 if _is_view(func) else sum(_bytes(t, self._width) for t in _distinct((args, options, result)))
        if flops or moved:
            self._found.operations[Operation(name, flops, moved)] += 1
        return result

    def _attention(self, func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Count attention before a device decides how to take it apart."""
        query, key, value = (
            args[i] if i < len(args) else options[name] for i, name in enumerate(("query", "key", "value"))
        )
        mask = args[3] if len(args) > 3 else options.get("attn_mask")
        if options.get("enable_gqa"):
            # Several heads of queries share one of keys.
            shape = tuple(query.shape[:-1])
        else:
            batch = np.broadcast_shapes(*(tuple(t.shape[:-2]) for t in (query, key, value)))
            shape = (*batch, query.shape[-2])
        on_meta = query.device.type == "meta"
        result = query.new_empty((*shape, value.shape[-1])) if on_meta else func(*args, **options)
        flops = 2 * math.prod(shape) * key.shape[-2] * (query.shape[-1] + value.shape[-1])
        moved = sum(_bytes(t, self._width) for t in _distinct((query, key, value, mask, result)))
        self._found.operations[Operation("scaled_dot_product_attention", flops, moved)] += 1
        return result


@contextmanager
def _unfused() -> Iterator[None]:
    """Keep torch's own layers from their fused inference path, which no mode sees into."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _vector_flops(a: Tensor, b: Tensor, *unused: Any, **also: Any) -> int:
    """Operations of a matrix or vector (shape) times a vector."""
    return 2 * math.prod(a.shape)


def _added_vector_flops(bias: Tensor, a: Tensor, b: Tensor, *unused: Any, **also: Any) -> int:
    return 2 * math.prod(a.shape)


def _added_batch_flops(bias: Tensor, a: Tensor, b: Tensor, *unused: Any, **also: Any) -> int:
    return 2 * math.prod(a.shape) * b.shape[-1]


FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    aten.mv: _vector_flops,
    aten.dot: _vector_flops,
    aten.vdot: _vector_flops,
    aten.addmv: _added_vector_flops,
    aten.addbmm: _added_batch_flops,
}
"""Operation to its formula."""


def _is_view(func: Any) -> bool:
    """Whether the result is the input looked at otherwise: nothing moves."""
    if func.overloadpacket in (aten._unsafe_view, aten.empty, aten.empty_like, aten.new_empty, aten.empty_strided):
        return True
    returns = func._schema.returns
    return bool(returns) and all(r.alias_info is not None and not r.alias_info.is_write for r in returns)


def _distinct(tree: object) -> list[Tensor]:
    """Tensors of an operation, each once; one that is written in place is read and written."""
    return list({id(t): t for t in tree_leaves(tree) if isinstance(t, Tensor)}.values())


def _bytes(tensor: Tensor, width: int) -> int:
    """Bytes of the elements that a tensor really has; expanded ones are one."""
    own = math.prod(size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or size == 0)
    return own * (width if tensor.is_floating_point() else tensor.element_size())
