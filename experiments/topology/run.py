"""Topology of landscapes: a convection network that stops learning, and deep networks with and without skips."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from trajmap.curvature.density import spectral_density
from trajmap.curvature.trace import hutchinson
from trajmap.data.normalise import layer_norm
from trajmap.data.results.landscape import Grid
from trajmap.directions.hessian import hessian_plane
from trajmap.directions.random import random_plane
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface
from trajmap.topology.merge_trees import merge_tree

nn = torch.nn


class Convection:
    """u_t + β u_x = 0 on [0, 2π) × [0, 1] from sin x, as Krishnapriyan et al. set it up."""

    def __init__(self, beta: float, *, seed: int, points: int) -> None:
        self.beta = beta
        x, t = np.linspace(0, 2 * np.pi, 256, endpoint=False), np.linspace(0, 1, 100)
        self.grid = torch.tensor(np.stack([a.ravel() for a in np.meshgrid(x, t)], axis=1), dtype=torch.float32)
        rows = np.random.default_rng(seed).choice(len(self.grid), points, replace=False)
        self.inside = self.grid[rows]
        self.start = torch.tensor(np.stack([x, 0 * x], axis=1), dtype=torch.float32)
        self.left = torch.tensor(np.stack([0 * t, t], axis=1), dtype=torch.float32)
        self.right = self.left + torch.tensor([2 * torch.pi, 0.0])

    def loss(self, model: Any, batch: Any) -> torch.Tensor:
        """Residual, initial and periodic terms."""
        inside = batch.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(inside).sum(), inside, create_graph=True)
        residual = slope[:, 1] + self.beta * slope[:, 0]
        start = model(self.start)[:, 0] - torch.sin(self.start[:, 0])
        return start.square().mean() + residual.square().mean() + (model(self.left) - model(self.right)).square().mean()

    def error(self, model: Any) -> float:
        """Mean absolute error against the exact solution."""
        with torch.no_grad():
            found = model(self.grid)[:, 0]
        exact = torch.sin(self.grid[:, 0] - self.beta * self.grid[:, 1])
        return float((found - exact).abs().mean())


def train_convection(problem: Convection, *, seed: int, steps: int) -> nn.Module:
    """L-BFGS on a tanh network 2-50-50-50-50-1."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Linear(2, 50), nn.Tanh()]
    for _ in range(3):
        layers += [nn.Linear(50, 50), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(50, 1))
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        lr=1.0,
        max_iter=steps,
        history_size=50,
        line_search_fn="strong_wolfe",
        tolerance_change=1e-9,
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = problem.loss(model, problem.inside)
        loss.backward()
        return loss

    optimizer.step(closure)
    return model


class Deep(nn.Module):
    """Sixteen hidden layers of sixteen units, with or without skips around the last fifteen.

    `he` takes He's initialisation, with which such a chain can be trained without skips; with skips the branches are
    then divided by the square root of their number, or the sum would grow by 2¹⁵.
    """

    def __init__(self, *, skip: bool, he: bool = False, depth: int = 16) -> None:
        super().__init__()
        self.skip, self.part = skip, (depth - 1) ** -0.5 if he else 1.0
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)
        self.hidden = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth - 1))
        for layer in (self.first, *self.hidden, self.last) if he else ():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        h = torch.relu(self.first(x))
        for layer in self.hidden:
            branch = torch.relu(layer(h))
            h = h + self.part * branch if self.skip else branch
        return self.last(h)


def look(objective: Objective, plane: Any, n: int) -> dict[str, float]:
    """Surface over [−1, 1]² and its topology, basins under a thousandth of the range left out."""
    axis = np.linspace(-1, 1, n)
    land = surface(objective, plane, Grid((axis, axis)))
    tree = merge_tree(land, masked=True)
    clean = tree.simplify(1e-3 * (tree.top - float(tree.births.min())))
    return {
        "average persistence": tree.average_persistence(),
        "saddles": float(clean.n_saddles),
        "saddles of any depth": float(tree.n_saddles),
        "minima": float(clean.n_minima),
        "range": tree.top - float(tree.births.min()),
    }


def hessian_numbers(objective: Objective) -> dict[str, float]:
    """Largest eigenvalue and trace at the trained point, from the same products."""
    product = objective.hessian(objective.theta)
    density = spectral_density(product, objective.size, n_probes=1, n_steps=25)
    return {
        "λ₁": float(density.nodes.max()),
        "trace": hutchinson(product, objective.size, n_products=12).value,
        "negative": density.negative_share,
    }


