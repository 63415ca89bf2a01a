"""Every figure a run folder's artefacts allow, as PNG bytes."""

import io
from collections.abc import Callable
from typing import Any

from trajmap.data.artefacts import Artefacts
from trajmap.data.trajectory import Trajectory
from trajmap.plots.alignment import plot_alignment
from trajmap.plots.connection import plot_connection
from trajmap.plots.curvature import plot_density, plot_edge, plot_trainings
from trajmap.plots.eigenvalues import plot_eigenvalues
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.lift_gap import plot_lift_gap
from trajmap.plots.scalars import plot_scalars
from trajmap.plots.scores import plot_scores
from trajmap.plots.sensitivity import plot_sensitivity
from trajmap.plots.theme import theme
from trajmap.plots.topology import plot_merge_tree
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
    drawings: dict[str, Drawing] = {"scalars": lambda ax: plot_scalars(trajectory, ax=ax)}
    variance, scores, comparisons = artefacts.variance(), artefacts.scores(), artefacts.comparisons()
    if variance is not None:
        drawings["variance"] = lambda ax: plot_variance(variance, ax=ax)
    for name, land in artefacts.landscapes().items():
        drawings[f"landscape-{name}"] = lambda ax, noun=land: plot_landscape(noun, ax=ax)  # type: ignore[misc]
    for name, gap in artefacts.lift_gaps().items():
        drawings[f"gap-{name}"] = lambda ax, noun=gap: plot_lift_gap(noun, ax=ax)  # type: ignore[misc]
    for name, way in artefacts.connections().items():
        drawings[f"connection-{name}"] = lambda ax, noun=way: plot_connection(noun, ax=ax)  # type: ignore[misc]
    for name, tree in artefacts.trees().items():
        drawings[f"tree-{name}"] = lambda ax, noun=tree: plot_merge_tree(noun, ax=ax)  # type: ignore[misc]
    if scores is not None:
        drawings["scores"] = lambda ax: plot_scores(scores, ax=ax)
    sensitivity = artefacts.sensitivity()
    if sensitivity is not None:
        drawings["sensitivity"] = lambda ax: plot_sensitivity(sensitivity, ax=ax)
    density, edge, trainings = artefacts.density(), artefacts.edge(), artefacts.trainings()
    if edge is not None:
        drawings["edge"] = lambda ax: plot_edge(edge, ax=ax)
    if density is not None:
        drawings["density"] = lambda ax: plot_density(density, ax=ax)
    if trainings is not None:
        drawings["trainings"] = lambda ax: plot_trainings(trainings, ax=ax)
    for i, (name, found) in enumerate(comparisons.items()):
        if i == 0:
            drawings["eigenvalues"] = lambda ax, noun=found: plot_eigenvalues(noun, ax=ax)  # type: ignore[misc]
        drawings[f"alignment-{name}"] = lambda ax, noun=found: plot_alignment(noun, ax=ax)  # type: ignore[misc]
    return drawings


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
