"""Does training live in a tiny subspace? Shares of the gradient in the top ten, baselines, and the causal test."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from trajmap.curvature.angles import share
from trajmap.curvature.causal import SgdPlan, causal_test, subspace_training
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.operators import batch_gradients
from trajmap.curvature.shares import isotropic_share, noise_share
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective

K = 10


def make(seed: int = 0) -> Objective:
    """Make the digits and a network of 64-32-10 units."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    return Objective(model, supervised(torch.nn.functional.cross_entropy), [(x, y)])


def train(objective: Objective, name: str, epochs: tuple[int, ...], seed: int) -> dict[int, Any]:
    """Train by an optimizer of torch and keep the weights after some epochs."""
    batch, rate = {"sgd": (32, 0.05), "plain": (32, 0.05), "gd": (0, 0.5), "adam": (32, 1e-3)}[name]
    ((x, y),) = objective.parts.batches
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    torch.nn.utils.vector_to_parameters(torch.tensor(objective.theta), model.parameters())
    make_optimizer = torch.optim.Adam if name == "adam" else torch.optim.SGD
    options: dict[str, float] = {"momentum": 0.9} if name == "sgd" else {}
    optimizer = make_optimizer(model.parameters(), lr=rate, **options)
    generator, kept = torch.Generator().manual_seed(seed), {}
    for epoch in range(1, max(epochs) + 1):
        order = torch.randperm(len(x), generator=generator)
        for rows in order.split(batch) if batch else [order]:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        if epoch in epochs:
            kept[epoch] = torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy().copy()
    return kept


def shares(objective: Objective, thetas: dict[int, Any]) -> dict[int, dict[str, float]]:
    """Share of the gradient, of its noise, and the eigenvalue, at each kept point."""
    found = {}
    for epoch, theta in thetas.items():
        space = top_eigenspace(objective, theta, K)
        gradients = batch_gradients(objective, theta, batch_size=32)
        found[epoch] = {
            "gradient": share(space.eigenvectors, objective.gradient(theta)),
            "noise": noise_share(space.eigenvectors, gradients),
            "loss": objective.value(theta),
            "top eigenvalue": float(space.eigenvalues[0]),
        }
    return found


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Measure shares for three optimizers, run the causal test and train inside subspaces.

    Parameters
    ----------
    out : path-like
        Folder for ``tiny_subspace.json``.
    seed : int
        Seed of the batch orders.
    quick : bool
        Few epochs and steps.

    Returns
    -------
    dict of str to float
        Every number.
    """
    objective = make()
    epochs = {"sgd": (1, 3, 10, 20), "gd": (50, 300, 1500), "adam": (1, 10, 40)}
    if quick:
        epochs = {"sgd": (1,), "gd": (5,), "adam": (1,)}
    numbers: dict[str, float] = {"isotropic median": float(isotropic_share(K, objective.size)[1])}
    kept = {name: train(objective, name, marks, seed) for name, marks in epochs.items()}
    for name, thetas in kept.items():
        for epoch, row in shares(objective, thetas).items():
            numbers |= {f"{name} epoch {epoch}: {key}": value for key, value in row.items()}
    # without momentum: its oscillation along the top directions would count as the dominant part's gain
    start = train(objective, "plain", (1 if quick else 15,), seed)[1 if quick else 15]
    plan = SgdPlan(lr=0.05, batch_size=32, n_steps=20 if quick else 500, every=20 if quick else 100, random_state=seed)
    causal = causal_test(objective, start, plan, k=K)
    numbers["causal: start"] = float(causal.losses[0, 0])
    numbers |= {f"causal: {name}": value for name, value in causal.final.items()}
    numbers |= {f"inside: {name}": value for name, value in inside(objective, seed, quick=quick).items()}
    (Path(out) / "tiny_subspace.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        print(f"{key:<36} {value:.4g}")
    return numbers


def inside(objective: Objective, seed: int, *, quick: bool) -> dict[str, float]:
    """Train from the initialisation inside ten directions: of its own first epochs, a sister's, others', and random."""
    marks = (1, 2) if quick else tuple(range(1, 13))

    def principal(other: Objective, order: int) -> Any:
        thetas = np.stack(list(train(other, "sgd", marks, order).values())) - other.theta
        return np.linalg.svd(thetas - thetas.mean(axis=0), full_matrices=False)[2][: min(K, len(marks) - 1)]

    theta = objective.theta
    bases = {
        "principal, own run": principal(objective, seed),
        "principal, sister": principal(objective, seed + 1),
        "principal, other initialisation": principal(make(seed + 7), seed),
        "Hessian at the start": top_eigenspace(objective, theta, K).eigenvectors,
        "random": np.random.default_rng(seed).standard_normal((K, len(theta))),
    }
    plan = SgdPlan(lr=0.1, batch_size=32, n_steps=20 if quick else 600, momentum=0.9, every=100, random_state=seed)
    return subspace_training(objective, theta, bases, plan).final


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
