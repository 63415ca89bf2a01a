"""One surface on several accelerators: ``torchrun --nproc-per-node N experiments/surface_torchrun/run.py --out DIR``.

Each rank evaluates every N-th row of the grid on its own device and keeps it; rank 0 puts the rows together. Ranks
share nothing but the folder, so they may sit on different machines that see it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from trajmap.data.results.landscape import Grid, Landscape
from trajmap.directions.random import random_plane
from trajmap.examples import digits
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface


def rows_of_rank(objective: Objective, grid: Grid, folder: Path, rank: int, world: int) -> None:
    """Evaluate the rows of one rank; finished blocks stay, so a killed rank goes on where it was."""
    plane = random_plane(objective, objective.theta)
    mine = Grid((grid.axes[0][rank::world], *grid.axes[1:]))
    land = surface(objective, plane, mine, out=folder / f"unfinished-{rank}")
    land.save(folder / f"rows-{rank}.npz")


def merged(grid: Grid, folder: Path, world: int) -> Landscape:
    """Put the rows of all ranks together."""
    values = np.empty(grid.shape)
    for rank in range(world):
        values[rank::world] = Landscape.open(folder / f"rows-{rank}.npz").values
    return Landscape(grid, values, name="random plane")


def on_rank(folder: Path, n: int) -> None:
    """Do what one process under torchrun does."""
    on_gpu = torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpu else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu"
    part, _ = digits.digits_split()
    loss = torch.nn.functional.cross_entropy
    objective = Objective(digits.make_model(), lambda m, b: loss(m(b[0]), b[1]), [part], device=device)
    grid = Grid((np.linspace(-1, 1, n),) * 2)
    rows_of_rank(objective, grid, folder, rank, world)
    dist.barrier()
    if rank == 0:
        merged(grid, folder, world).save(folder / "surface.npz")
    dist.destroy_process_group()


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Run two ranks on this machine and compare with one process."""
    n = 7 if quick else 41
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    subprocess.run([*command, "--out", str(out), "--points", str(n)], check=True, capture_output=True)
    found = Landscape.open(Path(out) / "surface.npz")
    part, _ = digits.digits_split()
    loss = torch.nn.functional.cross_entropy
    objective = Objective(digits.make_model(), lambda m, b: loss(m(b[0]), b[1]), [part])
    alone = surface(objective, random_plane(objective, objective.theta), found.grid)
    return {"largest relative difference": float(np.max(np.abs(found.values / alone.values - 1)))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--points", type=int, default=41)
    args = parser.parse_args()
    if "RANK" in os.environ:
        on_rank(args.out, args.points)
    else:
        print(main(args.out or Path(tempfile.mkdtemp())))
