"""Logarithms where they help, names at their lines, panels that share their axes."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trajmap.data.results.lift_gap import LiftGap
from trajmap.errors import InputError
from trajmap.plots.alignment import plot_alignments
from trajmap.plots.claims import plot_claims
from trajmap.plots.labels import chart_words, headline, label_ends, spread
from trajmap.plots.lift_gap import plot_lift_gaps
from trajmap.plots.scales import drawable, is_log, use_log


def page(**options):
    figure = Figure(layout="constrained", **options)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ([1.0, 10.1], True),
        ([1.0, 10.0], False),
        ([-1.0, 100], False),
        ([0.0, 100], False),
        ([np.nan, 1, np.inf, 11], True),
        ([np.nan, np.inf], False),
        ([], False),
        ([1e-308, 1e308], False),  # what is that small is drawn as 0
        ([1e-149, 1.7e308], True),
        ([5.0, 5.0], False),
    ],
)
def test_a_logarithm_only_where_positive_over_a_decade(values, answer):
    assert is_log(np.array(values)) is answer
    _, ax = page()
    ax.plot(drawable(np.array(values)))
    assert use_log(ax, "y", np.array(values)) is answer
    assert ax.get_yscale() == ("log" if answer else "linear")
    assert ax.get_xscale() == "linear"
    ax.figure.canvas.draw()


def test_ticks_of_a_short_logarithmic_axis_are_plain_numbers():
    figure, ax = page()
    ax.plot([1, 2, 3], [0.02, 0.3, 1.5])
    use_log(ax, "y", np.array([0.02, 0.3, 1.5]))
    figure.canvas.draw()
    low, high = ax.get_ylim()
    shown = [tick.get_text() for tick in ax.get_yticklabels() if low <= tick.get_position()[1] <= high]
    assert {"0.02", "0.1", "0.5", "1"} <= set(shown)


def test_what_is_drawn_is_finite_and_not_beyond_what_a_picture_holds():
    found = drawable(np.array([np.nan, np.inf, -np.inf, 1.7e308, -1.7e308, 5e-324, 3.0]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 1e150, -1e150, 0, 3])


@given(st.lists(st.floats(-1, 2), max_size=12), st.floats(0.01, 0.3))
def test_spread_keeps_the_order_and_the_gap_and_moves_the_middle_of_nothing(places, gap):
    moved = spread(places, gap)
    order = np.argsort(places, kind="stable")
    assert (np.diff(moved[order]) >= gap - 1e-9).all()
    assert moved.mean() == pytest.approx(np.mean(places), abs=1e-9) if places else len(moved) == 0
    far = sorted(places)
    if all(b - a >= gap for a, b in itertools.pairwise(far)):
        np.testing.assert_allclose(moved, places, atol=1e-9)


def test_names_stand_at_their_lines_and_on_none_of_each_other():
    figure, ax = page()
    x = np.arange(5.0)
    lines = [(f"line {i}", x, 1 + 0.001 * i * x, "k") for i in range(6)] + [("gone", x, np.full(5, np.nan), "k")]
    for _, x, y, _ in lines:
        ax.plot(x, y)
    label_ends(ax, lines)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == [f"line {i}" for i in range(6)]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    assert all(box.x1 <= figure.bbox.x1 + 1 for box in boxes), "there is room for them"
    assert np.argsort([box.y0 for box in boxes]).tolist() == list(range(6)), "in the order of the lines"


def test_without_room_beside_the_axes_names_are_a_legend():
    ax = Figure().add_subplot()
    label_ends(ax, [("one", np.arange(3.0), np.arange(3.0), "C0"), ("two", np.arange(3.0), np.ones(3), "C1")])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert not ax.texts


def test_a_long_title_is_broken_and_stays_on_the_figure():
    figure, ax = page()
    headline(ax, "a title of very many words that would be wider than the figure is " * 2)
    figure.canvas.draw()
    assert ax.title.get_window_extent().width <= figure.bbox.width


def test_charts_are_named_for_readers():
    assert chart_words("PCA") == chart_words("pca") == "PCA"
    assert chart_words("DiffusionMap on blocks") == "a diffusion map, on held-out stretches"
    assert chart_words("my own on x") == "my own, on x"
    assert chart_words("") == "the chart"


def gaps(*names, sign=1.0):
    steps = np.arange(4.0)
    return {name: LiftGap(steps, np.ones(4), 1 + sign * np.geomspace(1e-4, 1e-1, 4), np.ones(4), np.full(4, 1.001),
                          name=name) for name in names}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("names", [("pca",), ("pca", "umap on tail"), tuple("abcdefg"), ()])
def test_lift_gaps_are_panels_that_share_their_axes(names):
    figure, ax = page(figsize=(6, 5))
    found = gaps(*names)
    assert plot_lift_gaps(found, ax=ax) is ax
    figure.canvas.draw()
    panels = [other for other in figure.axes if other is not ax]
    assert len(panels) == len(names)
    assert len({panel.get_ylim() for panel in panels}) <= 1
    assert len({panel.get_xlim() for panel in panels}) <= 1
    for one, other in itertools.combinations(panels, 2):
        assert not one.get_tightbbox().padded(-1).overlaps(other.get_tightbbox().padded(-1))
    if names:
        assert panels[0].get_yscale() == "log"


def test_a_gap_that_is_negative_is_hollow_and_its_size_is_drawn():
    figure, ax = page()
    plot_lift_gaps(gaps("pca", sign=-1.0), ax=ax)
    panel = next(other for other in figure.axes if other is not ax)
    hollow = next(line for line in panel.lines if line.get_markerfacecolor() == "none")
    np.testing.assert_allclose(hollow.get_ydata(), np.geomspace(1e-4, 1e-1, 4))
    figure, ax = page()
    plot_lift_gaps(gaps("pca"), ax=ax)
    panel = next(other for other in figure.axes if other is not ax)
    assert all(not len(line.get_ydata()) for line in panel.lines if line.get_markerfacecolor() == "none")


def test_panels_take_the_place_of_axes_put_by_hand():
    figure = Figure()
    ax = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    plot_lift_gaps(gaps("pca", "umap"), ax=ax)
    assert len(ax.child_axes) == 2


def test_tangents_of_several_charts_are_in_one_picture(nouns):
    ax = plot_alignments(nouns["alignments"], ax=Figure(layout="constrained").add_subplot())
    assert {"gradient", "next step", "PCA", "UMAP"} <= {text.get_text() for text in ax.texts}
    with pytest.raises(InputError, match="alignments: expected at least one, got none"):
        plot_alignments({})


def test_a_long_reason_stays_on_the_figure(nouns):
    reason = "at least ninety-nine draws of each of the nulls are needed for a claim, and there are nineteen of them"
    claims = nouns["claims"] | {"more": dataclasses.replace(nouns["claims"]["reproducible"], reason=reason)}
    figure, ax = page(figsize=(4.8, 3.6))
    plot_claims(claims, ax=ax)
    figure.canvas.draw()
    text = next(text for text in ax.texts if text.get_text().replace("\n", " ") == reason)
    assert text.get_window_extent().x1 <= figure.bbox.x1
