"""Evaluate the loss over each chart of a run, and of every iterate and its lift."""

import argparse
import contextlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from trajmap._validation import check_count
from trajmap.cli._charts import DEFAULTS, EMBEDDINGS, fit_on, load_chart, open_run
from trajmap.cli._objective import objective_of
from trajmap.cli._options import add_charts, add_objective, add_run, add_seed
from trajmap.cli._progress import bar, say
from trajmap.cli._results import Results, add_force
from trajmap.curvature.critical import critical_points
from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.sisters import require_sister
from trajmap.data.trajectory import Trajectory
from trajmap.directions.hessian import hessian_plane
from trajmap.directions.mining import mine_ring, mine_saddle
from trajmap.directions.random import random_plane
from trajmap.kinds.chart import CHART
from trajmap.kinds.critical import CRITICAL
from trajmap.kinds.landscape import LANDSCAPE
from trajmap.kinds.lift_gap import LIFT_GAP
from trajmap.kinds.plane import PLANE
from trajmap.objective.objective import Objective
from trajmap.plots.animation import film_writer, save_animation
from trajmap.projection.held_out import held_out_lift_gap
from trajmap.projection.lift_gaps import lift_gap
from trajmap.projection.surfaces import surface
from trajmap.scores.validation import TailSplit, TimeBlockSplit

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "road", 40

