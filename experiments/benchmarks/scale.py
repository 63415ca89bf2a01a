"""Real sizes, whole user calls: ``python experiments/benchmarks/scale.py --device cpu|cuda``, one thread on a CPU.

Every ratio is against what one writes by hand with the same evaluations in the same run; memory is the peak of a child
process beyond what it held before the call, in copies of θ.
"""

import argparse
import copy
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.data.layout import Layout
from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface
from trajmap.recording.recorder import Recorder
from trajmap.reduction.rowspace import RowSpace

nn, F = torch.nn, torch.nn.functional
CE = supervised(F.cross_entropy)


class Block(nn.Module):
    """Two convolutions and a skip."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        skip = [nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)]
        self.skip = nn.Sequential(*skip) if stride > 1 or before != after else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the skip."""
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.skip(x))


def resnet18(width: int = 64) -> nn.Module:
    """Make the residual network for images of 32 × 32; 11.2 M parameters at width 64."""
    widths = [width, 2 * width, 4 * width, 8 * width]
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    for i, (before, after) in enumerate(zip([width, *widths], widths, strict=False)):
        layers += [Block(before, after, 2 if i else 1), Block(after, after, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))


def mlp(width: int = 2600) -> nn.Module:
    """Make the perceptron; 9.8 M parameters at width 2600."""
    return nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Load all of scikit-learn's digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)


def small(name: str) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """Make one of the two networks for the digits."""
    x, y = digits()
    if name == "digits MLP":
        return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)), (x, y)
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(128, 10)), (x.view(-1, 1, 8, 8), y)


def problem(name: str, device: str, *, quick: bool) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """Make a model in evaluation mode and its data."""
    torch.manual_seed(0)
    if name == "ResNet-18":
        model, n = resnet18(4 if quick else 64), 8 if quick else 2048 if device == "cuda" else 64
        data = torch.randn(n, 3, 32, 32), torch.randint(10, (n,))
    elif name == "MLP of 1e7":
        model, n = mlp(40 if quick else 2600), 128
        data = torch.randn(n, 784), torch.randint(10, (n,))
    else:
        model, data = small(name)
    model.train()
    model(data[0][:64])  # BatchNorm gathers something
    return model.to(device).eval(), tuple(part.to(device) for part in data)


def walk(model: nn.Module, folder: Path, T: int) -> Trajectory:
    """Record a run of T iterates: a drift and noise, as large as a training's."""
    model = copy.deepcopy(model)
    parameters = list(model.parameters())
    generator = torch.Generator().manual_seed(1)
    with Recorder(model, folder) as recorder, torch.no_grad():
        for _ in range(T):
            for p in parameters:
                p.add_(1e-3 * torch.randn(p.shape, generator=generator).to(p.device))
            recorder.record()
    return Trajectory.open(folder)


def seconds(function: Callable[[], Any], device: str) -> float:
    """Time one call: of a processor its own seconds, which other processes on the machine disturb least."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    if device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], device: str, repeats: int) -> tuple[float, float, float]:
    """Median seconds of both, in turns, and the median of the ratios; one turn is for what takes minutes."""
    if repeats > 1:
        theirs()
    pairs = [(seconds(ours, device), seconds(theirs, device)) for _ in range(repeats)]
    a, b = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    return a, b, statistics.median(x / y for x, y in pairs)


class ByHand:
    """What one writes without a package: parameters set tensor by tensor, a forward, a loss, a number."""

    def __init__(self, model: nn.Module, data: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.model, self.data = copy.deepcopy(model), data
        self.parameters = list(self.model.parameters())

    def split(self, theta: Any) -> list[torch.Tensor]:
        """Cut a vector into the parameters' shapes, on their device."""
        like, sizes = self.parameters[0], [p.numel() for p in self.parameters]
        pieces = torch.tensor(np.asarray(theta, dtype=np.float32)).to(like.device).split(sizes)
        return [piece.view(p.shape) for piece, p in zip(pieces, self.parameters, strict=True)]

    @torch.no_grad()
    def loss(self, pieces: Any) -> float:
        """Loss with these parameters."""
        for p, piece in zip(self.parameters, pieces, strict=True):
            p.copy_(piece)
        x, y = self.data
        return F.cross_entropy(self.model(x), y).item()

    @torch.no_grad()
    def plane(self, plane: Plane, points: Any, run: Trajectory | None = None, Z: Any = ()) -> list[float]:
        """Losses over a plane, of a run's iterates, and of their places on the plane."""
        origin, first, second = (self.split(row) for row in (plane.origin, *plane.directions))

        def at(z: Any) -> Iterator[torch.Tensor]:
            return (o + z[0] * a + z[1] * b for o, a, b in zip(origin, first, second, strict=True))

        out = [self.loss(at(z)) for z in itertools.chain(points, Z)]
        return out + [self.loss(self.split(run.theta(i))) for i in range(0 if run is None else run.n_iterates)]


