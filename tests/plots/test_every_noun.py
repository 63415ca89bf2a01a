"""Every noun has a picture, and every picture survives losses of every kind."""

import dataclasses
import importlib
import inspect
import pkgutil
import typing

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import trajmap.data
from trajmap import plots
from trajmap._registry import members
from trajmap.data.archive import Saved
from trajmap.data.trajectory import Trajectory
from trajmap.plots.theme import drawing_theme

# what is drawn in another's picture, or is no picture
ELSEWHERE = {
    "Claim": "plot_claims draws several",
    "CriticalPoints": "marks on a landscape",
    "CriticalSharpness": "one number",
    "Grid": "the axes of a landscape",
    "LineClass": "the name of a line in plot_lines",
    "Plane": "a landscape is drawn over it",
    "Pullback": "numbers at one point",
    "BatchGradients": "rows of P numbers; their shares are drawn by plot_alignment",
    "ChartState": "plot_embedding draws what the chart makes",
    "CurvatureClass": "one word and two counts",
    "DriftShare": "one number with its error",
    "EigenspaceDrift": "a few numbers; plot_alignment draws the run",
    "IntensiveCoordinates": "coordinates, drawn as an embedding",
    "KernelSlope": "two numbers",
    "MatchedWeights": "P numbers",
    "QuadraticHorizon": "cosines of a few steps",
    "RankAgreement": "one number with its interval",
    "SampleQuadratics": "one row per sample; plot_subspace_convergence draws what follows",
    "ScalarCurvature": "one number with its error",
    "SpectralGap": "two numbers",
    "Stagnation": "two numbers",
    "StationaryCheck": "three numbers per eigenvector, as a table",
    "TraceEstimate": "one number with its error",
}

LOSSES = {
    *("values", "losses", "lifted_values", "control_values", "plus", "minus", "rises", "norms", "changes", "measured"),
    *(
        "eigenvalues",
        "births",
        "deaths",
        "heights",
        "recorded",
        "null",
        "ratios",
        "gradient",
        "step",
        "tangent",
        "ratio",
    ),
}
HOSTILE = {
    "constant and negative": lambda n: np.full(n, -2.0),
    "infinite and no number": lambda n: np.resize([np.inf, 1.0, np.nan, -np.inf], n),
    "huge": lambda n: 1.7e308 * np.linspace(-1, 1, n),
    "huge and constant": lambda n: np.full(n, 1.7e308),
    "every size": lambda n: np.geomspace(1e-308, 1e308, n),
}


def nouns_of_the_package():
    for module in pkgutil.walk_packages(trajmap.data.__path__, "trajmap.data."):
        importlib.import_module(module.name)
    return {cls.__name__ for cls in Saved.__subclasses__() if cls.__module__.startswith("trajmap.")}


def test_every_noun_is_drawn_or_said_where():
    drawn = set()
    for plot in members(plots).values():
        first = next(iter(inspect.signature(plot).parameters))
        kind = typing.get_type_hints(plot, localns={"Axes": object})[first]
        drawn |= {part.__name__ for part in (kind, *typing.get_args(kind)) if inspect.isclass(part)}
    missing = nouns_of_the_package() - drawn - set(ELSEWHERE)
    assert not missing, f"no picture: {missing}; write plots/NAME.py, or say in ELSEWHERE where it is drawn"


def broken(noun, kind):
    """A noun whose losses are of a kind; what its own checks refuse is not drawn."""
    if isinstance(noun, dict):
        return {name: broken(part, kind) for name, part in noun.items()}
    changed = {
        field.name: HOSTILE[kind](array.size).reshape(array.shape)
        for field in dataclasses.fields(noun)
        if field.name in LOSSES and isinstance(array := getattr(noun, field.name), np.ndarray) and array.size
    }
    return dataclasses.replace(noun, **changed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", [name.removeprefix("plot_") for name in members(plots)])
def test_losses_of_every_kind_are_drawn(nouns, name, kind):
    """Warnings are errors here; a refusal has to be worded."""
    if name == "scalars":
        pytest.skip("drawn from a trajectory")
    from trajmap.errors import InputError

    try:
        with np.errstate(all="ignore"):  # the nouns' own checks and sums
            noun = broken(nouns[name], kind)
    except InputError:
        pytest.skip("the noun itself refuses it")
    figure = Figure(layout="constrained")
    try:
        with np.errstate(all="ignore"):  # the nouns' own sums
            ax = members(plots)[f"plot_{name}"](noun, ax=figure.add_subplot())
    except InputError as error:
        assert "expected" in str(error)
        return
    figure.draw_without_rendering()
    assert ax.get_title()
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


@pytest.mark.parametrize("name", [name.removeprefix("plot_") for name in members(plots)])
def test_no_word_is_cut_off_or_too_small_where_the_figure_is_small(nouns, name):
    """Shown 360 pixels wide, every word is at least 7 pixels high and on the figure."""
    noun = Trajectory.of(np.eye(5), scalars={"train_loss": np.geomspace(9, 1, 5)}) if name == "scalars" else nouns[name]
    with drawing_theme():
        figure = Figure(layout="constrained")
        members(plots)[f"plot_{name}"](noun, ax=figure.add_subplot())
        figure.draw_without_rendering()
        words = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        shown = [text for text in words if not in_axis(text)]
    assert min(text.get_fontsize() for text in words) * 360 / (figure.get_figwidth() * 72) > 7
    for text in shown:
        box = text.get_window_extent()
        inside = figure.bbox.x0 - 2 <= box.x0, box.x1 <= figure.bbox.x1 + 2, box.y0 >= -2, box.y1 <= figure.bbox.y1 + 2
        assert all(inside), f"{text.get_text()!r} at {box}"


def in_axis(text):
    """Labels of ticks beyond the limits are never drawn."""
    ticks = [label for ax in text.figure.axes for label in (*ax.get_xticklabels(), *ax.get_yticklabels())]
    return text in ticks
