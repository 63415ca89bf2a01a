"""Every figure a run folder's artefacts allow, as PNG bytes."""

import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

from trajmap.data.artefacts import Artefacts
from trajmap.data.trajectory import Trajectory
from trajmap.plots.alignment import plot_alignment
from trajmap.plots.connection import plot_connection
from trajmap.plots.curvature import plot_density, plot_edge, plot_trainings
from trajmap.plots.curves import plot_curves
from trajmap.plots.eigenvalues import plot_eigenvalues
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.lift_gap import plot_lift_gap
from trajmap.plots.scalars import plot_scalars
from trajmap.plots.scores import plot_scores
from trajmap.plots.sensitivity import plot_sensitivity
from trajmap.plots.theme import theme
from trajmap.plots.topology import plot_basins, plot_merge_tree
from trajmap.plots.variance import plot_variance

__all__ = ["draw_figures"]

Drawing = Callable[[Any], Any]


def draw_figures(
    trajectory: Trajectory,
    artefacts: Artefacts,
    *,
    dark: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, bytes]:
    """Draw what there is.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    artefacts : Artefacts
        What was made of it.
    dark : bool
        Light ink on a dark ground.
    progress : callable, optional
        Called with the figures done and their number.

    Returns
    -------
    dict of str to bytes
        PNG by name, as ``landscape-pca``; names say the section and the chart.
    """
    drawings = _drawings(trajectory, artefacts)
    pictures = {}
    for done, (name, draw) in enumerate(drawings.items()):
        pictures[name] = _render(draw, wide=name == "scores", dark=dark)
        if progress is not None:
            progress(done + 1, len(drawings))
    return pictures


def _drawings(trajectory: Trajectory, artefacts: Artefacts) -> dict[str, Drawing]:
    comparisons = artefacts.comparisons()
    single: list[tuple[str, Any, Callable[..., Any]]] = [
        ("scalars", trajectory, plot_scalars),
        ("variance", artefacts.variance(), plot_variance),
        ("scores", artefacts.scores(), plot_scores),
        ("curves", artefacts.curves(), plot_curves),
        ("sensitivity", artefacts.sensitivity(), plot_sensitivity),
        ("edge", artefacts.edge(), plot_edge),
        ("density", artefacts.density(), plot_density),
        ("trainings", artefacts.trainings(), plot_trainings),
        ("eigenvalues", next(iter(comparisons.values()), None), plot_eigenvalues),
    ]
    several: list[tuple[str, Mapping[str, Any], Callable[..., Any]]] = [
        ("landscape", artefacts.landscapes(), plot_landscape),
        ("gap", artefacts.lift_gaps(), plot_lift_gap),
        ("connection", artefacts.connections(), plot_connection),
        ("tree", artefacts.trees(), plot_merge_tree),
        ("profile", artefacts.profiles(), plot_basins),
        ("alignment", comparisons, plot_alignment),
    ]
    nouns = [(name, noun, plot) for name, noun, plot in single if noun is not None]
    nouns += [(f"{kind}-{name}", noun, plot) for kind, found, plot in several for name, noun in found.items()]
    return {name: functools.partial(_draw, plot, noun) for name, noun, plot in nouns}


def _draw(plot: Callable[..., Any], noun: Any, ax: Any) -> Any:
    return plot(noun, ax=ax)


def _render(draw: Drawing, *, wide: bool, dark: bool) -> bytes:
    """Draw on a figure of its own, without pyplot, so that no window system or global state is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with theme(dark=dark):
        figure = Figure(figsize=(10.2, 4.2) if wide else (6.4, 4.8), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    return stream.getvalue()
