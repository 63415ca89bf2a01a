"""Surfaces against a plain loop of set-weights-and-forward, and against packages from PyPI, on one thread.

The packages are installed without their dependencies into a folder of their own, so that nothing of this
environment is changed: ``python experiments/benchmarks/surface.py --peers FOLDER``.
"""

import argparse
import concurrent.futures
import contextlib
import copy
import importlib
import io
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.objective.points import ArrayPoints
from trajmap.objective.strategy import PLAIN
from trajmap.objective.tuning import choose_strategy, evaluator
from trajmap.projection.surfaces import surface
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.rowspace import RowSpace

nn, cross_entropy = torch.nn, torch.nn.functional.cross_entropy
PEERS = ("loss-landscapes", "loss-landscape-3d", "landscaper", "nglpy", "topopy", "treelib", "coloraide", "drawsvg")


def problem(name: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Make a network and the whole of the digits."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    torch.manual_seed(0)
    if name == "mlp":
        layers = [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)]
        return nn.Sequential(*layers), x, y
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(128, 10)), x.view(-1, 1, 8, 8), y


def plain_loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor, thetas: Any) -> Callable[[], Any]:
    """Set weights, forward, loss: what one writes without a package."""
    twin = copy.deepcopy(model).eval()
    points = torch.tensor(thetas, dtype=torch.float32)

    def run() -> Any:
        out = []
        with torch.no_grad():
            for point in points:
                nn.utils.vector_to_parameters(point, twin.parameters())
                out.append(float(cross_entropy(twin(x), y)))
        return np.array(out)

    return run


def peer_loops(model: nn.Module, x: torch.Tensor, y: torch.Tensor, n: int) -> dict[str, Callable[[], Any]]:
    """One call of each package that is there, over n × n points of some plane."""
    found: dict[str, Callable[[], Any]] = {}
    ends = [copy.deepcopy(model) for _ in range(2)]
    for end in ends:
        for parameter in end.parameters():
            parameter.data.add_(0.05 * torch.randn_like(parameter))
    with contextlib.suppress(ImportError):
        ll, metrics = importlib.import_module("loss_landscapes"), importlib.import_module("loss_landscapes.metrics")
        loss = metrics.Loss(cross_entropy, x, y)
        found["loss-landscapes"] = lambda: ll.planar_interpolation(model, *ends, loss, steps=n, deepcopy_model=True)
    with contextlib.suppress(ImportError):
        ll3 = importlib.import_module("loss_landscape_3d.calculator")
        state = copy.deepcopy(model).state_dict()
        ways = [{k: 0.05 * torch.randn_like(v) for k, v in state.items()} for _ in range(2)]
        calculator = ll3.LossLandscapeCalculator(copy.deepcopy(model), [(x, y)], cross_entropy)
        axis = np.linspace(-1, 1, n)
        found["loss-landscape-3d"] = lambda: calculator.calculate(axis, axis, *ways, state)
    with contextlib.suppress(ImportError):
        scaper = importlib.import_module("landscaper.compute")
        twin = copy.deepcopy(model)
        dirs = [[0.05 * torch.randn_like(p) for p in twin.parameters()] for _ in range(2)]

        def landscape() -> Any:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                return scaper.compute_loss_landscape(
                    twin, (x, y), dirs, lambda m, data: float(cross_entropy(m(data[0]), data[1])),
                    steps=n, dim=2, device="cpu",
                )  # fmt: skip

        found["landscaper"] = landscape
    return found


def sgemm_peak(n: int = 1024) -> float:
    """Floating-point operations a second of a matrix product."""
    a = torch.randn(n, n)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2.0 * n**3 / min(times)