def convection(betas: tuple[int, ...], *, seed: int, quick: bool) -> dict[str, float]:
    """Average persistence on the Hessian plane and on a random one, by β."""
    numbers: dict[str, float] = {}
    rows: dict[str, list[float]] = {"error": [], "Hessian plane": [], "random plane": [], "λ₁": [], "trace": []}
    for beta in betas:
        problem = Convection(beta, seed=0, points=100)
        model = train_convection(problem, seed=seed, steps=10 if quick else 500)
        objective = Objective(model, problem.loss, [problem.inside])
        theta = objective.theta
        random = random_plane(objective, theta, normalise=layer_norm, random_state=seed)
        planes = {"Hessian plane": hessian_plane(objective, theta, tol=5e-2), "random plane": random}
        rows["error"].append(problem.error(model))
        for name, plane in planes.items():
            found = look(objective, plane, 7 if quick else 31)
            rows[name].append(found["average persistence"])
            numbers |= {f"β={beta} {name} {key}": value for key, value in found.items()}
        sharp = hessian_numbers(objective)
        numbers |= {f"β={beta} {key}": value for key, value in sharp.items()} | {f"β={beta} error": rows["error"][-1]}
        rows["λ₁"].append(sharp["λ₁"])
        rows["trace"].append(sharp["trace"])
        told = ", ".join(f"{key} {values[-1]:.3g}" for key, values in rows.items())
        print(f"  β = {beta}: {told}", flush=True)
    if len(betas) > 3:
        for name in ("Hessian plane", "random plane", "λ₁", "trace", "error"):
            numbers[f"Spearman of {name} with β"] = float(spearmanr(betas, rows[name])[0])
            numbers[f"Spearman of {name} with the error"] = float(spearmanr(rows["error"], rows[name])[0])
        late, early = ([v for b, v in zip(betas, rows["Hessian plane"], strict=True) if cond(b)]
                       for cond in (lambda b: b >= 7, lambda b: b <= 5))  # fmt: skip
        numbers["jump of persistence, Hessian plane"] = float(np.mean(late) / max(np.mean(early), 1e-12))
    return numbers


def train_deep(model: nn.Module, x: Any, y: Any, *, epochs: int) -> nn.Module:
    """Adam at 1e-3, batches of 64."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model


def skips(seeds: tuple[int, ...], *, he: bool, quick: bool) -> dict[str, float]:
    """Saddles and range of deep networks on digits on filter-normalised planes, three a network."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0, stratify=digits.target)
    numbers: dict[str, float] = {}
    every: list[dict[str, float]] = []
    start = "He's initialisation" if he else "torch's initialisation"
    for skip in (True, False):
        rows = []
        for seed in seeds:
            torch.manual_seed(seed)
            model = train_deep(Deep(skip=skip, he=he), x, y, epochs=1 if quick else 30)
            objective = Objective(model, supervised(nn.functional.cross_entropy), [(x, y)])
            with torch.no_grad():
                error = float((model(x_test).argmax(1) != y_test).double().mean())
            planes = [random_plane(objective, objective.theta, random_state=s) for s in range(1 if quick else 3)]
            looks = [look(objective, plane, 7 if quick else 31) for plane in planes]
            row = {key: float(np.mean([found[key] for found in looks])) for key in looks[0]}
            rows.append(row | hessian_numbers(objective) | {"test error": error})
        word = "with skips" if skip else "without"
        for key in rows[0]:
            numbers[f"{start}, {word}: {key}"] = float(np.mean([row[key] for row in rows]))
        print(
            f"  {start}, {word}: " + ", ".join(f"{key} {[round(r[key], 3) for r in rows]}" for key in rows[0]),
            flush=True,
        )
        every += rows
    with_skips, without = (numbers[f"{start}, {word}: range"] for word in ("with skips", "without"))
    numbers[f"{start}: range, without skips over with"] = without / with_skips
    return numbers | correlations(every, start)


def correlations(rows: list[dict[str, float]], start: str) -> dict[str, float]:
    """Rank correlations of what was measured with the test error, over the networks of both kinds."""
    errors = [row["test error"] for row in rows]
    found = {}
    for key in ("saddles", "average persistence", "range", "λ₁", "trace", "negative"):
        values = [row[key] for row in rows]
        if len(set(values)) > 1 and len(set(errors)) > 1:  # a constant has no rank correlation
            found[f"{start}: Spearman of {key} with the error"] = float(spearmanr(errors, values)[0])
    return found


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Run both parts and keep ``topology.json``."""
    torch.set_num_threads(1)
    seeds = (0,) if quick else (0, 1, 2)
    numbers = skips(seeds, he=False, quick=quick) | skips(seeds, he=True, quick=quick)
    numbers |= convection((1, 9) if quick else tuple(range(1, 11)), seed=seed, quick=quick)
    (Path(out) / "topology.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        if "β" not in key or "Spearman" in key:
            print(f"{key:<48} {value:.4g}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
