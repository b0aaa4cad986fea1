"""A network described by an ONNX file, as torch layers.

The layers are those of torch, so that `thbench.backbones.modes.prepare` makes such a network ready like any other.
"""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from thbench.backbones.onnx_file import read_graph
from thbench.errors import WeightsMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from thbench.backbones.onnx_file import Graph, Node


class Sum(nn.Module):
    """Adds two tensors."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the sum."""
        return first + second


class OnnxNetwork(nn.Module):
    """Runs the nodes of a graph one after another."""

    def __init__(self, graph: Graph) -> None:
        """Make the layers.

        Args:
            graph: What a file describes.

        Raises:
            ValueError: It holds an operation that is not known here.
        """
        super().__init__()
        self.steps: list[tuple[str, tuple[str, ...], str]] = []
        for number, node in enumerate(graph.nodes):
            if node.kind not in LAYERS:
                raise ValueError(f"it holds the operation {node.kind!r}; known are {', '.join(LAYERS)}")
            name = f"{node.kind.lower()}{number}"
            self.add_module(name, LAYERS[node.kind](node, graph.weights))
            taken = tuple(value for value in node.inputs if value not in graph.weights)
            self.steps.append((name, taken, node.outputs[0]))
        self.input, self.output = graph.input, graph.output
        self.FOLDS = tuple(self._followed_by_norms())
        last = {value: place for place, (_, taken, _) in enumerate(self.steps) for value in taken}
        self.finished = [[value for value, end in last.items() if end == place] for place in range(len(self.steps))]

    def _followed_by_norms(self) -> Iterator[tuple[str, str]]:
        """Yield convolutions and matrices with the normalisation that alone takes what they give."""
        maker = {made: name for name, _, made in self.steps}
        uses = Counter(value for _, taken, _ in self.steps for value in taken)
        for name, taken, _ in self.steps:
            before = maker.get(taken[0])
            if before is None or uses[taken[0]] > 1 or not isinstance(getattr(self, name), _AnyNorm):
                continue
            if isinstance(getattr(self, before), nn.Conv2d | nn.Linear):
                yield before, name

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for an input (N, ...)."""
        values = {self.input: x}
        for (name, taken, made), finished in zip(self.steps, self.finished, strict=True):
            values[made] = getattr(self, name)(*(values[value] for value in taken))
            for value in finished:
                del values[value]
        return values[self.output].float()


def load_onnx(path: Path) -> OnnxNetwork:
    """Load an ONNX file with one input and one output, in evaluation mode.

    Raises:
        MissingWeightsError: There is no such file.
        WeightsMismatchError: The file is damaged, has several inputs or outputs, or an operation that is not known.
    """
    graph = read_graph(path)
    try:
        return OnnxNetwork(graph).eval()
    except (ValueError, LookupError, RuntimeError) as error:
        raise WeightsMismatchError(f"{path.name} cannot be run: {error}; get the published file") from error


def _weight(node: Node, weights: Mapping[str, NDArray[Any]], place: int) -> Tensor:
    return torch.from_numpy(weights[node.inputs[place]].copy()).float()


def _filled(layer: nn.Module, **state: Tensor) -> nn.Module:
    layer.load_state_dict(state, strict=False)
    return layer.requires_grad_(requires_grad=False)


def _same_padding(node: Node) -> tuple[int, int]:
    top, left, bottom, right = node.attributes.get("pads", (0, 0, 0, 0))
    if (top, left) != (bottom, right) or node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise ValueError(f"a {node.kind} pads its sides differently")
    return top, left


def _convolution(node: Node, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
    weight = _weight(node, weights, 1)
    groups, bias = node.attributes.get("group", 1), len(node.inputs) > 2
    layer = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        stride=node.attributes.get("strides", (1, 1)),
        padding=_same_padding(node),
        dilation=node.attributes.get("dilations", (1, 1)),
        groups=groups,
        bias=bias,
    )
    return _filled(layer, weight=weight, **({"bias": _weight(node, weights, 2)} if bias else {}))


def _norm(node: Node, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
    names = ("weight", "bias", "running_mean", "running_var")
    state = {name: _weight(node, weights, place) for place, name in enumerate(names, start=1)}
    layer = _AnyNorm(len(state["weight"]), eps=node.attributes.get("epsilon", 1e-5))
    return _filled(layer, **state)


class _AnyNorm(nn.BatchNorm2d):
    """Normalises maps and vectors; the file does not say which it will get."""

    def _check_input_dim(self, input: Tensor) -> None:
        return


def _prelu(node: Node, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
    slope = _weight(node, weights, 1).flatten()
    return _filled(nn.PReLU(len(slope)), weight=slope)


def _linear(node: Node, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
    """Gemm, or MatMul by constant numbers."""
    if node.attributes.get("alpha", 1.0) != 1 or node.attributes.get("beta", 1.0) != 1 or "transA" in node.attributes:
        raise ValueError(f"a {node.kind} scales or turns what it takes")
    weight = _weight(node, weights, 1)
    weight = weight if node.attributes.get("transB", 0) else weight.T
    bias = len(node.inputs) > 2
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    return _filled(layer, weight=weight, **({"bias": _weight(node, weights, 2)} if bias else {}))


def _pool(node: Node, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
    kernel = node.attributes["kernel_shape"]
    count = bool(node.attributes.get("count_include_pad", 0))
    return nn.AvgPool2d(kernel, node.attributes.get("strides", (1, 1)), _same_padding(node), count_include_pad=count)


def _flatten(node: Node, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
    if node.attributes.get("axis", 1) != 1:
        raise ValueError("a Flatten keeps more than the first axis")
    return nn.Flatten()


def _sum(node: Node, weights: Mapping[str, NDArray[Any]]) -> nn.Module:
    if any(value in weights for value in node.inputs):
        raise ValueError("an Add adds constant numbers")
    return Sum()


LAYERS: Mapping[str, Callable[[Node, Mapping[str, NDArray[Any]]], nn.Module]] = MappingProxyType(
    {
        "Add": _sum,
        "AveragePool": _pool,
        "BatchNormalization": _norm,
        "Conv": _convolution,
        "Dropout": lambda node, weights: nn.Identity(),
        "Flatten": _flatten,
        "Gemm": _linear,
        "Identity": lambda node, weights: nn.Identity(),
        "MatMul": _linear,
        "PRelu": _prelu,
        "Relu": lambda node, weights: nn.ReLU(),
    }
)
"""Operation to the layer that does it."""
