"""Operation counts against counts by hand, against torch's own counter, and against published ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from thbench.cost.flops import Operation, Tally, count_part, tally
from thbench.errors import MethodError


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(*shape, device="meta")


def flops(call: Callable[[], object]) -> int:
    return tally(call)[0].flops


BY_HAND = {
    "linear": (lambda: F.linear(meta(7, 5, 3), meta(11, 3), meta(11)), 2 * 7 * 5 * 3 * 11),
    "linear of a vector": (lambda: F.linear(meta(3), meta(11, 3)), 2 * 3 * 11),
    "mm": (lambda: meta(4, 5) @ meta(5, 6), 2 * 4 * 5 * 6),
    "mv": (lambda: meta(4, 5) @ meta(5), 2 * 4 * 5),
    "dot": (lambda: torch.dot(meta(9), meta(9)), 2 * 9),
    "addmv": (lambda: torch.addmv(meta(4), meta(4, 5), meta(5)), 2 * 4 * 5),
    "bmm": (lambda: torch.bmm(meta(3, 4, 5), meta(3, 5, 6)), 3 * 2 * 4 * 5 * 6),
    "baddbmm": (lambda: torch.baddbmm(meta(3, 4, 6), meta(3, 4, 5), meta(3, 5, 6)), 3 * 2 * 4 * 5 * 6),
    "addbmm": (lambda: torch.addbmm(meta(4, 6), meta(3, 4, 5), meta(3, 5, 6)), 3 * 2 * 4 * 5 * 6),
    "broadcast matmul": (lambda: meta(2, 1, 4, 5) @ meta(3, 5, 6), 2 * 3 * 2 * 4 * 5 * 6),
    "einsum": (lambda: torch.einsum("bhid,bhjd->bhij", meta(2, 3, 4, 5), meta(2, 3, 6, 5)), 2 * 3 * 2 * 4 * 6 * 5),
    "einsum of three": (
        lambda: torch.einsum("ij,jk,kl->il", meta(2, 3), meta(3, 4), meta(4, 5)),
        2 * 2 * 3 * 4 + 2 * 2 * 4 * 5,
    ),
    "conv1d": (lambda: F.conv1d(meta(2, 3, 10), meta(5, 3, 3), padding=1), 2 * 2 * 10 * 5 * 3 * 3),
    "conv2d, stride": (lambda: F.conv2d(meta(2, 3, 8, 8), meta(5, 3, 3, 3), stride=2, padding=1), 2 * 2 * 16 * 5 * 27),
    "conv2d, groups": (lambda: F.conv2d(meta(1, 6, 8, 8), meta(6, 1, 3, 3), padding=1, groups=6), 2 * 64 * 6 * 9),
    "conv3d": (lambda: F.conv3d(meta(1, 2, 4, 5, 6), meta(7, 2, 3, 3, 3), padding=1), 2 * 120 * 7 * 54),
    # Every input value meets the whole kernel once.
    "conv_transpose2d": (
        lambda: F.conv_transpose2d(meta(1, 3, 8, 8), meta(3, 5, 4, 4), stride=2, padding=1),
        2 * 64 * 3 * 5 * 16,
    ),
    "conv_transpose3d": (
        lambda: F.conv_transpose3d(meta(1, 3, 2, 4, 4), meta(3, 5, 2, 2, 2), stride=2),
        2 * 32 * 3 * 40,
    ),
    "attention": (
        lambda: F.scaled_dot_product_attention(meta(2, 3, 4, 5), meta(2, 3, 6, 5), meta(2, 3, 6, 7)),
        2 * 2 * 3 * 4 * 6 * (5 + 7),
    ),
    "attention by name": (
        lambda: F.scaled_dot_product_attention(query=meta(3, 4, 5), key=meta(3, 6, 5), value=meta(3, 6, 5)),
        2 * 3 * 4 * 6 * 10,
    ),
    "causal attention": (
        lambda: F.scaled_dot_product_attention(*(meta(2, 8, 5) for _ in range(3)), is_causal=True),
        2 * 2 * 8 * 8 * 10,
    ),
    "attention with a mask": (
        lambda: F.scaled_dot_product_attention(*(meta(2, 3, 8, 5) for _ in range(3)), attn_mask=meta(3, 8, 8)),
        2 * 6 * 8 * 8 * 10,
    ),
    "grouped queries": (
        lambda: F.scaled_dot_product_attention(meta(2, 8, 4, 5), meta(2, 2, 6, 5), meta(2, 2, 6, 5), enable_gqa=True),
        2 * 2 * 8 * 4 * 6 * 10,
    ),
    "nothing with products": (lambda: F.softmax(meta(4, 5), -1) + F.layer_norm(meta(4, 5), (5,)), 0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_counts_by_hand(name: str) -> None:
    call, expected = BY_HAND[name]
    assert flops(call) == expected


def test_attention_has_its_shape_and_values() -> None:
    query, key, value = (torch.randn(2, 3, length, 5) for length in (4, 6, 6))
    found, result = tally(lambda: F.scaled_dot_product_attention(query, key, value))
    torch.testing.assert_close(result, F.scaled_dot_product_attention(query, key, value))
    on_meta = tally(lambda: F.scaled_dot_product_attention(query.to("meta"), key.to("meta"), value.to("meta")))
    assert on_meta[1].shape == result.shape
    assert on_meta[0].flops == found.flops


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_torchs_own_modules(device: str) -> None:
    """Multi-head attention by hand: four projections and two products of attention."""
    with torch.device(device):
        attention = nn.MultiheadAttention(16, 4, batch_first=True).eval()
        x = torch.zeros(2, 10, 16)
    expected = 2 * 2 * 10 * 16 * 16 * 4 + 2 * 2 * 4 * 10 * 10 * (4 + 4)
    assert flops(lambda: attention(x, x, x, need_weights=False)) == expected
    assert flops(lambda: attention(x, x, x)) == expected


def test_recurrent_networks_are_taken_apart() -> None:
    with torch.device("meta"):
        lstm, x = nn.LSTM(5, 7, batch_first=True), torch.empty(3, 11, 5)
    assert flops(lambda: lstm(x)) == 2 * 3 * 11 * (5 + 7) * 4 * 7


def test_an_operation_without_a_formula_is_refused() -> None:
    with pytest.raises(MethodError, match="_cdist_forward"):
        tally(lambda: torch.cdist(meta(30, 4), meta(40, 4), compute_mode="donot_use_mm_for_euclid_dist"))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 2))
def test_torchs_counter_agrees(batch: int, channels: int, height: int, tokens: int, kernel: int, stride: int) -> None:
    """An independent count of convolution, attention and linear layers of any size."""
    height += kernel
    with torch.device("meta"):
        conv, up = nn.Conv2d(channels, 4, kernel, stride), nn.ConvTranspose2d(4, channels, kernel, stride)
        linear, x, y = (
            nn.Linear(8, 12),
            torch.empty(batch, channels, height, 9 + kernel),
            torch.empty(batch, 2, tokens, 8),
        )

        def call() -> object:
            return up(conv(x)), F.scaled_dot_product_attention(y, y, y) @ linear(y).transpose(-1, -2)[..., :8, :]

    with torch.inference_mode(), FlopCounterMode(display=False) as theirs:
        call()
    assert flops(call) == theirs.get_total_flops()


def test_kinds_sum_to_the_whole() -> None:
    with torch.device("meta"):
        net, x = nn.Conv2d(3, 4, 3, padding=1), torch.empty(1, 3, 8, 8)

        def call() -> object:
            tokens = net(x).flatten(2).transpose(1, 2)
            return F.scaled_dot_product_attention(tokens, tokens, tokens) @ tokens.transpose(1, 2)

    part, _ = count_part("net", net, call, inputs=(x,))
    assert part.by_kind == {
        "attention": 2 * 64 * 64 * 8,
        "convolution": 2 * 64 * 4 * 27,
        "matmul": 2 * 64 * 64 * 4,
    }
    assert sum(part.by_kind.values()) == part.flops


def test_bytes_of_a_linear_layer() -> None:
    with torch.device("meta"):
        layer, x = nn.Linear(100, 50), torch.empty(10, 100)
    part, found = count_part("layer", layer, lambda: layer(x), inputs=(x,), dtype=torch.float16)
    numbers = 10 * 100 + 100 * 50 + 50 + 10 * 50
    assert part.parameters == 5050
    assert part.least_bytes == part.moved_bytes == 2 * numbers
    assert part.intensity == pytest.approx(part.flops / (2 * numbers))
    assert found.moved_bytes == part.moved_bytes


def test_views_move_nothing_and_expanded_numbers_are_one() -> None:
    assert tally(lambda: meta(4, 6).reshape(6, 4).transpose(0, 1)[1:3])[0].moved_bytes == 0
    found, _ = tally(lambda: meta(1, 6).expand(1000, 6) + meta(6))
    assert found.moved_bytes == 4 * (6 + 6 + 6000)


def test_integers_keep_their_width() -> None:
    table, index = meta(10, 4), torch.empty(3, dtype=torch.int64, device="meta")
    found, _ = tally(lambda: F.embedding(index, table), dtype=torch.float16)
    assert found.moved_bytes == 3 * 8 + 2 * (40 + 12)


def test_parameters_that_are_not_used_are_not_moved() -> None:
    with torch.device("meta"):
        net = nn.ModuleDict({"used": nn.Linear(4, 4, bias=False), "idle": nn.Linear(400, 400)})
        x = torch.empty(1, 4)
    part, _ = count_part("net", net, lambda: net["used"](x), inputs=(x,))
    assert part.parameters == 16 + 160_400
    assert part.least_bytes == 4 * (4 + 16 + 4)


def test_real_and_meta_tensors_count_alike() -> None:
    def net(device: str) -> Tally:
        with torch.device(device):
            layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
            x = torch.zeros(2, 5, 16)
        return tally(lambda: layer(x))[0]

    assert net("cpu").flops == net("meta").flops > 0


def test_least_seconds_take_the_limit_of_each_operation() -> None:
    found = Tally()
    found.operations[Operation("mm", 1000, 10)] = 2
    found.operations[Operation("add", 0, 500)] = 3
    assert found.least_seconds(100.0, 50.0) == pytest.approx(2 * 10 + 3 * 10)
