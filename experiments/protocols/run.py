"""Asymmetric valleys, spin-glass protocols, sample size and gradient walks on networks trained on real data."""

import argparse
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_digits, load_iris
from sklearn.metrics import adjusted_rand_score

from trajmap.curvature.sample_size import sample_convergence
from trajmap.curvature.trace import hutchinson
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.saturation import saturation
from trajmap.projection.asymmetry import asymmetry_test, sign_consistency
from trajmap.projection.matching import match_weights, unit_groups
from trajmap.projection.spin_glass import permutation_path, random_walk_rise, solution_tree
from trajmap.projection.walks import loss_gradient_cloud, stagnation

CE = supervised(torch.nn.functional.cross_entropy)


def network(widths: tuple[int, ...], activation: type[torch.nn.Module] = torch.nn.ReLU) -> torch.nn.Sequential:
    """Chain linear layers."""
    layers: list[torch.nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [torch.nn.Linear(a, b), activation()]
    return torch.nn.Sequential(*layers[:-1])


def train(model: torch.nn.Module, x: Any, y: Any, *, epochs: int, order: int, batch: int = 32) -> Objective:
    """Train by SGD with momentum and give the objective on all data."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(order)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return Objective(model, CE, [(x, y)], metrics={"error": lambda m, b: 1 - accuracy(m, b)})


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Load the digits."""
    digits = load_digits()
    return torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)


def asymmetry(objective: Objective, n: int) -> dict[str, float]:
    """Errors on both sides of sign-consistent and of Gaussian noise, and the sweep between."""
    theta, numbers, shares = objective.theta, {}, (0.0, 0.25, 0.5, 0.75, 1.0)
    plus, minus = [], []
    for share in shares:
        found = asymmetry_test(objective, theta, share=share, n=n, metric="error")
        plus.append(found.plus.mean())
        minus.append(found.minus.mean())
        numbers[f"sign share {share:g}: err(−)/err(+)"] = found.ratio
    numbers["sweep, err(+), Spearman"] = float(spearmanr(shares, plus)[0])
    numbers["sweep, err(−), Spearman"] = float(spearmanr(shares, minus)[0])
    return numbers


def spin_glass(objective: Objective, x: Any, y: Any, *, quick: bool) -> dict[str, float]:
    """Random walks, permuted copies, and the tree of solutions."""
    theta = objective.theta
    rise, error = random_walk_rise(
        objective, theta, sigma=1e-3, n_steps=20 if quick else 150, n_walks=3 if quick else 30
    )
    trace = hutchinson(objective.hessian(theta), objective.size, n_products=10 if quick else 200).value
    numbers = {"walk: rise over ½σ²t tr H": float(rise[-1] / (0.5e-6 * (len(rise) - 1) * trace)), "walk: error": float(
        error[-1] / rise[-1])}  # fmt: skip
    (group,) = unit_groups(objective.model)
    counts = (2, 4, 8, 16, 32)
    seeds = range(1 if quick else 5)

    def barrier(n: int) -> float:
        return float(np.mean([permutation_path(objective, theta, group, n, random_state=s)[2] for s in seeds]))

    barriers = [barrier(n) for n in counts]
    numbers |= {f"permuted units {n}: barrier": float(b) for n, b in zip(counts, barriers, strict=True)}
    numbers["permuted units, Spearman"] = float(spearmanr(counts, barriers)[0])
    ends, inits = [], []
    for init in range(2 if quick else 3):
        torch.manual_seed(init)
        start = network((64, 32, 10))
        train(start, x, y, epochs=1, order=99)
        for branch in range(2 if quick else 4):
            model = network((64, 32, 10))
            model.load_state_dict(start.state_dict())
            ends.append(train(model, x, y, epochs=1 if quick else 5, order=branch).theta)
            inits.append(init)
    matched = [match_weights(ends[0], end, objective.layout, unit_groups(objective.model))[0] for end in ends]
    tree = solution_tree(np.array(matched))
    numbers["tree: cophenetic"], numbers["tree: null, highest"] = tree.cophenetic, float(tree.null.max())
    numbers["tree: agreement with the initialisation"] = float(adjusted_rand_score(inits, tree.labels(len(set(inits)))))
    other = len(ends) - 1
    numbers["sign consistency, independent"] = sign_consistency(ends[0], ends[other])
    numbers["sign consistency, after matching"] = sign_consistency(ends[0], matched[other])
    return numbers


def sample_size(x: Any, y: Any, *, quick: bool) -> dict[str, float]:
    """Slope and constant of the change by one more sample, for four networks."""
    numbers = {}
    for widths in ((64, 16, 10),) if quick else ((64, 16, 10), (64, 16, 16, 16, 10), (64, 64, 64, 10), (64, 4, 4, 10)):
        torch.manual_seed(0)
        objective = train(network(widths), x, y, epochs=1 if quick else 10, order=0)
        losses = torch.nn.functional.cross_entropy(objective.outputs(objective.theta, x), y, reduction="none").numpy()
        found = sample_convergence(losses)
        name = "-".join(map(str, widths[1:-1]))
        numbers[f"hidden {name}: slope"] = found.slope
        numbers[f"hidden {name}: constant over deviation"] = found.constant / found.deviation
        numbers[f"hidden {name}: constant"] = found.constant
    return numbers


def walks(*, quick: bool) -> dict[str, float]:
    """Loss–gradient clouds on iris by activation."""
    iris = load_iris()
    x = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0), dtype=torch.float32)
    y, numbers = torch.tensor(iris.target), {}
    for activation in (torch.nn.Tanh, torch.nn.ReLU, torch.nn.ELU):
        torch.manual_seed(0)
        objective = Objective(network((4, 5, 3), activation), CE, [(x, y)])
        n_walks, n_steps = (2, 20) if quick else (20, 200)
        losses, norms = loss_gradient_cloud(objective, n_walks=n_walks, n_steps=n_steps)
        paths = losses.reshape(n_walks, -1)
        name = activation.__name__
        numbers[f"{name}: last over first loss"] = float(np.mean(paths[:, -1] / paths[:, 0]))
        numbers[f"{name}: smallest gradient norm"] = float(norms.min())
        numbers[f"{name}: stretches of stagnation a walk"] = float(np.mean([stagnation(path)[0] for path in paths]))
        if activation is not torch.nn.ELU:
            numbers[f"{name}: saturation"] = saturation(objective, objective.theta, x)["1"]
    return numbers


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Run all protocols and keep ``protocols.json``."""
    x, y = data()
    torch.manual_seed(seed)
    objective = train(network((64, 32, 10)), x, y, epochs=1 if quick else 20, order=seed)
    numbers = asymmetry(objective, 2 if quick else 40) | spin_glass(objective, x, y, quick=quick)
    numbers |= sample_size(x, y, quick=quick) | walks(quick=quick)
    (Path(out) / "protocols.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        print(f"  {key:<44} {value:.4g}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