class Made:
    """Objectives that remember nothing of an earlier surface, made and checked before the clock runs."""

    def __init__(self, make: Callable[[], Objective], repeats: int) -> None:
        self._make, self._repeats = make, repeats

    def drawn(self, verb: Callable[..., Any], *args: Any, **options: Any) -> Callable[[], Any]:
        """Give a call of a verb, each time with the next objective."""
        objectives = iter([self._make() for _ in range(self._repeats)])
        return lambda: verb(next(objectives), *args, **options)


def surfaces(name: str, device: str, n: int, T: int, *, quick: bool) -> Iterator[tuple[str, float, float, float]]:
    """Surfaces on a plane and over a PCA chart, with and without the run."""
    model, data = problem(name, device, quick=quick)
    slow = name == "ResNet-18" and device == "cpu"
    hand, repeats = ByHand(model, data), 1 if quick or slow else 3
    grid = Grid((np.linspace(-1, 1, n),) * 2)
    objective = Objective(model, CE, [data])
    plane = Plane(objective.theta, 0.01 * np.random.default_rng(0).normal(size=(2, objective.size)).astype(np.float32))

    made = Made(lambda: Objective(model, CE, [data]), repeats)

    def by_hand() -> Any:
        return hand.plane(plane, grid.points)

    yield f"{name}, {n}×{n}, plane", *ratio(made.drawn(surface, plane, grid), by_hand, device, repeats)
    if not slow:  # half precision is slower still on a processor without it
        yield (
            f"{name}, {n}×{n}, plane, bfloat16",
            *ratio(made.drawn(surface, plane, grid, precision="bfloat16"), by_hand, device, repeats),
        )
    if not T:
        return
    with tempfile.TemporaryDirectory() as folder:
        run = walk(model, Path(folder) / "run", T)
        Z = plane.transform(run.iterates)
        wide = Grid.around(Z, n_points=n)
        yield f"{name}, {n}×{n}, plane, run of {T}", *ratio(
            made.drawn(surface, plane, wide, trajectory=run),
            lambda: hand.plane(plane, wide.points, run, Z), device, repeats,
        )  # fmt: skip
        chart = make_pipeline(RowSpace(), PCA(2)).fit(run.iterates)
        Z = chart.transform(run.iterates)
        ends = chart.inverse_transform(np.array([[0.0, 0], [1, 0], [0, 1]]))
        flat = Plane(ends[0], ends[1:] - ends[0])
        wide = Grid.around(Z, n_points=n)
        yield f"{name}, {n}×{n}, PCA chart, run of {T}", *ratio(
            made.drawn(surface, chart, wide, trajectory=run),
            lambda: hand.plane(flat, wide.points, run, Z), device, repeats,
        )  # fmt: skip


def derivatives(name: str, device: str, *, quick: bool) -> Iterator[tuple[str, float, float, float]]:
    """Gradient and Hessian product against torch's own, and the eigenspace against its products."""
    model, (x, y) = problem(name, device, quick=quick)
    objective, repeats = Objective(model, CE, [(x, y)]), 2 if quick else 5
    theta, parameters = objective.tensor(objective.theta), list(model.parameters())

    def gradient(**options: bool) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(F.cross_entropy(model(x), y), parameters, **options)

    yield f"{name}, gradient", *ratio(lambda: objective.gradient(theta), lambda: flat(gradient()), device, repeats)
    v = torch.randn(objective.size, device=theta.device)
    parts = [part.view(p.shape) for part, p in zip(v.split([p.numel() for p in parameters]), parameters, strict=True)]
    yield f"{name}, Hessian product", *_products(objective, gradient(create_graph=True), parameters, parts, repeats)
    multiply = objective.hessian(theta).multiply
    one = statistics.median(seconds(lambda m=multiply: m(v), device) for _ in range(repeats))
    del multiply
    found: list[Any] = []
    whole = seconds(lambda: found.append(top_eigenspace(objective, theta, 3 if quick else 10)), device)
    count = found[0].n_products
    yield f"{name}, top 10 in {count} products", whole, count * one, whole / (count * one)


