"""Evaluate the loss over each chart of a run, and of every iterate beside its lift."""

import argparse

import numpy as np

from trajmap.cli._charts import CHARTS, fit_chart, open_run
from trajmap.cli._objective import load_objective
from trajmap.cli._options import add_charts, add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.data.artefacts import Artefacts
from trajmap.data.landscape import Grid
from trajmap.projection.curve import curve
from trajmap.projection.surface import surface

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    add_charts(parser, CHARTS)
    parser.add_argument("--n", type=int, default=41, help="grid points an axis (default: %(default)s)")
    parser.add_argument("--margin", type=float, default=0.25, help="widening of the path's box (default: %(default)s)")
    parser.add_argument(
        "--every", type=int, default=4, help="iterates of the lift gap: every k-th (default: %(default)s)"
    )
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep one landscape and one lift gap a chart."""
    trajectory = open_run(args.run_folder)
    objective = load_objective(args.objective, trajectory)
    artefacts = Artefacts.of(args.run_folder)
    for name in args.charts:
        chart = fit_chart(args.run_folder, name, args.seed)
        grid = _grid(chart, name, trajectory.iterates, args)
        with bar(f"loss over {name}", "point") as progress:
            land = surface(objective, chart, grid, trajectory=trajectory, name=name, progress=progress)
        land.save(artefacts.path("landscapes", name))
        gap = curve(objective, chart, trajectory, every=args.every, name=name, random_state=args.seed)
        gap.save(artefacts.path("lift_gaps", name))
        supported = float("nan") if land.support is None else land.support.mean()
        say(
            f"  {name:<12} loss {np.nanmin(land.values):.4g} to {np.nanmax(land.values):.4g}, "
            f"{supported:.0%} of the cells supported, median lift gap {np.median(gap.gap):+.3g}"
        )


def _grid(chart: object, name: str, iterates: object, args: argparse.Namespace) -> Grid:
    if name == "random":
        # a filter-normalised direction has the model's own norm: ±1 is the customary range
        return Grid((np.linspace(-1, 1, args.n), np.linspace(-1, 1, args.n)))
    return Grid.around(chart.transform(iterates), n=args.n, margin=args.margin)  # type: ignore[attr-defined]
