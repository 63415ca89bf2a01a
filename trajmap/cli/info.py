"""Print what a run folder holds."""

import argparse

import numpy as np

from trajmap.cli._options import add_run
from trajmap.cli._progress import say
from trajmap.data.trajectory import Trajectory

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    parser.add_argument("--verify", action="store_true", help="compare every number with its checksum")


def run(args: argparse.Namespace) -> None:
    """Print the run's size, layers, scalars and settings."""
    trajectory = Trajectory.open(args.run_folder)
    T, P = trajectory.iterates.shape
    megabytes = T * P * trajectory.iterates.dtype.itemsize / 1e6
    broken = [
        int(s) for s, row in zip(trajectory.steps, trajectory.iterates, strict=True) if not np.isfinite(row).all()
    ]
    dtype = trajectory.iterates.dtype
    say(f"{args.run_folder}: T = {T} iterates of P = {P} parameters, {dtype}, {megabytes:.1f} MB")
    say(f"steps {trajectory.steps[0]} to {trajectory.steps[-1]}")
    if broken:
        say(f"NaN or inf in {len(broken)} iterates, the first at step {broken[0]}")
    for name, shape in zip(trajectory.layout.names, trajectory.layout.shapes, strict=True):
        say(f"  {name:<32} {'×'.join(map(str, shape)) or 'scalar'}")
    for name, values in trajectory.scalars.items():
        given = values[np.isfinite(values)]
        ends = f"{given[0]:.4g} → {given[-1]:.4g}" if len(given) else "no finite value"
        say(f"  {name:<32} {ends}  ({len(given)} of {T} finite)")
    for name, value in trajectory.settings.items():
        say(f"  {name:<32} {value}")
    if args.verify:
        trajectory.iterates.verify()  # type: ignore[union-attr]
        say("every checksum agrees")
