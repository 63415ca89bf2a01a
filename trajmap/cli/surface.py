"""Evaluate the loss over each chart of a run, and of every iterate beside its lift."""

import argparse
from pathlib import Path

import numpy as np

from trajmap.cli._charts import CHARTS, DEFAULTS, fit_chart, open_run
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
    add_charts(parser, CHARTS, (*DEFAULTS, "random"))
    parser.add_argument("--n", type=int, default=41, help="grid points an axis (default: %(default)s)")
    parser.add_argument("--margin", type=float, default=0.25, help="widening of the path's box (default: %(default)s)")
    parser.add_argument(
        "--every", type=int, default=4, help="iterates of the lift gap: every k-th (default: %(default)s)"
    )
    parser.add_argument(
        "--sister", type=Path, metavar="RUN", help="also measure the lift gap of a sister run's iterates"
    )
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep one landscape a chart, and the lift gaps of those that were fitted to the run."""
    trajectory = open_run(args.run_folder)
    objective = load_objective(args.objective, trajectory)
    artefacts = Artefacts.of(args.run_folder)
    measured = {"": trajectory} if args.sister is None else {"": trajectory, " on sister": open_run(args.sister)}
    for name in args.charts:
        chart = fit_chart(args.run_folder, name, args.seed)
        grid = _grid(chart, name, trajectory.iterates, args)
        with bar(f"loss over {name}", "point") as progress:
            land = surface(objective, chart, grid, trajectory=trajectory, name=name, progress=progress)
        land.save(artefacts.path("landscapes", name))
        supported = float("nan") if land.support is None else land.support.mean()
        text = f"  {name:<12} loss {np.nanmin(land.values):.4g} to {np.nanmax(land.values):.4g}, "
        text += f"{supported:.0%} of the cells supported"
        # a random plane is not fitted to the run: its gap says only that the run is elsewhere
        for where, iterates in measured.items() if name != "random" else ():
            title = f"{name}{where}"
            gap = curve(objective, chart, iterates, every=args.every, name=title, random_state=args.seed)
            gap.save(artefacts.path("lift_gaps", title))
            text += f", median lift gap{where} {np.nanmedian(gap.gap):+.3g}"
        say(text)


def _grid(chart: object, name: str, iterates: object, args: argparse.Namespace) -> Grid:
    if name == "random":
        # a filter-normalised direction has the model's own norm: ±1 is the customary range
        return Grid((np.linspace(-1, 1, args.n), np.linspace(-1, 1, args.n)))
    return Grid.around(chart.transform(iterates), n=args.n, margin=args.margin)  # type: ignore[attr-defined]
