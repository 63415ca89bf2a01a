"""What every picture promises."""

import copy
import dataclasses
import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from trajmap import plots
from trajmap._registry import members
from trajmap.data.results.critical_points import CriticalPoints
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.lift_gap import plot_lift_gap
from trajmap.plots.theme import drawing_theme

each = pytest.mark.parametrize("name", [name.removeprefix("plot_") for name in members(plots)])


@pytest.fixture(autouse=True)
def agg():
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture
def noun(name, nouns):
    if name == "scalars":
        return Trajectory.of(np.eye(5), scalars={"loss": np.array([3, 2, np.nan, 1, 0.5])})
    return nouns[name]


def draw(name, noun, ax=None):
    return members(plots)[f"plot_{name}"](noun, ax=ax)


@each
def test_draws_where_it_is_told(name, noun):
    ax = Figure().add_subplot()
    before = dict(mpl.rcParams)
    assert draw(name, noun, ax) is ax
    assert dict(mpl.rcParams) == before
    assert not plt.get_fignums()
    assert ax.get_title()


@each
def test_makes_its_own_axes(name, noun):
    ax = draw(name, noun)
    assert len(plt.get_fignums()) == 1
    assert ax.figure.axes


@pytest.mark.slow
@each
@pytest.mark.parametrize("dark", [False, True])
def test_renders_in_both_themes(name, noun, dark):
    before = dict(mpl.rcParams)
    with drawing_theme(dark=dark):
        figure = Figure(layout="constrained")
        draw(name, noun, figure.add_subplot())
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        ground = mpl.rcParams["figure.facecolor"]
    assert dict(mpl.rcParams) == before
    assert len(stream.getvalue()) > 5000
    assert ground == ("#14171c" if dark else "#ffffff")


@each
def test_the_noun_is_left_alone(name, noun):
    twin = copy.deepcopy(noun)
    draw(name, noun, Figure().add_subplot())
    before = twin if isinstance(noun, dict) else vars(twin)
    for field, value in (noun if isinstance(noun, dict) else vars(noun)).items():
        other = before[field]
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, other)


def test_the_minimum_is_drawn_where_it_is(nouns):
    """Axis 0 is horizontal: sample the drawn bands at the minimum and at its mirror image."""
    figure = Figure()
    ax = plot_landscape(nouns["landscape"], ax=figure.add_subplot())
    filled = next(c for c in ax.collections if type(c).__name__ == "QuadContourSet")
    lowest = next(path for path in filled.get_paths() if len(path.vertices))
    assert lowest.contains_point((1, -1))
    assert not lowest.contains_point((-1, 1))
    assert ax.get_xlim() == (-2, 2)
    assert ax.get_ylim() == (-2, 3)


def test_a_line_and_a_constant():
    line = Landscape(Grid((np.linspace(0, 1, 5),)), np.arange(5.0), support=np.arange(5) < 3)
    assert plot_landscape(line, ax=Figure().add_subplot()).get_ylabel() == "loss"
    flat = Grid((np.array([0.0, 1]), np.array([0.0, 1])))
    plot_landscape(Landscape(flat, np.zeros((2, 2))), ax=Figure().add_subplot())


def test_worded_errors():
    cube = Grid((np.array([0.0, 1]),) * 3)
    with pytest.raises(InputError, match="a grid of 1 or 2 axes, got 3"):
        plot_landscape(Landscape(cube, np.zeros((2, 2, 2))))
    flat = Grid((np.array([0.0, 1]), np.array([0.0, 1])))
    with pytest.raises(InputError, match="at least one finite value"):
        plot_landscape(Landscape(flat, np.full((2, 2), np.nan)))


def test_a_relief_has_holes_pale_cells_and_the_path(nouns):
    land = nouns["landscape"]
    ax = plots.plot_surface_3d(land)
    assert ax.name == "3d"
    assert ax.get_zlabel() == "log₁₀ loss"
    path = ax.lines[0].get_data_3d()
    np.testing.assert_allclose(path[2], np.log10(land.lifted_values))
    ax.figure.savefig(io.BytesIO(), format="png")
    with pytest.raises(InputError, match="a grid of 2 axes, got 1"):
        plots.plot_surface_3d(Landscape(Grid((np.linspace(0, 1, 3),)), np.arange(3.0)))


def test_an_interactive_relief_holds_the_losses(nouns):
    land = nouns["landscape"]
    figure = plots.interactive_surface_3d(land)
    names = [trace.name for trace in figure.data]
    assert names == ["unsupported", "supported", "path"]
    np.testing.assert_allclose(np.array(figure.data[0].z), np.log10(land.values).T)
    assert np.isnan(np.array(figure.data[1].z, dtype=float)).sum() == (~land.support).sum()