def medians(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each way, taken in turns so that the machine's moods fall on all alike."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def compare(name: str, n: int, repeats: int) -> dict[str, float]:
    """Ratios to the plain loop, per grid point, on one network."""
    model, x, y = problem(name)
    objective = Objective(model, supervised(cross_entropy), [(x, y)])
    plane = Plane(objective.theta, 0.05 * np.random.default_rng(0).standard_normal((2, objective.size)))
    grid = Grid((np.linspace(-1, 1, n),) * 2)
    thetas = plane.inverse_transform(grid.points)

    def anew(**options: Any) -> Landscape:  # what an objective remembers of an earlier surface is not counted
        return surface(Objective(model, supervised(cross_entropy), [(x, y)]), plane, grid, **options)

    ways = {
        "plain loop": plain_loop(model, x, y, thetas),
        "trajmap": anew,
        "trajmap, plain": lambda: anew(strategy=PLAIN),
        "trajmap, bfloat16": lambda: anew(precision="bfloat16"),
        **peer_loops(model, x, y, n),
    }
    land, half = anew(), anew(precision="bfloat16")
    off = float(np.max(np.abs(land.values.ravel() / ways["plain loop"]() - 1)))
    error = float(np.max(np.abs(half.values / land.values - 1)))
    seconds = medians(ways, repeats)
    base = seconds["plain loop"]
    ratios = {way: seconds[way] / base for way in ways}
    multiply_adds = {"mlp": 25_728, "cnn": 64 * 144 + 16 * 16 * 32 * 9 + 1280}[name]
    floor = 2.0 * multiply_adds * len(x) * len(thetas) / sgemm_peak() / base
    print(
        f"\n{name}: {land.strategy}; largest difference {off:.1e}; plain loop {1e3 * base / len(thetas):.2f} ms a point"
    )
    for way, ratio in sorted({**ratios, "operations at the product's peak": floor}.items(), key=lambda item: item[1]):
        note = f"   (error {error:.1e})" if "bfloat" in way else ""
        print(f"  {way:<34} {ratio:.2f}{note}")
    return {f"{name} {way}": ratio for way, ratio in ratios.items()} | {f"{name} difference": off}


def lifting(*, quick: bool) -> float:
    """Share of a curved surface's time that goes into lifting."""
    model, x, y = problem("mlp")
    objective = Objective(model, supervised(cross_entropy), [(x, y)])
    rng = np.random.default_rng(0)
    run = objective.theta + 0.01 * np.cumsum(rng.standard_normal((60 if quick else 300, objective.size)), axis=0)
    run = run.astype(np.float32)
    chart = make_pipeline(RowSpace(lift_dtype=np.float32), DiffusionMap(n_components=2)).fit(run)
    Z = Grid.around(chart.transform(run), n_points=9 if quick else 21).points
    strategy = choose_strategy(objective, ArrayPoints(chart.inverse_transform(Z)))
    evaluate = evaluator(objective, strategy).evaluate
    thetas = chart.inverse_transform(Z[:64])
    ways = {
        "lift": lambda: [chart.inverse_transform(Z[i : i + 64]) for i in range(0, len(Z), 64)],
        "evaluate": lambda: [evaluate(ArrayPoints(thetas[: len(Z) - i])) for i in range(0, len(Z), 64)],
        "plain loop": lambda: [plain_loop(model, x, y, thetas[: len(Z) - i])() for i in range(0, len(Z), 64)],
    }
    seconds = medians(ways, 1 if quick else 5)
    share = seconds["lift"] / seconds["plain loop"]
    print(f"\nlifting a diffusion map of {len(run)} iterates: {share:.0%} of a plain loop's evaluation, ", end="")
    print(f"{seconds['lift'] / seconds['evaluate']:.0%} of the fast one")
    return share


def _warm(seconds: float) -> None:
    time.sleep(seconds)


def efficiency(n: int) -> float:
    """Speed-up of two processes over one, halved, on tasks of whole blocks; the pool is warm."""
    model, x, y = problem("cnn")
    objective = Objective(model, supervised(cross_entropy), [(x, y)])
    plane = Plane(objective.theta, 0.05 * np.random.default_rng(0).standard_normal((2, objective.size)))
    axis = np.linspace(-1, 1, n)
    grid = Grid((axis, axis))
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_warm, [2.0, 2.0]))  # both processes start, and import torch, before the clock does
        points = [len(grid.points) // 2] * 2
        ways = {
            "serial": lambda: surface(objective, plane, grid, strategy=PLAIN, block=16),
            "pool": lambda: surface(objective, plane, grid, strategy=PLAIN, executor=pool, block=16),
            "bare serial": lambda: [_bare(n) for n in points],
            "bare pool": lambda: list(pool.map(_bare, points)),
        }
        seconds = medians(ways, 3)
    found, floor = seconds["serial"] / seconds["pool"] / 2, seconds["bare serial"] / seconds["bare pool"] / 2
    each = 1e3 * seconds["serial"] / len(grid.points)
    print(f"\nefficiency of two processes, {len(grid.points)} points of {each:.0f} ms: {found:.2f}; ", end="")
    print(f"of the machine, two bare loops side by side: {floor:.2f}; ratio {found / floor:.2f}")
    return found / floor


def _bare(n: int) -> None:
    """As many plain evaluations as a half of the grid has points."""
    torch.set_num_threads(1)
    model, x, y = problem("cnn")
    with torch.no_grad():
        for _ in range(n):
            float(cross_entropy(model(x), y))


def main(out: Path, *, seed: int = 0, quick: bool = False, peers: Path | None = None) -> dict[str, float]:
    """Run the comparison; in quick mode on few points and without the packages."""
    torch.set_num_threads(1)
    if peers is not None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(peers), *PEERS]
        subprocess.run(command, check=True)
        sys.path.append(str(peers))
    n, repeats = (4, 1) if quick else (15, 7)
    numbers: dict[str, float] = {}
    for name in ("mlp", "cnn"):
        numbers |= compare(name, n, repeats)
    numbers["lifting"] = lifting(quick=quick)
    if not quick:
        numbers["efficiency"] = efficiency(24)
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="folder to install the packages into")
    main(Path(), peers=parser.parse_args().peers)
