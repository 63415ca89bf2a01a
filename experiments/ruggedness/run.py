"""Is a rugged landscape a sign of bad generalisation? Batch sizes compared at equal epochs, and at equal loss."""

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

from trajmap.basins.noise import noise_rise
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.trace import hutchinson
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective

Data = tuple[torch.Tensor, torch.Tensor]
CE = torch.nn.functional.cross_entropy


def data() -> tuple[Data, Data]:
    """Split the digits: 600 to train on, the rest to test, so that networks differ in how they generalise."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    x, x_test, y, y_test = train_test_split(x, y, train_size=600, random_state=0, stratify=digits.target)
    return (x, y), (x_test, y_test)


def train(part: Data, *, batch: int, seed: int, epochs: int, until: float = 0.0) -> torch.nn.Module:
    """SGD at .1 on a network 64-64-10, for some epochs or until the training loss falls to a level."""
    x, y = part
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            CE(model(x[rows]), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            if until and float(CE(model(x), y)) <= until:
                break
    return model


def measure(model: torch.nn.Module, part: Data, test: Data, *, n: int) -> dict[str, float]:
    """Ruggedness and generalisation of a solution."""
    objective = Objective(model, supervised(CE), [part])
    with torch.no_grad():
        error = float((model(test[0]).argmax(1) != test[1]).double().mean())
    theta = objective.theta
    noise = noise_rise(objective, theta, scales=(0.1, 0.3), n_draws=n)
    return {
        "training loss": noise.start,
        "test error": error,
        "rise at .1": float(noise.rises[0]),
        "rise at .3": float(noise.rises[1]),
        "λ₁": float(top_eigenspace(objective, theta, 1).eigenvalues[0]),
        "trace": hutchinson(objective.hessian(theta), objective.size, n_products=50).value,
    }


def table(name: str, batches: tuple[int, ...], seeds: range, train_one: Any, n: int) -> dict[str, float]:
    """Train and measure every batch size and seed; means by batch size, correlations over all."""
    part, test = data()
    rows: list[dict[str, float]] = []
    numbers: dict[str, float] = {}
    for batch in batches:
        found = [measure(train_one(part, batch, seed), part, test, n=n) for seed in seeds]
        rows += found
        word = "all" if batch >= len(part[0]) else str(batch)
        means = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
        numbers |= {f"{name}, batch {word}: {key}": value for key, value in means.items()}
        print(f"  {name}, batch {word}: " + ", ".join(f"{key} {value:.3g}" for key, value in means.items()), flush=True)
    for key in ("training loss", "rise at .1", "rise at .3", "λ₁", "trace"):
        pair = [row["test error"] for row in rows], [row[key] for row in rows]
        numbers[f"{name}: Spearman of {key} with the test error"] = float(spearmanr(*pair)[0])
    return numbers


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Compare batch sizes at equal epochs and at equal training loss.

    Parameters
    ----------
    out : path-like
        Folder for ``ruggedness.json``.
    seed : int
        First seed of the trainings.
    quick : bool
        Fewer and shorter trainings.

    Returns
    -------
    dict of str to float
        Means by batch size, and rank correlations with the test error.
    """
    torch.set_num_threads(1)
    batches, seeds = ((32, 600), range(seed, seed + 2)) if quick else ((8, 32, 128, 600), range(seed, seed + 5))
    epochs, n = (3, 3) if quick else (60, 20)
    level = 1.5 if quick else 0.1
    numbers = table("equal epochs", batches, seeds, lambda p, b, s: train(p, batch=b, seed=s, epochs=epochs), n)
    numbers |= table(
        "equal loss", batches, seeds, lambda p, b, s: train(p, batch=b, seed=s, epochs=20000, until=level), n
    )
    (Path(out) / "ruggedness.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    for key, value in numbers.items():
        if "Spearman" in key:
            print(f"  {key:<60} {value:+.2f}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
