"""Reliefs that turn under the mouse, for the page."""

from collections.abc import Mapping

from trajmap.data.landscape import Landscape
from trajmap.plots.relief import interactive_relief

__all__ = ["reliefs"]


def reliefs(landscapes: Mapping[str, Landscape]) -> str:
    """Write the landscapes over two axes as one HTML section; Plotly's script comes with the first, inside the page."""
    flat = [land for land in landscapes.values() if land.grid.ndim == 2]
    parts = [
        interactive_relief(land).to_html(full_html=False, include_plotlyjs=i == 0, default_height="560px")
        for i, land in enumerate(flat)
    ]
    if not parts:
        return ""
    figures = "".join(f'<div class="relief">{part}</div>\n' for part in parts)
    return f'<section id="reliefs">\n<h2>Reliefs</h2>\n<p class="soft">Drag to turn.</p>\n{figures}</section>\n'
