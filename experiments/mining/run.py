"""Curve classes along random and mined directions of a trained network on digits."""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from trajmap.directions.mining import direction_curvatures, mine_direction, vvv_basin, w_basin, w_peak
from trajmap.directions.random import random_plane
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.classify import classify_curve


def trained(seed: int, *, epochs: int) -> Objective:
    """Train a network 64-32-10 to a small loss."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return Objective(model, supervised(torch.nn.functional.cross_entropy), [(x, y)])


def as_long_as_the_model(direction: Any, theta: Any, layout: Any) -> Any:
    """Scale a Gaussian direction to the model's norm, as mined ones are."""
    return direction * np.linalg.norm(theta) / np.linalg.norm(direction)


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Classify fifty random directions, mine three shapes, and compare curvatures with the spectrum.

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
    objective = trained(seed, epochs=1 if quick else 20)
    theta, offsets = objective.theta, np.linspace(-1, 1, 41)
    plane = random_plane(theta, objective.layout, n_components=5 if quick else 50, normalise=as_long_as_the_model)
    names = [classify_curve(offsets, objective.values(theta + offsets[:, None] * d)).name for d in plane.directions]
    found, mean, deviation = direction_curvatures(objective, theta, n=5 if quick else 50)
    numbers = {
        "random directions that are v-basins": float(np.mean(np.array(names) == "v-basin")),
        "random curvatures, mean": float(found.mean()),
        "random curvatures, expected": mean,
        "random curvatures, deviation": float(found.std()),
        "random curvatures, expected deviation": deviation,
        "loss": objective.value(theta),
    }
    start = time.perf_counter()
    for name, shape in (("w-peak", w_peak), ("w-basin", w_basin), ("vvv-basin", vvv_basin)):
        mined = mine_direction(objective, theta, shape, n_steps=5 if quick else 600, random_state=seed)
        kind = classify_curve(mined.offsets[10:-10], mined.losses[10:-10])
        # the mined losses lie at the ends of the line: a minimum there is one only beyond them
        wide = classify_curve(mined.offsets, mined.losses)
        at = {o: float(np.interp(o, mined.offsets, mined.losses)) for o in (-1.0, -0.5, 0.0, 0.5, 1.0)}
        numbers |= {f"{name}: loss at {o:g}": value for o, value in at.items()}
        numbers[f"{name}: as asked"] = float(name in {kind.name, wide.name})
        print(f"  {name:<10} found {wide.name}: " + ", ".join(f"L({o:g}) = {v:.3g}" for o, v in at.items()))
    numbers["seconds of mining"] = time.perf_counter() - start
    (Path(out) / "mining.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        if "loss at" not in key:
            print(f"  {key:<44} {value:.4g}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
