"""One look for all figures, on a light or dark background and on paper, without touching the user's settings."""

import contextlib
from collections.abc import Generator
from typing import Any

import numpy as np

from trajmap._validation import Array, check_choice

__all__ = ["COLORS", "SERIES", "drawing_theme", "ink", "open_axes", "paper_style", "readable", "series", "time_colours"]

# Okabe and Ito's colours, distinguishable with colour blindness
COLORS = {
    "run": "#0072B2",
    "lift": "#D55E00",
    "null": "#8A8F98",
    "second": "#009E73",
    "third": "#CC79A7",
    "warning": "#E69F00",
    "sky": "#56B4E9",
}
SERIES = tuple(COLORS[name] for name in ("run", "lift", "second", "third", "warning", "sky"))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_SHARED: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
    "legend.frameon": False,
    "legend.fontsize": "small",
    "figure.figsize": (4.8, 3.6),  # so that ten points are ten pixels where the figure is shown 360 pixels wide
    "figure.dpi": 150,
}

# width in inches of a column and of a page of two columns, and how high a figure of it is
_PAPER = {"column": (3.3, 2.6), "page": (6.9, 3.4)}


@contextlib.contextmanager
def drawing_theme(*, dark: bool = False) -> Generator[None, None, None]:
    """Draw inside with trajmap's look; the settings outside stay as they are.

    Parameters
    ----------
    dark : bool
        Light lines on a dark background.

    Yields
    ------
    None
        Settings hold for figures made inside.
    """
    import matplotlib as mpl

    ground, pen = ("#14171c", "#e6e8eb") if dark else ("#ffffff", "#1b1f24")
    with mpl.rc_context({**_SHARED, **_two_tones(ground, pen)}):
        yield


@contextlib.contextmanager
def paper_style(*, width: str = "column") -> Generator[None, None, None]:
    """Draw inside as a journal prints: vector graphics of a column's or a page's width, 8 point type, fonts embedded.

    Parameters
    ----------
    width : str
        ``"column"``, 3.3 inches, or ``"page"``, 6.9 inches.

    Yields
    ------
    None
        Settings hold for figures made and saved inside; ``savefig`` without a suffix writes a PDF.

    Raises
    ------
    InputError
        If the width is another word.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with paper_style(width="page"):
    ...     mpl.rcParams["figure.figsize"], mpl.rcParams["font.size"], mpl.rcParams["pdf.fonttype"]
    ([6.9, 3.4], 8.0, 42)
    """
    import matplotlib as mpl

    size = _PAPER[check_choice("width", width, tuple(_PAPER))]
    paper: dict[str, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        **dict.fromkeys(("axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7),
        **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.6),
        "lines.linewidth": 1.0,
        "lines.markersize": 3.5,
        "figure.figsize": size,
        "figure.dpi": 300,
        "savefig.format": "pdf",
        "savefig.bbox": None,  # else the width is no longer the column's
        "pdf.fonttype": 42,  # whole fonts, as journals ask for; type 3 cannot be searched or edited
        "ps.fonttype": 42,
        "svg.fonttype": "path",
    }
    with mpl.rc_context({**_SHARED, **_two_tones("#ffffff", "#000000"), **paper}):
        yield


def series(i: int) -> dict[str, Any]:
    """Colour, marker and dash of the i-th of several lines of equal rank: no two of the first 84 are alike."""
    dash = ("-", "--")[i // len(SERIES) % 2]
    return {"color": SERIES[i % len(SERIES)], "marker": _MARKERS[i % len(_MARKERS)], "linestyle": dash}


def ink() -> tuple[str, str]:
    """Colours of the lines and of the background, as the settings have them now."""
    import matplotlib as mpl

    return mpl.rcParams["text.color"], mpl.rcParams["axes.facecolor"]


def time_colours() -> Any:
    """Viridis, from dark to light over time, without the end that is invisible on the background."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, to_rgb

    low, high = (0.25, 1.0) if _light(np.array(to_rgb(ink()[1]))) < 0.2 else (0.0, 0.92)
    return ListedColormap(colormaps["viridis"](np.linspace(low, high, 256)))


def readable(colour: str, *, least: float = 4.5) -> str:
    """Bring a colour towards the lines' until small type in it can be read on the background.

    Parameters
    ----------
    colour : str
        A line's colour.
    least : float
        Contrast to reach, as the Web Content Accessibility Guidelines count it.

    Returns
    -------
    str
        The colour itself if its contrast is enough.

    Examples
    --------
    >>> with drawing_theme():
    ...     readable("#0072B2"), readable("#E69F00")
    ('#0072b2', '#956c0e')
    """
    from matplotlib.colors import to_hex, to_rgb

    pen, ground = (np.array(to_rgb(tone)) for tone in ink())
    start = np.array(to_rgb(colour))
    for share in np.linspace(0, 1, 21):
        mixed = (1 - share) * start + share * pen
        lights = sorted((_light(mixed), _light(ground)))
        if (lights[1] + 0.05) / (lights[0] + 0.05) >= least:
            return str(to_hex(mixed))
    return str(to_hex(pen))


def _light(rgb: Array) -> float:
    """Relative luminance."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def open_axes(ax: Any, *, tall: float = 1.0) -> Any:
    """Give the axes back, or make new ones in a figure of the user's width, and so many times the user's height."""
    if ax is not None:
        return ax
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    width, height = mpl.rcParams["figure.figsize"]
    return plt.subplots(figsize=(width, tall * height), layout="constrained")[1]


def _two_tones(ground: str, pen: str) -> dict[str, Any]:
    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    return dict.fromkeys(inks, pen) | dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), ground)
