"""The loss over a chart: shape, support, broken cells, several runs, and losses of every kind."""

import dataclasses
import io
import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from trajmap.data.results.landscape import Grid, Landscape
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.surface_3d import interactive_surface_3d, plot_surface_3d
from trajmap.plots.theme import drawing_theme


def bowl(*, width=2.0, height=2.0, **fields):
    grid = Grid((np.linspace(0, width, 9), np.linspace(-1, height - 1, 7)))
    values = (0.1 + np.sum((grid.points - [1, 0]) ** 2, axis=1)).reshape(grid.shape)
    return Landscape(grid, values, **fields)


def drawn(land, **options):
    """Draw and lay out a picture, as it is saved."""
    with drawing_theme():
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        ax = plot_landscape(land, ax=figure.add_subplot(), **options)
        figure.savefig(io.BytesIO(), format="png")
    return ax


def notes(ax):
    return "\n".join(text.get_text() for text in ax.texts)


def pixels(ax, point):
    """Colour of the picture at a point of the data, 0 to 255."""
    ax.figure.canvas.draw()
    x, y = ax.transData.transform(point)
    image = np.asarray(ax.figure.canvas.buffer_rgba())
    return image[round(image.shape[0] - 1 - y), round(x), :3].astype(int)


@pytest.mark.parametrize(("scale", "ratio"), [((1.0, 1.0), 1.0), ((3.0, 2.0), 2 / 3), ((1.0, 2.5), 2.5)])
def test_axes_are_drawn_in_equal_parameter_distance(scale, ratio):
    """The lengths on paper, measured after layout, are as the lengths in parameter space."""
    box = drawn(bowl(scale=scale)).get_window_extent()
    assert box.height / box.width == pytest.approx(ratio, rel=0.02)


@pytest.mark.parametrize(("scale", "axis"), [((9.0, 1.0), 1), ((1.0, 20.0), 0)])
def test_a_side_that_would_be_a_thread_is_stretched_and_says_how_far(scale, axis):
    land = bowl(scale=scale, labels=["PC 1: 98% of the variance (walk: 61%)", "PC 2: 1% of the variance (walk: 15%)"])
    ax = drawn(land)
    box = ax.get_window_extent()
    shown = np.array([box.width, box.height]) / land.extents
    label = (ax.get_xlabel(), ax.get_ylabel())[axis]
    assert label.startswith(f"PC {axis + 1}, stretched ")
    stated = float(label.split("stretched ")[1].split(" ×")[0])
    assert stated == pytest.approx(shown[axis] / shown[1 - axis], rel=0.05)
    assert "stretched" not in (ax.get_xlabel(), ax.get_ylabel())[1 - axis]


def test_an_unknown_scale_fills_the_picture():
    ax = drawn(bowl())
    assert ax.get_aspect() == "auto"
    assert "stretched" not in ax.get_xlabel() + ax.get_ylabel()


def test_unsupported_cells_lose_their_colour_and_keep_their_loss():
    grid = Grid((np.linspace(0, 4, 41), np.linspace(0, 1, 11)))
    values = np.repeat(np.floor(grid.axes[0] * 2)[:, None] % 2, 11, axis=1)  # two losses, in stripes
    support = np.repeat((grid.axes[0] < 2)[:, None], 11, axis=1)
    ax = drawn(Landscape(grid, values, support=support, reach=0.5))
    inside, outside = ([pixels(ax, (x + shift, 0.53)) for x in (0.25, 0.75)] for shift in (0.0, 3.0))
    for own, grey in zip(inside, outside, strict=True):
        assert np.ptp(own) > 60  # viridis has no grey
        assert np.ptp(grey) < 0.5 * np.ptp(own)
    assert outside[1].mean() - outside[0].mean() > 60, "the two losses are told apart without colour"
    assert "grey: 51% of the cells, farther than 0.5 from every iterate" in notes(ax)
    whole = dataclasses.replace(Landscape(grid, values), support=np.ones(grid.shape, dtype=bool))
    assert "grey" not in notes(drawn(whole))
    none = Landscape(grid, values, support=np.zeros(grid.shape, dtype=bool), reach=0.5)
    assert "grey: all of the cells" in notes(drawn(none))


def test_broken_cells_are_crossed_and_counted():
    land = bowl()
    values = land.values.copy()
    values[0, 0], values[3, 4] = np.nan, np.inf
    ax = drawn(Landscape(land.grid, values))
    assert "crossed: 2 cells NaN or inf" in notes(ax)
    crosses = next(c for c in ax.collections if c.get_offsets().shape == (2, 2))
    x, y = land.grid.axes
    assert {tuple(place) for place in crosses.get_offsets()} == {(x[0], y[0]), (x[3], y[4])}


def runs(names, apart=0.3, **fields):
    paths = [np.linspace([0.2 + 0.3 * i, -0.8], [0.4 + apart * i, 0.7], 5) for i in range(len(names))]
    n = 5 * len(names)
    return bowl(path=np.concatenate(paths), path_values=np.ones(n), lifted_values=np.ones(n),
                runs=dict.fromkeys(names, 5), **fields)  # fmt: skip


