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

from trajmap.basins.asymmetry import asymmetry_test, sign_consistency
from trajmap.basins.gradient_walks import loss_gradient_cloud, stagnation
from trajmap.basins.matching import match_weights, unit_groups
from trajmap.basins.permuted_copies import permutation_paths
from trajmap.basins.random_walks import random_walk_rise
from trajmap.basins.solution_trees import solution_tree
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.sample_size import sample_convergence
from trajmap.curvature.scalar import curvature_class
from trajmap.curvature.subspace_size import subspace_convergence
from trajmap.curvature.trace import hutchinson
from trajmap.objective.losses import accuracy, supervised
from trajmap.objective.objective import Objective
from trajmap.objective.samples import sample_losses
from trajmap.objective.saturated_units import saturation

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
    """Errors on both sides of noise by its share of the model's signs."""
    sweep = asymmetry_test(objective, objective.theta, n_draws=n, metric="error")
    numbers = {f"sign share {s:g}: err(−)/err(+)": float(r) for s, r in zip(sweep.shares, sweep.ratios, strict=True)}
    for name, values in (("err(+)", sweep.plus.mean(axis=1)), ("err(−)", sweep.minus.mean(axis=1))):
        numbers[f"sweep, {name}, Spearman"] = float(spearmanr(sweep.shares, values)[0])
    return numbers


def spin_glass(objective: Objective, x: Any, y: Any, *, quick: bool) -> dict[str, float]:
    """Random walks, permuted copies, and the tree of solutions."""
    theta = objective.theta
    trace = hutchinson(objective.hessian(theta), objective.size, n_products=10 if quick else 200).value
    walk = random_walk_rise(
        objective, theta, sigma=1e-3, n_steps=20 if quick else 150, n_walks=3 if quick else 30, trace=trace
    )
    numbers = {"walk: rise over ½σ²t tr H": walk.ratio, "walk: error": float(walk.error[-1] / walk.expected[-1])}
    (group,) = unit_groups(objective)
    paths = permutation_paths(objective, theta, group, n_draws=1 if quick else 5)
    barriers = paths.barriers.mean(axis=1)
    numbers |= {f"permuted units {n}: barrier": float(b) for n, b in zip(paths.counts, barriers, strict=True)}
    numbers["permuted units, Spearman"] = float(spearmanr(paths.counts, barriers)[0])
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
    matched = [match_weights(ends[0], end, objective.layout, unit_groups(objective)).theta for end in ends]
    tree = solution_tree(np.array(matched))
    numbers["tree: cophenetic"], numbers["tree: null, highest"] = tree.cophenetic, float(tree.null.max())
    numbers["tree: agreement with the initialisation"] = float(adjusted_rand_score(inits, tree.labels(len(set(inits)))))
    other = len(ends) - 1
    numbers["sign consistency, independent"] = sign_consistency(ends[0], ends[other])
    numbers["sign consistency, after matching"] = sign_consistency(ends[0], matched[other])
    return numbers


def sample_size(x: Any, y: Any, *, quick: bool) -> dict[str, float]:
    """Change by one more sample for four networks, at the end of training and over the Hessian's top ten directions."""
    numbers = {}
    for widths in ((64, 16, 10),) if quick else ((64, 16, 10), (64, 16, 16, 16, 10), (64, 64, 64, 10), (64, 4, 4, 10)):
        torch.manual_seed(0)
        objective = train(network(widths), x, y, epochs=1 if quick else 10, order=0)
        theta = objective.theta
        found = sample_convergence(sample_losses(objective, theta[None])[0])
        name = "-".join(map(str, widths[1:-1]))
        numbers[f"hidden {name}: slope"] = found.slope
        numbers[f"hidden {name}: constant over deviation"] = found.constant / found.deviation
        numbers[f"hidden {name}: constant"] = found.constant
        top = top_eigenspace(objective, theta, 3 if quick else 10).eigenvectors
        for sigma in (0.01, 0.1):
            cloud = subspace_convergence(objective, theta, top, sigma=sigma, n_perm=20 if quick else 1000)
            title = f"hidden {name}, width {sigma:g}"
            numbers[f"{title}: Δ·k(k+1) over the variance"] = cloud.ratio
            numbers[f"{title}: second-order expansions over measured"] = cloud.quadratic / cloud.variance
            numbers[f"{title}: published form over even part"] = cloud.published / cloud.curved
            numbers[f"{title}: even part of the variance"] = cloud.curved / cloud.variance
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
        cloud = loss_gradient_cloud(
            objective,
            n_walks=n_walks,
            n_steps=n_steps,
            kind=lambda theta, of=objective: curvature_class(of.hessian(theta), of.size).kind,
        )
        name = activation.__name__
        numbers[f"{name}: last over first loss"] = cloud.descent
        numbers[f"{name}: smallest gradient norm"] = float(cloud.norms.min())
        numbers[f"{name}: stretches of stagnation a walk"] = float(
            np.mean([stagnation(row).count for row in cloud.losses])
        )
        numbers |= {f"{name}: share of walks whose end is {kind}": share for kind, share in cloud.shares.items()}
        if activation is not torch.nn.ELU:
            numbers[f"{name}: saturation"] = float(saturation(objective, [objective.theta], x).values[0, 0])
    return numbers


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Run all protocols and keep ``protocols.json``."""
    x, y = data()
    torch.manual_seed(seed)
    objective = train(network((64, 32, 10)), x, y, epochs=1 if quick else 20, order=seed)
    numbers = asymmetry(objective, 2 if quick else 40)
    for other in () if quick else (1, 2):
        torch.manual_seed(seed + other)
        twin = train(network((64, 32, 10)), x, y, epochs=20, order=seed + other)
        numbers |= {f"{key} (seed {seed + other})": value for key, value in asymmetry(twin, 40).items()}
    numbers |= spin_glass(objective, x, y, quick=quick)
    numbers |= sample_size(x, y, quick=quick) | walks(quick=quick)
    (Path(out) / "protocols.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        print(f"  {key:<44} {value:.4g}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
