"""One look: colours for every kind of eye, the user's settings, and figures as a journal prints them."""

import io
import itertools
import re
import zlib

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from trajmap.errors import InputError
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.lift_gap import plot_lift_gap
from trajmap.plots.paths import RUNS
from trajmap.plots.theme import COLORS, SERIES, drawing_theme, open_axes, paper_style, readable, series, time_colours

# how eyes without one kind of cone see linear RGB: G. Machado, M. Oliveira, L. Fernandes, A physiologically-based model
# for simulation of color vision deficiency, 2009, at full severity
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}


def seen(colour, eye):
    """CIE L*a*b* of a colour as an eye sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(EYES[eye]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    t = xyz / [0.9505, 1, 1.089]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("palette", [SERIES, RUNS], ids=["lines", "runs"])
def test_colours_differ_for_every_kind_of_eye(palette, eye):
    """A just noticeable difference is about 2.3."""
    for one, other in itertools.combinations(palette, 2):
        assert np.linalg.norm(seen(one, eye) - seen(other, eye)) > 10, (one, other)


def test_the_measure_of_colours_knows_red_from_green_and_a_blind_eye_does_not():
    apart = {eye: np.linalg.norm(seen("#a05000", eye) - seen("#507800", eye)) for eye in EYES}
    assert apart["all cones"] > 2 * apart["deuteranopia"]


@pytest.mark.parametrize("tone", ["light", "dark", "paper"])
def test_names_in_the_colours_of_lines_can_be_read(tone):
    """Contrast by lightness L*, without the formula under test: 4.5 to 1 is at least 45 in L*."""
    with paper_style() if tone == "paper" else drawing_theme(dark=tone == "dark"):
        ground = seen(mpl.rcParams["axes.facecolor"], "all cones")[0]
        for colour in COLORS.values():
            assert abs(seen(readable(colour), "all cones")[0] - ground) > 45
        assert readable("#000000" if ground > 50 else "#ffffff") in {"#000000", "#ffffff"}


@pytest.mark.parametrize("dark", [False, True])
def test_no_moment_of_a_run_is_drawn_in_the_colour_of_the_ground(dark):
    with drawing_theme(dark=dark):
        ground = seen(mpl.rcParams["axes.facecolor"], "all cones")
        colours = [seen(colour, "all cones") for colour in time_colours()(np.linspace(0, 1, 21))[:, :3]]
    assert min(np.linalg.norm(colour - ground) for colour in colours) > 30
    assert (np.diff([colour[0] for colour in colours]) > 0).all()


def test_viridis_rises_in_lightness_for_every_kind_of_eye():
    for eye in EYES:
        light = [seen(colour, eye)[0] for colour in mpl.colormaps["viridis"](np.linspace(0, 1, 33))[:, :3]]
        assert (np.diff(light) > 0).all()


def test_lines_of_equal_rank_are_never_alike():
    looks = [tuple(series(i).values()) for i in range(84)]
    assert len(set(looks)) == 84
    assert len({look[:2] for look in looks[:6]}) == 6
    assert len({look[0] for look in looks[:6]}) == len({look[1] for look in looks[:6]}) == 6, "colour and mark"


def test_the_users_settings_are_kept_and_used(nouns):
    before = dict(mpl.rcParams)
    with mpl.rc_context({"figure.figsize": (3.0, 2.0), "font.size": 5.0, "axes.titlesize": "large"}):
        ax = plot_lift_gap(nouns["lift_gap"])
        assert tuple(ax.figure.get_size_inches()) == (3, 2)
        assert ax.title.get_fontsize() == pytest.approx(6)
        plt.close(ax.figure)
        tall = open_axes(None, tall=2)
        assert tuple(tall.figure.get_size_inches()) == (3, 4)
        plt.close(tall.figure)
    for style in (drawing_theme(), drawing_theme(dark=True), paper_style(), paper_style(width="page")):
        with style:
            assert dict(mpl.rcParams) != before
        assert dict(mpl.rcParams) == before


def test_a_wrong_width_is_worded():
    with pytest.raises(InputError, match="width: expected one of .*column.*page"), paper_style(width="poster"):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(("width", "inches"), [("column", 3.3), ("page", 6.9)])
@pytest.mark.parametrize("name", ["landscape", "lift_gap"])
def test_a_paper_figure_is_a_columns_width_in_vectors_with_its_fonts(nouns, tmp_path, width, inches, name):
    plot = {"landscape": plot_landscape, "lift_gap": plot_lift_gap}[name]
    with paper_style(width=width):
        figure = Figure(layout="constrained")
        ax = plot(nouns[name], ax=figure.add_subplot())
        figure.savefig(tmp_path / "figure")
        figure.savefig(tmp_path / "figure.svg")
    pdf = (tmp_path / "figure.pdf").read_bytes()
    box = re.search(rb"/MediaBox \[\s*0 0 ([\d.]+) ([\d.]+)", pdf)
    assert float(box[1]) / 72 == pytest.approx(inches, abs=0.01)
    assert b"/FontFile2" in pdf, "the font is inside"
    assert b"/Type3" not in pdf
    assert b"/Subtype /Image" not in pdf
    text = b"".join(zlib.decompress(part) for part in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", pdf, re.DOTALL)
                    if part[1:2] in b"\x01\x5e\x9c\xda")  # fmt: skip
    assert b" Tf" in text, "text is text"
    svg = (tmp_path / "figure.svg").read_text()
    assert float(re.search(r'width="([\d.]+)pt"', svg)[1]) / 72 == pytest.approx(inches, abs=0.01)
    assert "<image" not in svg
    sizes = {text.get_fontsize() for text in [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels()]}
    assert min(sizes) > 5.5
    assert max(sizes) <= 8


@pytest.mark.parametrize("width", [360])
def test_ten_points_are_ten_pixels_where_a_figure_is_small(width):
    """A figure of the theme, shown 360 pixels wide: its text is at least 7 pixels high."""
    with drawing_theme():
        figure = Figure()
        FigureCanvasAgg(figure)
        scale = width / (figure.get_figwidth() * 72)
        assert mpl.rcParams["font.size"] * scale > 10
        text = figure.text(0.5, 0.5, "loss", fontsize="x-small")
        figure.savefig(io.BytesIO(), format="png")
        assert text.get_fontsize() * scale > 7


def test_every_named_colour_is_okabe_and_itos_or_grey():
    published = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"}
    assert set(COLORS.values()) - {COLORS["null"]} <= published
    assert np.ptp(to_rgb(COLORS["null"])) < 0.06
