"""Every figure of a run folder's results, as PNG bytes."""

import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

from trajmap.kinds.kind import Kind
from trajmap.plots.theme import drawing_theme

__all__ = ["Found", "draw_figures"]

Found = Mapping[Kind[Any], Mapping[str, Any]]
"""Results by kind and name."""


def draw_figures(
    found: Found, *, dark: bool = False, progress: Callable[[int, int], None] | None = None
) -> dict[str, bytes]:
    """Draw the results.

    Parameters
    ----------
    found : mapping of Kind to mapping
        The results by kind and name.
    dark : bool
        Light lines on a dark background.
    progress : callable, optional
        Called with the figures done and their number.

    Returns
    -------
    dict of str to bytes
        PNG by name, as ``landscape-pca``: the kind's name, and the result's.
    """
    drawings = {
        name: (kind, drawn)
        for kind, nouns in found.items()
        for name, (drawn, _) in kind.pictures(kind.shown(nouns)).items()
    }
    pictures = {}
    for done, (name, (kind, drawn)) in enumerate(drawings.items()):
        pictures[name] = _render(functools.partial(_draw, kind, drawn), wide=kind.wide, dark=dark)
        if progress is not None:
            progress(done + 1, len(drawings))
    return pictures


def _draw(kind: Kind[Any], drawn: Any, ax: Any) -> None:
    assert kind.plot is not None
    kind.plot(drawn, ax=ax)


def _render(draw: Callable[[Any], None], *, wide: bool, dark: bool) -> bytes:
    """Draw on a figure of its own, without pyplot, so that no window system or global state is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with drawing_theme(dark=dark):
        figure = Figure(figsize=(7.6, 3.4) if wide else None, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    return stream.getvalue()
