"""Do two networks average well? Sign consistency as a predictor beside distance; sign alignment in federated rounds."""

import argparse
import copy
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from trajmap.basins.asymmetry import sign_consistency
from trajmap.basins.matching import match_weights, unit_groups
from trajmap.examples.digits import digits_split
from trajmap.examples.fusion import federated_rounds, proximity_penalty, sign_penalty
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective

Data = tuple[torch.Tensor, torch.Tensor]
PENALTIES = {
    "average only": (None, (0.0,)),
    "distance": (proximity_penalty, (0.01, 0.1, 1.0)),
    "signs": (sign_penalty, (30.0, 300.0, 3000.0)),
}


def network(seed: int) -> torch.nn.Module:
    """Make a network 64-64-10."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))


def weights_of(model: torch.nn.Module) -> torch.Tensor:
    """Flatten the weights."""
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def accuracy_of(model: torch.nn.Module, theta: torch.Tensor, data: Data) -> float:
    """Score the weights on some data."""
    torch.nn.utils.vector_to_parameters(theta.clone(), model.parameters())
    with torch.no_grad():
        return float((model(data[0]).argmax(1) == data[1]).double().mean())


def trained(model: torch.nn.Module, data: Data, *, epochs: int, seed: int) -> torch.nn.Module:
    """Train a copy on some data."""
    twin = copy.deepcopy(model)
    if epochs:
        federated_rounds(twin, [data], n_rounds=1, epochs=epochs, seed=seed)
    return twin


def clients(data: Data, n: int, *, alpha: float, seed: int) -> list[Data]:
    """Divide the data, each class by shares from a Dirichlet distribution: the smaller `alpha`, the more unlike."""
    rng = np.random.default_rng(seed)
    owner = np.empty(len(data[0]), dtype=int)
    classes = data[1].numpy()
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        owner[rows] = rng.choice(n, len(rows), p=rng.dirichlet(np.full(n, alpha)))
    return [(data[0][owner == i], data[1][owner == i]) for i in range(n) if (owner == i).any()]


def midpoint_rise(model: torch.nn.Module, a: torch.Tensor, b: torch.Tensor, data: Data) -> float:
    """Loss in the middle of two points above the mean of theirs: below 0 where averaging helps."""

    def loss(theta: torch.Tensor) -> float:
        torch.nn.utils.vector_to_parameters(theta.clone(), model.parameters())
        with torch.no_grad():
            return float(torch.nn.functional.cross_entropy(model(data[0]), data[1]))

    return loss(0.5 * (a + b)) - 0.5 * (loss(a) + loss(b))


def pairs(train: Data, test: Data, *, quick: bool) -> np.ndarray:
    """Train pairs of networks apart, on halves of the data, after more or less common training; one row a pair.

    Columns: epochs in common, rise of the test loss in the middle, sign consistency, cosine, relative distance.
    Networks that begin apart come twice: as they are, and with the units of one matched to the other's (−1 epochs).
    """
    rows = []
    probe = network(0)
    objective = Objective(probe, supervised(torch.nn.functional.cross_entropy), [train])

    def row(common: int, a: torch.Tensor, b: torch.Tensor) -> tuple[float, ...]:
        cosine = float(torch.nn.functional.cosine_similarity(a, b, dim=0))
        far = float((a - b).norm() / (0.5 * (a + b)).norm())
        return common, midpoint_rise(probe, a, b, test), sign_consistency(a.numpy(), b.numpy()), cosine, far

    for seed in range(1 if quick else 4):
        halves = clients(train, 2, alpha=100.0, seed=seed)
        for common in (0, 3) if quick else (0, 1, 2, 4, 8, 16):
            stem = trained(network(seed), train, epochs=common, seed=seed)
            stems = [stem, stem if common else network(100 + seed)]
            for epochs in (2,) if quick else (10, 80):
                a, b = (
                    weights_of(trained(s, half, epochs=epochs, seed=i))
                    for i, (s, half) in enumerate(zip(stems, halves, strict=True))
                )
                rows.append(row(common, a, b))
                if not common:
                    matched = match_weights(a.numpy(), b.numpy(), objective.layout, unit_groups(objective)).theta
                    rows.append(row(-1, a, torch.tensor(matched, dtype=a.dtype)))
    return np.array(rows)


def predictor(train: Data, test: Data, *, quick: bool) -> dict[str, float]:
    """Rank correlation of sign consistency, and of the two plainer predictors, with how badly two networks average."""
    table = pairs(train, test, quick=quick)
    numbers = {"pairs": float(len(table))}
    kinds = {
        "begun apart": table[:, 0] == 0,
        "begun apart, units matched": table[:, 0] < 0,
        "begun together": table[:, 0] > 0,
    }
    for name, chosen in kinds.items():
        numbers[f"{name}: sign consistency"] = float(table[chosen, 2].mean())
        numbers[f"{name}: rise of the loss in the middle"] = float(table[chosen, 1].mean())
    blocks = {
        "all pairs": table,
        "pairs begun apart": table[~kinds["begun together"]],
        "pairs begun together": table[kinds["begun together"]],
    }
    for name, chosen in blocks.items():
        for key, column in (("sign consistency", 2), ("cosine", 3), ("relative distance", 4)):
            if len(chosen) > 2:
                numbers[f"{name}: Spearman of {key} with the rise"] = float(
                    spearmanr(chosen[:, column], chosen[:, 1])[0]
                )
    return numbers


def federated(train: Data, test: Data, *, quick: bool) -> dict[str, float]:
    """Test accuracy of the average after few and all rounds, and the clients' sign consistency, by penalty."""
    n_rounds, seeds = (2, 1) if quick else (15, 5)
    numbers = {}
    for name, (penalty, weights) in PENALTIES.items():
        for weight in weights[:1] if quick else weights:
            scores, signs = [], []
            for seed in range(seeds):
                model, probe, row = network(seed), network(seed), []

                def watch(shared: torch.Tensor, ends: list[torch.Tensor], probe=probe, row=row, signs=signs) -> None:
                    row.append(accuracy_of(probe, shared, test))
                    signs.append(np.mean([sign_consistency(end.numpy(), shared.numpy()) for end in ends]))

                parts = clients(train, 5, alpha=0.2, seed=seed)
                federated_rounds(
                    model, parts, n_rounds=n_rounds, epochs=5, penalty=penalty, weight=weight, seed=seed, watch=watch
                )
                scores.append(row)
            title = f"{name}, weight {weight:g}" if weight else name
            table = np.array(scores)
            numbers[f"{title}: accuracy after {n_rounds // 3 or 1} rounds"] = float(table[:, n_rounds // 3 - 1].mean())
            numbers[f"{title}: accuracy after {n_rounds} rounds"] = float(table[:, -1].mean())
            numbers[f"{title}: standard error"] = float(table[:, -1].std() / np.sqrt(max(1, seeds - 1)))
            numbers[f"{title}: signs shared with the average"] = float(np.mean(signs))
    return numbers


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Measure the predictor and the federated rounds.

    Parameters
    ----------
    out : path-like
        Folder for ``fusion.json``.
    seed : int
        Seed of the split.
    quick : bool
        Fewer and shorter trainings.

    Returns
    -------
    dict of str to float
        Correlations and accuracies.
    """
    torch.set_num_threads(1)
    train, test = digits_split(seed=seed)
    numbers = predictor(train, test, quick=quick) | federated(train, test, quick=quick)
    (Path(out) / "fusion.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        print(f"  {key:<66} {value:.4g}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
