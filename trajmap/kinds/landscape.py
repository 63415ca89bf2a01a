"""The loss over a chart."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trajmap.data.results.landscape import Grid, Landscape
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.landscape import plot_landscape
from trajmap.plots.surface_3d import interactive_surface_3d

__all__ = ["LANDSCAPE", "find_charts"]


def find_charts(landscapes: Mapping[str, Landscape]) -> Finding:
    """How much of the pictures the run supports, and the lowest loss there."""
    lowest, outside = {}, {}
    for name, land in landscapes.items():
        seen = np.isfinite(land.values)
        inside = seen if land.support is None else seen & land.support
        if inside.any():
            lowest[name] = float(land.values[inside].min())
        if (seen & ~inside).any():
            outside[name] = float(land.values[seen & ~inside].min())
    reached = [land.path_values[-1] for land in landscapes.values() if land.path_values is not None]
    facts = {
        "n": len(landscapes),
        "lowest": lowest,
        "outside": outside,
        "shares": {n: float(land.support.mean()) for n, land in landscapes.items() if land.support is not None},
        "ended": float(reached[0]) if reached else np.nan,
    }
    return Finding(_words, min(lowest.values(), default=np.nan), facts=facts)


def _findings(found: Mapping[str, Landscape], context: Context) -> Sequence[Finding]:
    return [find_charts(found)]


def _words(found: Finding) -> str:
    f = found.facts
    told = []
    if f["lowest"]:
        best = min(f["lowest"], key=f["lowest"].__getitem__)
        where = "of the cells that the run supports" if f["shares"] else "on a grid"
        told.append(f"Over {f['n']} chart{'s' * (f['n'] > 1)} the lowest loss {where} is {found.value:.3g}, on {best}")
    else:
        told.append(f"Over {f['n']} chart{'s' * (f['n'] > 1)} no supported cell has a finite loss")
    if np.isfinite(f["ended"]):
        told.append(f"the run itself ended at {f['ended']:.3g}")
    lower = {name: value for name, value in f["outside"].items() if not value >= found.value}
    if lower:
        least = min(lower, key=lower.__getitem__)
        told.append(
            f"an unsupported cell of {least} shows {lower[least]:.3g}, which is no evidence of the loss near the run"
        )
    told.append(_supported(f["shares"]))
    return "; ".join(told) + "."


def _supported(shares: Mapping[str, float]) -> str:
    if not shares:
        return "no path was given, so it is not known where the pictures are reliable"
    least, most = (pick(shares, key=shares.__getitem__) for pick in (min, max))
    text = f"the run supports {shares[least]:.0%} of the cells"
    if shares[most] > shares[least]:
        text = f"the run supports {shares[least]:.0%} ({least}) to {shares[most]:.0%} ({most}) of the cells"
    return text + (", the grey rest is extrapolation" if shares[least] < 1 else "")


def _cautions(found: Mapping[str, Landscape], context: Context) -> Iterator[Finding]:
    shares = {name: float(land.support.mean()) for name, land in found.items() if land.support is not None}
    rules: tuple[tuple[Any, list[str]], ...] = (
        (_thin, [name for name, share in shares.items() if share < 0.5]),
        (_smeared, [name for name, share in shares.items() if share > 0.95]),
        (_curve, [name for name, land in found.items() if land.is_a_curve]),
    )
    for words, names in rules:
        if names:
            yield Finding(words, len(names), facts={"names": names})
    for name, land in found.items():
        count = int((~np.isfinite(land.values)).sum())
        if count:
            yield Finding(_not_finite, count, facts={"name": name})
    if found:
        yield Finding(_slice_hides)


def _thin(found: Finding) -> str:
    return (
        f"One run is a curve: most cells over {', '.join(found.facts['names'])} are farther from it than its held-out "
        "stretches are; there the surface is the chart's extrapolation."
    )


def _smeared(found: Finding) -> str:
    return (
        f"Over {', '.join(found.facts['names'])} nearly every cell lifts to a mixture of neighbouring iterates: the "
        "surface repeats the run's own losses and shows nothing else."
    )


def _curve(found: Finding) -> str:
    return (
        f"Over {', '.join(found.facts['names'])} the supported area grows with the reach like a band around the path"
        ": the run identifies a curve there, not a surface. Sister runs or branches widen it."
    )


def _not_finite(found: Finding) -> str:
    return f"{found.value} cells over {found.facts['name']} are NaN or inf and are drawn crossed."


def _slice_hides(found: Finding) -> str:
    return "A two-dimensional slice hides saddles: a minimum on a chart need not be one in parameter space."


def _example() -> Landscape:
    """Make an asymmetric bowl on a non-square grid with its minimum at (1, −1)."""
    grid = Grid((np.linspace(-2, 2, 9), np.linspace(-2, 3, 11)))
    support = np.abs(grid.points.sum(axis=1)).reshape(grid.shape) < 1.5
    return Landscape(
        grid,
        (0.1 + np.sum((grid.points - [1, -1]) ** 2, axis=1)).reshape(grid.shape),
        path=np.linspace([-1.5, 2], [1, -1], 12),
        path_values=np.linspace(9, 0.1, 12),
        lifted_values=np.linspace(9, 0.2, 12),
        distance=np.where(support, 0.1, 2.0),
        support=support,
        reach=0.5,
        name="pca",
    )


LANDSCAPE = Kind(
    name="landscape",
    place="landscapes/{}",
    noun=Landscape,
    order=50,
    section="Charts",
    title="Landscape and support",
    definition="The loss at lifted grid points. A cell is supported when its lift is no farther from the nearest "
    "iterate than the run's iterates are, in the median, from the iterates outside their own tenth of the run, and the "
    "lift's own uncertainty is no more.",
    command="trajmap surface {run} {objective}",
    example=_example,
    plot=plot_landscape,
    caption=lambda land: "Loss at the lifted grid points; the path runs from red to yellow.",
    alternative="Loss over the chart with the path and the unsupported region",
    interactive=lambda land: interactive_surface_3d(land) if land.grid.ndim == 2 else None,
    findings=_findings,
    cautions=_cautions,
    effort=lambda land: {"grid points": float(land.values.size)},
    follows=("length", "objective"),
)