def test_runs_differ_in_colour_and_in_mark_and_are_named():
    ax = drawn(runs(list("abcde"), scale=(1.0, 1.0)))
    ends = [c for c in ax.collections if len(c.get_offsets()) == 1 and c.get_zorder() == 5]
    marks = ends[1::2]  # each run has a start and an end
    colours = [tuple(mark.get_facecolor()[0][:3]) for mark in marks]
    shapes = {(len(mark.get_paths()[0].vertices), *mark.get_paths()[0].vertices[0]) for mark in marks}
    assert len(set(colours)) == len(shapes) == 5
    assert {"start", *"abcde"} <= set(notes(ax).split("\n"))


def test_names_of_ends_stand_on_none_of_each_other_and_inside():
    called = [f"a long name {i}" for i in range(5)]
    ax = drawn(runs(called, apart=0.07, scale=(1.0, 1.0)))
    box = ax.get_window_extent()
    names = [Text.get_window_extent(text) for text in ax.texts if text.get_text() in {"start", *called}]
    assert len(names) == 6
    for one, other in itertools.combinations(names, 2):
        across, up = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
        assert not (across > 1 and up > 1)
    for name in names:
        assert name.x1 < box.x1 + 5
        assert name.x0 > box.x0 - 5


def test_time_runs_from_pale_to_the_runs_colour():
    ax = drawn(runs(["a"]))
    lines = next(c for c in ax.collections if type(c).__name__ == "LineCollection")
    shades = lines.cmap([0.0, 1.0])[:, :3]
    assert shades[0].min() > 0.95
    np.testing.assert_allclose(shades[1], to_rgb("#D55E00"), atol=0.01)


HOSTILE = {
    "constant": np.full(20, 3.0),
    "zero": np.zeros(20),
    "negative": -np.geomspace(1, 1e4, 20),
    "both signs": np.linspace(-5, 5, 20),
    "infinite in places": np.where(np.arange(20) % 3 == 0, np.inf, np.arange(20.0)),
    "one finite": np.where(np.arange(20) == 7, 1.0, np.nan),
    "all huge": np.linspace(1, 1.79, 20) * 1e308,
    "huge of both signs": np.linspace(-1.79, 1.79, 20) * 1e308,
    "tiny": np.linspace(1, 9, 20) * 1e-308,
    "denormal": np.arange(20) * 5e-324,
    "every size": np.geomspace(1e-308, 1e308, 20),
    "with minus infinity": np.where(np.arange(20) == 3, -np.inf, np.arange(20.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_losses_of_every_kind_have_finite_levels(kind):
    """Warnings are errors here."""
    values = HOSTILE[kind].reshape(5, 4)
    path = np.linspace([0.1, 0.1], [3.9, 2.9], 6)
    losses = np.resize(HOSTILE[kind], 6)
    land = Landscape(Grid((np.arange(5.0), np.arange(4.0))), values, path=path, path_values=losses,
                     lifted_values=losses, support=values > 0, reach=1.0, scale=(1.0, 1.0))  # fmt: skip
    ax = drawn(land)
    levels = ax.collections[0].levels
    assert np.isfinite(levels).all()
    assert (np.diff(levels) > 0).all()
    line = Landscape(Grid((np.arange(20.0),)), HOSTILE[kind], path=np.arange(6.0)[:, None], path_values=losses)
    assert np.isfinite(drawn(line).get_ylim()).all()
    mpl.use("Agg")
    relief = plot_surface_3d(land, ax=Figure().add_subplot(projection="3d"))
    relief.figure.savefig(io.BytesIO(), format="png")
    assert len(interactive_surface_3d(land).to_json()) > 100


@pytest.mark.parametrize("size", [1.0, 1e16, 1e307, 1.79e308])
def test_the_lowest_losses_are_drawn(size):
    """Half of the picture is at the lowest level: it is viridis's purple, not left white."""
    grid = Grid((np.arange(4.0), np.arange(3.0)))
    ax = drawn(Landscape(grid, np.repeat([-size, -size, size, size], 3).reshape(4, 3)))
    red, green, blue = pixels(ax, (0.4, 1.3))
    assert green < 40 < red < blue


def test_a_relief_keeps_distances_and_tells_runs_apart():
    land = runs(["a", "b"], scale=(3.0, 2.0))
    ax = plot_surface_3d(land, ax=Figure().add_subplot(projection="3d"))
    sides = ax._box_aspect
    assert sides[0] / sides[1] == pytest.approx(1.5)
    assert len({line.get_color() for line in ax.lines}) == 2
    figure = interactive_surface_3d(land)
    assert figure.layout.scene.aspectratio.x / figure.layout.scene.aspectratio.y == pytest.approx(1.5)
    assert len({trace.line.color for trace in figure.data[1:]}) == 2
    long = runs(["a"], scale=(30.0, 1.0), labels=["PC 1: x", "PC 2: y"])
    assert interactive_surface_3d(long).layout.scene.yaxis.title.text == "PC 2, stretched 10 ×: y"
