"""Loss along lines through the end of a run."""

import numpy as np

from trajmap.data.results.line_profiles import LineProfiles
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.lines import plot_lines

__all__ = ["LINES", "find_lines"]


def find_lines(curves: LineProfiles) -> Finding:
    """Count the shapes of the loss along random lines, and list those found when others were searched."""
    kinds = dict(zip(curves.names, curves.kinds, strict=True))
    random = [kind for name, kind in kinds.items() if name.startswith("random")]
    mined = {name: kind for name, kind in kinds.items() if name.startswith("mined")}
    share = random.count("v-basin") / len(random) if random else np.nan
    return Finding(_words, share, facts={"n": len(random), "mined": mined})


def _words(found: Finding) -> str:
    mined = "; ".join(f"{name}: found {kind}" for name, kind in found.facts["mined"].items())
    text = f"{found.value:.0%} of {found.facts['n']} random directions show the model at the bottom of a single valley"
    return f"{text}; {mined}." if mined else f"{text}."


def _example() -> LineProfiles:
    offsets = np.linspace(-1, 1, 5)
    losses = np.stack([offsets**2 + 0.1, np.full(5, np.nan)])
    return LineProfiles(offsets, losses, ["mined w-peak", "random 1"], ["v-basin", "not finite"])


LINES = Kind(
    name="lines",
    place="lines",
    noun=LineProfiles,
    order=80,
    section="Lines",
    title="Line classes",
    definition="By the minima along a line through the model, after merging those less deep than 1 % of the range: "
    "v-basin, one at the model; v-side, one at a side; w-peak, one on each side; w-basin, one at it and one at a side; "
    "vvv-basin, three. Li et al. 2024.",
    command="trajmap lines {run} {objective}",
    example=_example,
    plot=plot_lines,
    caption=lambda curves: "Grey: random directions, the baseline.",
    alternative="Loss along random, mined and sign-consistent lines through the end of the run",
    findings=each(find_lines),
    effort=lambda curves: {"lines": float(len(curves.names))},
    follows=("length", "objective"),
)