MINED = ("saddle", "ring")  # planes whose axes end where the shape that was mined does
# planes that are not fitted to the run
PLANES: dict[str, Callable[[Objective, Trajectory, int], Plane]] = {
    "random": lambda loss, run, seed: random_plane(run, run.theta(-1), random_state=seed),
    "hessian": lambda loss, run, seed: hessian_plane(loss, run.theta(-1), random_state=seed),
    "saddle": lambda loss, run, seed: mine_saddle(loss, run.theta(-1), random_state=seed),
    "ring": lambda loss, run, seed: mine_ring(loss, run.theta(-1), random_state=seed),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    add_objective(parser)
    add_charts(parser, (*EMBEDDINGS, *PLANES), (*DEFAULTS, "random"))
    parser.add_argument("--n", type=int, default=41, help="grid points per axis (default: %(default)s)")
    parser.add_argument("--margin", type=float, default=0.25, help="margin around the path (default: %(default)s)")
    parser.add_argument(
        "--every", type=int, default=4, help="iterates of the lift gap: every k-th (default: %(default)s)"
    )
    parser.add_argument(
        "--sister", type=Path, metavar="RUN", help="also measure the lift gap of a sister run's iterates"
    )
    parser.add_argument(
        "--held-out",
        nargs="*",
        choices=tuple(EMBEDDINGS),
        default=["pca"],
        metavar="CHART",
        help="charts to refit without a block of time, or the tail, for the lift gap on it (default: pca)",
    )
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default: %(default)s)")
    parser.add_argument("--bfloat16", action="store_true", help="evaluate in bfloat16 and print the error")
    parser.add_argument("--critical", action="store_true", help="find critical points and what each chart hides there")
    parser.add_argument("--film", type=Path, metavar="FILE.gif", help="animation of the run over the first chart")
    add_force(parser)
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Keep one landscape a chart, and the lift gaps of those that were fitted to the run."""
    if args.film is not None:
        film_writer(args.film)
    check_count("--n", args.n, low=2)
    check_count("--every", args.every)
    trajectory = open_run(args.run_folder)
    objective = objective_of(args, trajectory)
    if args.sister is not None:
        require_sister(trajectory, open_run(args.sister), "--sister")
    results = Results.of(__name__, args, trajectory, objective)
    for name in args.charts:
        results.require_room(LANDSCAPE, name, grid_points=args.n**2)
    with _executor(args.workers) as executor:
        for i, name in enumerate(args.charts):
            chart = _chart(args, name, objective, trajectory, results)
            made_of = results.made_of(CHART if name in EMBEDDINGS else PLANE, name)
            land = _landscape(args, name, chart, objective, trajectory, executor)
            if args.bfloat16:
                say(f"  {name}: {land.strategy}")
            made_of.save(LANDSCAPE, land, name)
            text = _described(name, land)
            # the gap of a plane that was not fitted to the run only shows that the run is elsewhere
            for title, gap in _gaps(args, name, chart, objective, trajectory) if name in EMBEDDINGS else ():
                made_of.save(LIFT_GAP, gap, title)
                text += f", median lift gap{title.removeprefix(name)} {np.nanmedian(gap.gap):+.3g}"
            say(text)
            if args.critical:
                _critical(made_of, name, chart, objective, land)
            if args.film is not None and i == 0:
                say(f"  film: {save_animation(land, args.film)}")


@contextlib.contextmanager
def _executor(workers: int) -> Generator[Executor | None, None, None]:
    if workers < 2:
        yield None
        return
    import multiprocessing

    # a fork of a process with torch's threads can hang
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def _chart(args: argparse.Namespace, name: str, objective: Objective, trajectory: Trajectory, results: Results) -> Any:
    """Load the chart, or the plane of the same seed and loss; make it where there is none."""
    if name in EMBEDDINGS:
        return load_chart(args.run_folder, name, args.seed)
    artefacts = results.artefacts
    stamp = artefacts.stamp(PLANE, name) if artefacts.names(PLANE).count(name) else None
    same = stamp is not None and stamp.settings.get("seed") == args.seed
    if same and not artefacts.stale(PLANE, name, trajectory, results.stamp.objective):
        return artefacts.one(PLANE, name)
    with bar(f"plane {name}", "step"):
        plane = PLANES[name](objective, trajectory, args.seed)
    results.save(PLANE, plane, name)
    return plane


def _landscape(
    args: argparse.Namespace,
    name: str,
    chart: Any,
    objective: Objective,
    trajectory: Trajectory,
    executor: Executor | None,
) -> Landscape:
    # a killed surface is resumed by the same command: finished blocks wait here until it is whole
    unfinished = args.run_folder / "artefacts" / "unfinished" / name
    grid = _grid(chart, name, trajectory.iterates, args)
    with bar(f"loss over {name}", "point") as progress:
        return surface(
            objective, chart, grid, trajectory=trajectory, name=name, executor=executor, out=unfinished,
            precision="bfloat16" if args.bfloat16 else None, progress=progress,
        )  # fmt: skip


def _gaps(
    args: argparse.Namespace, name: str, chart: Any, objective: Objective, trajectory: Trajectory
) -> Iterator[tuple[str, LiftGap]]:
    measured = {"": trajectory} if args.sister is None else {"": trajectory, " on sister": open_run(args.sister)}
    for where, iterates in measured.items():
        title = f"{name}{where}"
        yield (
            title,
            lift_gap(
                objective.for_run(iterates), chart, iterates, every=args.every, name=title, random_state=args.seed
            ),
        )
    if name not in args.held_out:
        return
    places = np.empty((trajectory.n_iterates, 1))
    for where, splitter in ((" on blocks", TimeBlockSplit(5)), (" on tail", TailSplit())):
        title = f"{name}{where}"
        yield (
            title,
            held_out_lift_gap(
                objective,
                lambda rows: fit_on(args.run_folder, name, args.seed, rows),
                trajectory,
                splitter.split(places),
                every=args.every,
                decompose=True,
                name=title,
                random_state=args.seed,
            ),
        )


def _critical(results: Results, name: str, chart: Any, objective: Objective, land: Landscape) -> None:
    found = critical_points(objective, chart, land)
    results.save(CRITICAL, found, name)
    for i, kind in enumerate(found.kinds):
        hidden = [word for word, flag in (("slope", found.hidden_slope[i]), ("saddle", found.hidden_saddle[i])) if flag]
        place = ", ".join(f"{v:.3g}" for v in found.z[i])
        text = f"hides a {' and a '.join(hidden)}" if hidden else "nothing hidden"
        say(f"    {kind} at ({place}), loss {found.values[i]:.4g}: {text}")


def _described(name: str, land: Landscape) -> str:
    supported = float("nan") if land.support is None else land.support.mean()
    text = f"  {name:<12} loss {np.nanmin(land.values):.4g} to {np.nanmax(land.values):.4g}, "
    return text + f"{supported:.0%} of the cells supported"


def _grid(chart: Any, name: str, iterates: object, args: argparse.Namespace) -> Grid:
    if name == "random" or name in MINED:
        # a filter-normalised direction has the model's own norm: ±1 is the customary range; mined shapes end at 1
        reach = 1.0 if name == "random" else 1.5
        return Grid((np.linspace(-reach, reach, args.n), np.linspace(-reach, reach, args.n)))
    Z = chart.transform(iterates)
    if name == "hessian":
        # around the minimum, as far as the run moved along either direction
        reach = float(np.abs(Z).max())
        return Grid((np.linspace(-reach, reach, args.n), np.linspace(-reach, reach, args.n)))
    return Grid.around(Z, n_points=args.n, margin=args.margin)
