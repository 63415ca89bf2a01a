"""3-D surfaces that turn under the mouse, for the page."""

from collections.abc import Mapping

from trajmap.data.results.landscape import Landscape
from trajmap.plots.surface_3d import interactive_surface_3d

__all__ = ["embed_surfaces"]


def embed_surfaces(landscapes: Mapping[str, Landscape]) -> str:
    """Write the landscapes over two axes as one HTML section; Plotly's script comes with the first, inside the page."""
    flat = [land for land in landscapes.values() if land.grid.ndim == 2]
    parts = [
        interactive_surface_3d(land).to_html(full_html=False, include_plotlyjs=i == 0, default_height="560px")
        for i, land in enumerate(flat)
    ]
    if not parts:
        return ""
    figures = "".join(f'<div class="relief">{part}</div>\n' for part in parts)
    head = '<section id="surfaces-3d">\n<h2>3-D surfaces</h2>\n<p class="soft">Drag to turn.</p>\n'
    return f"{head}{figures}</section>\n"
