"""Curve classes along random directions, and directions and planes mined for a shape, of trained networks on digits."""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from trajmap.basins.line_classes import classify_line
from trajmap.curvature.directional import direction_curvatures
from trajmap.data.normalise import model_norm
from trajmap.data.results.landscape import Grid
from trajmap.directions.mining import mine_direction, mine_ring, mine_saddle, vvv_basin, w_basin, w_peak
from trajmap.directions.random import random_plane
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface


def trained(seed: int, *, epochs: int, decay: bool = False) -> Objective:
    """Train a network 64-32-10 by SGD with momentum; `decay` lets the learning rate fall to zero."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs if decay else 10**9)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
    return Objective(model, supervised(torch.nn.functional.cross_entropy), [(x, y)])


def random_classes(objective: Objective, n: int) -> float:
    """Share of random directions along which the model lies at the bottom of one valley."""
    theta, offsets = objective.theta, np.linspace(-1, 1, 41)
    plane = random_plane(objective, theta, n_components=n, normalise=model_norm)
    names = [classify_line(offsets, objective.values(theta + offsets[:, None] * d)).name for d in plane.directions]
    return float(np.mean(np.array(names) == "v-basin"))


def mined_lines(objective: Objective, *, n_steps: int, seed: int) -> dict[str, float]:
    """Mine three shapes; losses along each and whether it is what was asked for."""
    numbers: dict[str, float] = {}
    for name, shape in (("w-peak", w_peak), ("w-basin", w_basin), ("vvv-basin", vvv_basin)):
        mined = mine_direction(objective, objective.theta, shape, n_steps=n_steps, random_state=seed)
        # the mined losses lie at the ends of the line: a minimum there is one only on the longer line
        found = classify_line(mined.offsets, mined.losses)
        at = {o: float(np.interp(o, mined.offsets, mined.losses)) for o in (-1.0, -0.5, 0.0, 0.5, 1.0)}
        numbers |= {f"{name}: loss at {o:g}": value for o, value in at.items()}
        numbers[f"{name}: as asked"] = float(found.name == name)
        print(f"  {name:<10} found {found.name}: " + ", ".join(f"L({o:g}) = {v:.3g}" for o, v in at.items()))
    return numbers


def mined_planes(objective: Objective, *, n_steps: int, seed: int) -> dict[str, float]:
    """Mine a saddle and the bottom of a wine bottle: classes along the axes, and the ring beside its middle."""
    theta, numbers = objective.theta, {}
    saddle = mine_saddle(objective, theta, n_steps=n_steps, random_state=seed)
    offsets = np.linspace(-1.5, 1.5, 61)
    kinds = [classify_line(offsets, objective.values(theta + offsets[:, None] * d)).name for d in saddle.directions]
    numbers["saddle: w-peak along one axis, v along the other"] = float(
        kinds[0] == "w-peak" and kinds[1] in {"v-basin", "v-side"}
    )
    ring = mine_ring(objective, theta, n_steps=n_steps, random_state=seed)
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    around = objective.values(ring.inverse_transform(np.stack([np.cos(angles), np.sin(angles)], axis=1)))
    numbers |= {"ring: highest loss on it": float(around.max()), "ring: loss in its middle": objective.value(theta)}
    land = surface(objective, ring, Grid((offsets[::4], offsets[::4])))
    numbers["ring: highest loss at the corners"] = float(land.values[[0, 0, -1, -1], [0, -1, 0, -1]].max())
    return numbers


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Classify fifty random directions, mine three shapes and two planes, compare curvatures with the spectrum.

    Parameters
    ----------
    out : path-like
        Folder for ``mining.json``.
    seed : int
        Of training, directions and mining.
    quick : bool
        Short training and mining.

    Returns
    -------
    dict of str to float
        Shares, losses and times.
    """
    n, n_steps = (5, 5) if quick else (50, 600)
    objective = trained(seed, epochs=1 if quick else 20)
    settled = trained(seed, epochs=2 if quick else 20, decay=True)
    bends = direction_curvatures(objective, objective.theta, n_directions=n)
    numbers = {
        "v-basins, last iterate of noisy SGD": random_classes(objective, n),
        "v-basins, learning rate decayed": random_classes(settled, n),
        "gradient norm, last iterate": float(np.linalg.norm(objective.gradient(objective.theta))),
        "gradient norm, decayed": float(np.linalg.norm(settled.gradient(settled.theta))),
        "random curvatures, mean": float(bends.values.mean()),
        "random curvatures, expected": bends.mean,
        "random curvatures, deviation": float(bends.values.std()),
        "random curvatures, expected deviation": bends.deviation,
        "loss": objective.value(objective.theta),
    }
    start = time.perf_counter()
    numbers |= mined_lines(objective, n_steps=n_steps, seed=seed) | mined_planes(objective, n_steps=n_steps, seed=seed)
    numbers["seconds of mining"] = time.perf_counter() - start
    (Path(out) / "mining.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        if "loss at" not in key:
            print(f"  {key:<50} {value:.4g}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