def flat(parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Make one vector of gradients, which is what anything is done with."""
    return torch.cat([part.reshape(-1) for part in parts])


def _products(
    objective: Objective, kept: tuple[torch.Tensor, ...], parameters: list[Any], parts: list[Any], repeats: int
) -> tuple[float, float, float]:
    operator, v = objective.hessian(objective.theta), flat(tuple(parts))
    return ratio(
        lambda: operator.multiply(v),
        lambda: flat(torch.autograd.grad(kept, parameters, parts, retain_graph=True)), v.device.type, repeats,
    )  # fmt: skip


def row_space(folder: Path, *, quick: bool) -> tuple[str, float, float, float]:
    """Fit of the row space against reading the files and the bare product."""
    T, P = (12, 10_000) if quick else (80, 3_000_000)
    rng = np.random.default_rng(0)
    thetas = np.cumsum(rng.normal(size=(T, P)).astype(np.float32) * np.float32(1e-3), axis=0)
    Trajectory.of(thetas, layout=Layout(("w",), ((P,),))).save(folder / "rows")
    run = Trajectory.open(folder / "rows")

    def floor() -> Any:
        block = run.iterates[:]
        return block @ block.T

    return f"row space of {T} × {P:.0e} / reading and BLAS", *ratio(
        lambda: RowSpace().fit(run.iterates), floor, "cpu", 1 if quick else 3
    )  # fmt: skip


def peak(task: str, *, quick: bool) -> float:
    """Peak memory of a task in a child process, in copies of θ beyond what was held before it."""
    command = [sys.executable, __file__, "--child", task, *(["--quick"] if quick else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def child(task: str, *, quick: bool) -> float:
    """Do a task and measure it from inside."""
    torch.set_num_threads(1)
    model, data = problem("MLP of 1e7", "cpu", quick=quick)
    objective = Objective(model, CE, [data])
    plane = Plane(objective.theta, 0.01 * np.random.default_rng(0).normal(size=(2, objective.size)).astype(np.float32))
    with tempfile.TemporaryDirectory() as folder:
        run = walk(model, Path(folder) / "run", 10)
        objective.value(objective.theta)
        before = _peak(anew=True)
        if task == "surface":
            surface(objective, plane, Grid((np.linspace(-1, 1, 5),) * 2), trajectory=run)
        else:
            top_eigenspace(objective, objective.theta, 10)
        return (_peak() - before) / (4 * objective.size)


def _peak(*, anew: bool = False) -> float:
    """Bytes held at most since the last call with `anew`, as Linux tells; elsewhere since the start."""
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not clear.exists():
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    if anew:
        clear.write_text("5", encoding="ascii")
    lines = status.read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main(out: Path, *, seed: int = 0, quick: bool = False, device: str = "cpu") -> dict[str, float]:
    """Measure everything and write the table."""
    torch.set_num_threads(1)
    del seed  # the sizes are what matters
    T = 5 if quick else 21
    tables = [surfaces("ResNet-18", device, 3 if quick else 9, T, quick=quick)]
    tables += [surfaces(name, device, 5 if quick else 21, 0, quick=quick) for name in ("digits MLP", "digits CNN")]
    tables += [surfaces("MLP of 1e7", device, 3 if quick else 7, T, quick=quick)]
    tables += [derivatives(name, device, quick=quick) for name in ("ResNet-18", "MLP of 1e7")]
    tables += [iter([row_space(out, quick=quick)])]
    found: dict[str, float] = {}
    lines = ["| what | s | by hand, s | ratio |", "|---|---|---|---|"]
    for what, ours, theirs, quotient in itertools.chain(*tables):
        found[what] = quotient
        lines.append(f"| {what} | {ours:.3g} | {theirs:.3g} | {quotient:.2f} |")
        print(lines[-1], flush=True)
    for task in ("surface", "eigenspace"):
        found[f"peak memory of a {task}, copies of θ"] = peak(task, quick=quick)
        lines.append(
            f"| peak memory of a {task}, copies of θ | {found[f'peak memory of a {task}, copies of θ']:.1f} | | |"
        )
        print(lines[-1], flush=True)
    (out / f"scale-{device}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", choices=("surface", "eigenspace"))
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child, quick=args.quick)))
    else:
        main(args.out or Path(tempfile.mkdtemp()), quick=args.quick, device=args.device)
