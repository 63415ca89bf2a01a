"""A noun in a notebook: its picture, and a line for each of its fields."""

import base64
import dataclasses
import html
import inspect
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from trajmap import plots
from trajmap._registry import members
from trajmap._validation import Array
from trajmap.data.reprs import short_value
from trajmap.errors import InputError
from trajmap.plots.theme import drawing_theme

__all__ = ["html_of", "picture_of"]

_WIDE, _HIGH, _MOST = 160, 28, 200  # of a small drawing: pixels, and the points that are drawn at most


def picture_of(noun: type) -> Callable[..., Any] | None:
    """Find the function of this family that draws a noun: the first whose first argument is of its class.

    Parameters
    ----------
    noun : type
        Class of the noun.

    Returns
    -------
    callable or None
        ``plot(noun, ax=...)``, or None where no picture is of this noun alone.
    """
    for plot in members(plots).values():
        first = next(iter(inspect.signature(plot).parameters.values()))
        if first.annotation is noun:
            return plot
    return None


def html_of(noun: Any) -> str:
    """Show a noun as HTML without any script: its picture where there is one, else its arrays as small lines.

    Parameters
    ----------
    noun : noun
        What is shown.

    Returns
    -------
    str
        A piece of a page.
    """
    picture = _drawn(noun)
    rows = "".join(_row(*entry, drawing=not picture) for entry in _fields(noun))
    interval = "" if picture else _interval(noun)
    head = f"<b>{html.escape(type(noun).__name__)}</b>"
    return f"<div>{head}{picture}{interval}<table>{rows}</table></div>"


def _drawn(noun: Any) -> str:
    plot = picture_of(type(noun))
    if plot is None:
        return ""
    stream = io.BytesIO()
    try:
        with drawing_theme():
            figure = Figure(figsize=(6.4, 4.2), layout="constrained")
            plot(noun, ax=figure.add_subplot())
            figure.savefig(stream, format="png", dpi=100)
    except InputError:  # a grid of three axes, or nothing that is finite: the fields are shown instead
        return ""
    text = html.escape(repr(noun), quote=True)
    return f'<br><img alt="{text}" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"><br>'


def _fields(noun: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(noun):
        value = getattr(noun, field.name)
        parts = value if isinstance(value, tuple) and all(isinstance(part, np.ndarray) for part in value) else ()
        yield from ((f"{field.name}[{i}]", part) for i, part in enumerate(parts))
        if not parts:
            yield field.name, value


def _row(name: str, value: Any, *, drawing: bool) -> str:
    line = _line(value) if drawing and isinstance(value, np.ndarray) else ""
    return f"<tr><th>{html.escape(name)}</th><td>{html.escape(short_value(value))}</td><td>{line}</td></tr>"


def _line(array: Array) -> str:
    """Draw the array's rows as lines over each other; what is not finite is a gap."""
    rows = np.atleast_2d(array).reshape(-1, array.shape[-1] if array.ndim else 1)[:10]
    step = max(1, -(-rows.shape[1] // _MOST))
    rows = rows[:, ::step].astype(np.float64)
    known = rows[np.isfinite(rows)]
    if not known.size:
        return ""
    low, span = known.min(), np.ptp(known) or 1.0
    x = np.linspace(2, _WIDE - 2, max(2, rows.shape[1]))
    paths = "".join(f'<path d="{_path(x, _HIGH - 2 - (_HIGH - 4) * ((row - low) / span))}"/>' for row in rows)
    return _svg(_HIGH, paths)


def _path(x: Array, y: Array) -> str:
    text, pen = [], "M"
    for a, b in zip(x, y, strict=False):
        if np.isfinite(b):
            text.append(f"{pen}{a:.1f} {b:.1f}h1" if pen == "M" else f"{pen}{a:.1f} {b:.1f}")
        pen = "L" if np.isfinite(b) else "M"
    return " ".join(text)


def _interval(noun: Any) -> str:
    """Draw a number with its error or its interval, with zero, if the noun is such a number."""
    numbers = {name: value for name, value in _fields(noun) if isinstance(value, float)}
    if not {"value", "error"} <= numbers.keys() and not {"value", "low", "high"} <= numbers.keys():
        return ""
    value = numbers["value"]
    error = numbers.get("error", np.nan)
    ends = np.array([numbers.get("low", value - error), numbers.get("high", value + error), value])
    ends = ends[np.isfinite(ends)]
    if not ends.size:
        return ""
    low, high = min(0.0, ends.min()), max(0.0, ends.max())
    place = 10 + (_WIDE - 20) * ((np.r_[ends.min(), ends.max(), value, 0.0] - low) / ((high - low) or 1.0))
    zero = f'<path d="M{place[3]:.1f} 4V24" stroke-dasharray="2"/>'
    dot = f'<circle cx="{place[2]:.1f}" cy="14" r="3" fill="currentColor"/>' if np.isfinite(value) else ""
    return "<br>" + _svg(_HIGH, f'{zero}<path d="M{place[0]:.1f} 14H{place[1]:.1f}"/>{dot}')


def _svg(height: int, content: str) -> str:
    size = f'width="{_WIDE}" height="{height}" viewBox="0 0 {_WIDE} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} fill="none" stroke="currentColor">{content}</svg>'
