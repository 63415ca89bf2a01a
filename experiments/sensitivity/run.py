"""Derivatives of a tanh neuron's loss beside Spearman's ρ, and what each retraining says anew."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.sensitivity.derivatives import input_derivatives, weight_derivatives
from trajmap.sensitivity.ranks import rank_agreement

DATA = {"diabetes": load_diabetes, "breast_cancer": load_breast_cancer, "wine": load_wine}
MSE = supervised(torch.nn.functional.mse_loss)


def standardised(load: Any) -> tuple[Any, Any]:
    """Standardise variables, and the target to half a unit, so that a tanh can reach it."""
    X, y = load(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), 0.5 * (y - y.mean()) / y.std()


def objective_of(model: torch.nn.Module, X: Any, y: Any) -> Objective:
    """Mean squared error on all of the data, in float64."""
    return Objective(model.double(), MSE, [(torch.tensor(X), torch.tensor(y)[:, None])])


def descend(objective: Objective, theta: Any, epochs: int, *, lr: float = 0.05) -> list[Any]:
    """Full-batch descent; every iterate."""
    path = [theta]
    for _ in range(epochs):
        path.append(path[-1] - lr * objective.gradient(path[-1]))
    return path


def neuron(X: Any, y: Any, *, epochs: int, retrains: int, seed: int) -> dict[str, float]:
    """Rank correlation of path-averaged derivatives with |ρ_s|, for one tanh neuron, mean over retrainings."""
    d = X.shape[1]
    objective = objective_of(torch.nn.Sequential(torch.nn.Linear(d, 1), torch.nn.Tanh()), X, y)
    rho = np.abs([spearmanr(X[:, j], y)[0] for j in range(d)])
    rows, first = [], []
    for r in range(retrains):
        start = 0.1 * np.random.default_rng(seed + r).standard_normal(d + 1)
        path = descend(objective, start, epochs)
        found = [
            weight_derivatives(objective, theta, names=["0.weight"]).values[0]
            for theta in path[:: max(1, epochs // 20)]
        ]
        rows.append(np.abs(found).mean(axis=0))
        first.append(np.abs(found[0]))
    mean = np.mean(rows, axis=0)
    numbers = {f"order {k + 1}, path": spearmanr(mean[k], rho)[0] for k in range(3)}
    numbers |= {f"order {k + 1}, start": spearmanr(np.mean(first, axis=0)[k], rho)[0] for k in range(3)}
    agreement = rank_agreement(mean[1], rho)
    return numbers | {"order 2, path, low": agreement.low, "order 2, path, high": agreement.high}


def retrained(X: Any, y: Any, *, epochs: int, retrains: int, seed: int) -> dict[str, float]:
    """Agreement between retrainings of the input sensitivities of sixteen tanh units."""
    d = X.shape[1]
    found = []
    for r in range(retrains):
        torch.manual_seed(seed + r)
        model = torch.nn.Sequential(torch.nn.Linear(d, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
        objective = objective_of(model, X, y)
        end = descend(objective, objective.theta, epochs)[-1]
        found.append(input_derivatives(objective, end).values[0])
    agreement = {}
    for k in range(3):
        pairs = [spearmanr(found[i][k], found[j][k])[0] for i in range(retrains) for j in range(i)]
        agreement[f"retrainings agree, order {k + 1}"] = float(np.mean(pairs))
    return agreement


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Run all data sets.

    Parameters
    ----------
    out : path-like
        Folder for ``sensitivity.json``.
    seed : int
        Of the starts.
    quick : bool
        Few epochs and retrainings, diabetes only.

    Returns
    -------
    dict of str to float
        Rank correlations.
    """
    numbers: dict[str, float] = {}
    options = {"epochs": 20 if quick else 200, "retrains": 2 if quick else 10, "seed": seed}
    for name, load in list(DATA.items())[: 1 if quick else 3]:
        X, y = standardised(load)
        found = neuron(X, y, **options) | retrained(X, y, **options)
        numbers |= {f"{name}: {key}": float(value) for key, value in found.items()}
        print(f"  {name}: " + ", ".join(f"{key} {value:+.2f}" for key, value in found.items()))
    (Path(out) / "sensitivity.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
