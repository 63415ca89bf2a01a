"""Hessian products and top eigenspaces against other packages, on the digits MLP, one thread.

``python experiments/benchmarks/curvature.py --peers FOLDER`` installs the packages there without their dependencies.
"""

import argparse
import contextlib
import copy
import importlib
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

from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import largest
from trajmap.curvature.path import eigenspace_path
from trajmap.data.trajectory import Trajectory
from trajmap.examples import digits
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective

cross_entropy = torch.nn.functional.cross_entropy
PEERS = (
    "pyhessian", "hessian-eigenthings", "curvlinops-for-pytorch", "backpack-for-pytorch", "einops", "einconv",
    "unfoldNd", "linear_operator", "jaxtyping", "wadler_lindig",
)  # fmt: skip
K = 10


def problem(*, quick: bool) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """Train an MLP of 24k parameters on the digits for a while."""
    data = load_digits()
    x, y = torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)
    torch.manual_seed(0)
    wide = 16 if quick else 128
    layers = [torch.nn.Linear(64, wide), torch.nn.ReLU(), torch.nn.Linear(wide, wide), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(wide, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(10 if quick else 200):
        rows = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model, x, y


def median(way: Callable[[], Any], repeats: int) -> float:
    """Median seconds of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        way()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def residual(objective: Objective, values: Any, vectors: Any) -> float:
    """Largest true relative residual of some pairs, by our own products."""
    product = objective.hessian(objective.theta)
    return float(max(np.linalg.norm(product(v) - w * v) / abs(w) for w, v in zip(values, vectors, strict=True)))


def pyhessian(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[Any, Any, int]:
    """Power iteration with deflation, at its defaults."""
    module = importlib.import_module("pyhessian.hessian")
    counted, plain = [0], module.hessian_vector_product

    def product(*args: Any) -> Any:
        counted[0] += 1
        return plain(*args)

    module.hessian_vector_product = product
    try:
        twin = copy.deepcopy(model)
        values, vectors = module.hessian(twin, cross_entropy, data=(x, y), cuda=False).eigenvalues(top_n=K)
    finally:
        module.hessian_vector_product = plain
    rows = [torch.cat([part.flatten() for part in vector]).detach().numpy() for vector in vectors]
    return np.array(values), np.array(rows), counted[0]


def eigenthings(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> tuple[Any, Any, int]:
    """Its Lanczos with reorthogonalisation."""
    package = importlib.import_module("hessian_eigenthings")
    operator = package.HessianOperator(copy.deepcopy(model), [(x, y)], package.supervised_loss(cross_entropy))
    found = package.lanczos_pairs(operator, k=K, max_iter=steps, tol=0.0, reorthogonalize=True, which="LA", seed=0)
    values, vectors = found.eigenvalues, found.eigenvectors
    vectors = vectors.T if vectors.shape[0] != K else vectors
    return values.numpy(), vectors.numpy(), steps


def curvlinops(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, tol: float) -> tuple[Any, Any, int]:
    """Its operator under SciPy's ARPACK."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    package = importlib.import_module("curvlinops")
    twin = copy.deepcopy(model)
    params = list(twin.parameters())
    operator = package.HessianLinearOperator(twin, torch.nn.CrossEntropyLoss(), params, [(x, y)])
    inner, counted = operator.to_scipy(), [0]

    def multiply(v: Any) -> Any:
        counted[0] += 1
        return inner @ v.astype(np.float32)

    whole = LinearOperator(inner.shape, matvec=multiply, dtype=np.float64)
    values, vectors = eigsh(whole, k=K, which="LA", tol=tol)
    return values[::-1], vectors.T[::-1], counted[0]


def eigenpairs(objective: Objective, model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Products, seconds and true residual of the top ten by each package, and ours at the same residual."""
    theta, numbers = objective.theta, {}
    ways: dict[str, Callable[[], tuple[Any, Any, int]]] = {}
    with contextlib.suppress(ImportError):
        importlib.import_module("pyhessian.hessian")
        ways["PyHessian"] = lambda: pyhessian(model, x, y)
    with contextlib.suppress(ImportError):
        importlib.import_module("curvlinops")
        ways["curvlinops + eigsh"] = lambda: curvlinops(model, x, y, 1e-2)
    with contextlib.suppress(ImportError):
        importlib.import_module("hessian_eigenthings")
        ways["hessian-eigenthings"] = lambda: eigenthings(model, x, y, 25)
    ways["trajmap"] = lambda: _ours(objective, theta, 1e-2)
    for name, way in ways.items():
        start = time.perf_counter()
        values, vectors, products = way()
        seconds, off = time.perf_counter() - start, residual(objective, values, vectors)
        print(f"  {name:<22} {products:>4} products  {seconds:5.2f} s  residual {off:.1e}  λ₁ {values[0]:.5g}", end="")
        numbers |= {f"{name}: products": float(products), f"{name}: residual": off, f"{name}: top": float(values[0])}
        if name != "trajmap":
            equal = _ours(objective, theta, off)[2]
            print(f"   trajmap at that residual: {equal}, ratio {products / equal:.1f}", end="")
            numbers[f"{name} / trajmap at equal residual"] = products / equal
        print()
    return numbers


def _ours(objective: Objective, theta: Any, tol: float) -> tuple[Any, Any, int]:
    space = top_eigenspace(objective, theta, K, tol=tol, order=largest)
    return space.eigenvalues, space.eigenvectors, space.n_products


def along_a_run(out: Path, *, quick: bool) -> dict[str, float]:
    """Products along a run of twenty iterates, warm against cold."""
    folder = digits.train(out / "run", epochs=2 if quick else 10)
    run, objective = Trajectory.open(folder), digits.objective()
    places = np.linspace(0, run.n_iterates - 1, 4 if quick else 20).astype(int)
    warm = sum(space.n_products for space in eigenspace_path(objective, run, K, at=places).values())
    cold = sum(top_eigenspace(objective, run.theta(int(i)), K).n_products for i in places)
    print(f"  along {len(places)} iterates: {warm} products warm, {cold} cold, ratio {warm / cold:.2f}")
    return {"warm products": float(warm), "cold products": float(cold)}


def main(out: Path, *, seed: int = 0, quick: bool = False, peers: Path | None = None) -> dict[str, float]:
    """Run the comparison; in quick mode on a small network, without the packages."""
    torch.set_num_threads(1)
    if peers is not None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(peers), *PEERS]
        subprocess.run(command, check=True)
        sys.path.append(str(peers))
    model, x, y = problem(quick=quick)
    numbers: dict[str, float] = {}
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        objective = Objective(model, supervised(cross_entropy), [(x, y)], dtype=dtype)
        theta, v = objective.theta, np.random.default_rng(seed).standard_normal(objective.size)
        kept, anew = objective.hessian(theta), objective.hessian(theta, memory=-1)
        repeats = 2 if quick else 15
        gradient = median(lambda o=objective, t=theta: o.gradient(t), repeats)
        ratios = [median(lambda p=p, v=v: p(v), repeats) / gradient for p in (kept, anew)]
        print(f"  {name}: a product takes {ratios[0]:.2f} gradients, {ratios[1]:.2f} without kept graphs")
        numbers |= {f"{name} product / gradient": ratios[0], f"{name} product / gradient, no graphs": ratios[1]}
    numbers |= eigenpairs(Objective(model, supervised(cross_entropy), [(x, y)]), model, x, y)
    return numbers | along_a_run(Path(out), quick=quick)


if __name__ == "__main__":
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="folder to install the packages into")
    main(Path(tempfile.mkdtemp()), peers=parser.parse_args().peers)
