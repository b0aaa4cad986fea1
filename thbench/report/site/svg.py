"""SVG elements as text that is safe to put into a page: whatever goes in is escaped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """One element; `class_` and `data_x` become `class` and `data-x`, and attributes that are None are left out.

    Example:
        >>> str(element("text", "<b>", class_="n", x=1.5))
        '<text class="n" x="1.5">&lt;b&gt;</text>'
    """
    parts = [
        f' {name.rstrip("_").replace("_", "-")}="{escape(number(value))}"'
        for name, value in attributes.items()
        if value is not None
    ]
    inner = "".join(str(escape(child)) for child in children)
    return Markup(f"<{tag}{''.join(parts)}>{inner}</{tag}>")


def join(parts: Iterable[Markup]) -> Markup:
    """Elements one after another."""
    return Markup("").join(parts)


def number(value: object) -> object:
    """Coordinates with two decimals and no more zeros than needed; anything else as it is."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def polyline(points: Iterable[tuple[float, float | None]]) -> str:
    """Path data through `points`, interrupted where the second coordinate is None or not finite."""
    parts, pen = [], "M"
    for x, y in points:
        if y is None or not math.isfinite(y):
            pen = "M"
            continue
        parts.append(f"{pen}{number(float(x))} {number(float(y))}")
        pen = "L"
    return "".join(parts)


def ticks(low: float, high: float, most: int = 5) -> Sequence[float]:
    """Round numbers within [low, high], at most `most` and, where the span allows, at least two.

    Example:
        >>> list(ticks(0.0, 1.0))
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    exact = span / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(exact))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= exact * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step + 0.0 for index in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 6) -> Sequence[float]:
    """Round numbers within [low, high] for a logarithmic axis: of every decade 1, 2 and 5, or 1 alone.

    Example:
        >>> list(log_ticks(0.3, 12))
        [0.5, 1.0, 2.0, 5.0, 10.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = [digit * 10.0**decade for decade in decades for digit in digits]
        inside = [value for value in found if low <= value <= high]
        if len(inside) <= most:
            break
    return inside if len(inside) > 1 else list(ticks(low, high, most))


def tick_label(value: float, step: float) -> str:
    """A tick with as many decimals as its step needs."""
    if value and (abs(value) >= 1e5 or abs(value) < 1e-4):
        return f"{value:.3g}"
    decimals = 0 if step <= 0 or step >= 1 else min(6, math.ceil(-math.log10(step) - 1e-9))
    if step > 0 and abs(round(step, decimals) - step) > 1e-9 * step:
        decimals += 1
    return f"{value:.{decimals}f}"