@pytest.mark.slow
def test_a_film_of_the_path(nouns, tmp_path):
    from PIL import Image

    film = plots.save_animation(nouns["landscape"], tmp_path / "deep" / "film.gif", frames=5)
    with Image.open(film) as image:
        assert image.n_frames == 5
    with pytest.raises(InputError, match=r"a .gif or .mp4 file"):
        plots.save_animation(nouns["landscape"], tmp_path / "film.avi")
    bare = Landscape(nouns["landscape"].grid, nouns["landscape"].values)
    with pytest.raises(InputError, match="a path over a grid of 2 axes"):
        plots.save_animation(bare, tmp_path / "film.gif")


def test_critical_points_are_marked_and_hollow_where_the_chart_hides_something(nouns):
    points = CriticalPoints(
        np.array([[1.0, -1], [0, 0]]), np.ones(2), np.array([[1.0, 2], [-1, 1]]), np.array([[-3.0, 1], [1, 2]]),
        np.zeros(2), np.zeros(2), 0.1,
    )  # fmt: skip
    ax = plot_landscape(nouns["landscape"], points=points, ax=Figure().add_subplot())
    marks = [c for c in ax.collections if len(c.get_offsets()) == 1 and tuple(c.get_offsets()[0]) in {(1, -1), (0, 0)}]
    hollow = {tuple(c.get_offsets()[0]): len(c.get_facecolors()) == 0 for c in marks if c.get_zorder() == 6}
    assert hollow == {(1.0, -1.0): True, (0.0, 0.0): False}


def test_nan_losses_are_left_out_of_the_line_and_kept_in_the_noun():
    values = np.array([1.0, np.nan, 3.0])
    gap = LiftGap(np.arange(3.0), values, values + 1, values, values)
    ax = plot_lift_gap(gap, ax=Figure().add_subplot())
    assert np.isnan(ax.lines[0].get_ydata()[1])
    assert "median +1" in ax.get_title()


@pytest.mark.parametrize(
    "name",
    [
        "asymmetry",
        "direction_curvatures",
        "walk_rise",
        "noise_rise",
        "permutation_paths",
        "gradient_cloud",
        "saturation",
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_drawn_as_nothing_and_breaks_nothing(nouns, name, value):
    """Warnings are errors here: a picture of nothing but NaN still has its axes and its title."""
    noun = nouns[name]
    broken = {
        field.name: np.full_like(array, value)
        for field in dataclasses.fields(noun)
        if isinstance(array := getattr(noun, field.name), np.ndarray)
        and field.name in {"plus", "minus", "values", "rises", "losses", "norms"}
    }
    figure = Figure()
    with np.errstate(invalid="ignore"):  # the nouns' own means of inf − inf
        ax = draw(name, dataclasses.replace(noun, **broken), figure.add_subplot())
        figure.savefig(io.BytesIO(), format="png")
    assert ax.get_title()


ODD = {
    "one number apart": np.where(np.eye(5) > 0, np.nextafter(1, 2), 1.0),
    "rounding apart": 1 + 1e-15 * np.arange(25.0).reshape(5, 5),
    "the smallest number": 5e-324 * np.eye(5),
    "large and one number apart": 1e16 + 2 * np.eye(5),
    "from the least to the greatest": 1.7e308 * np.linspace(-1, 1, 25).reshape(5, 5),
    "all sizes": np.geomspace(1e-300, 1e300, 25).reshape(5, 5),
    "one finite": np.where(np.arange(25).reshape(5, 5) == 7, 1.0, np.nan),
}


@pytest.mark.parametrize("name", ODD)
def test_levels_increase_whatever_the_losses_are(name):
    land = Landscape(Grid((np.linspace(-1, 1, 5),) * 2), ODD[name])
    ax = plot_landscape(land, ax=Figure().add_subplot())
    levels = ax.collections[0].levels
    assert (np.diff(levels) > 0).all()
    assert np.isfinite(np.ptp(levels))
    ax.figure.savefig(io.BytesIO(), format="png")


def test_several_runs_are_several_paths(tmp_path):
    path = np.concatenate([np.linspace([-1, -1], [-0.5, -1], 4), np.linspace([1, 1], [0.5, 1], 3)])
    values, grid = np.arange(25.0).reshape(5, 5), Grid((np.linspace(-1, 1, 5),) * 2)
    land = Landscape(grid, values, path=path, path_values=np.ones(7), lifted_values=np.ones(7), runs={"a": 4, "b": 3})
    assert land.paths == {"a": slice(0, 4), "b": slice(4, 7)}
    land.save(tmp_path / "land.npz")
    assert Landscape.open(tmp_path / "land.npz").paths == land.paths
    ax = plot_landscape(land, ax=Figure().add_subplot())
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), path[:4])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), path[4:])
    assert {text.get_text() for text in ax.texts} == {"start", "a", "b"}
    assert [len(line.get_data_3d()[0]) for line in plots.plot_surface_3d(land).lines] == [4, 3]
    assert [trace.name for trace in plots.interactive_surface_3d(land).data][1:] == ["a", "b"]
    plots.save_animation(land, tmp_path / "film.gif", frames=3)
    with pytest.raises(InputError, match="runs: expected 7 iterates"):
        dataclasses.replace(land, runs={"a": 4})
