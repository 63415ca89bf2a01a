"""Models × verbs: what the objective says of each kind of model equals a dumb loop over its batches."""

import copy
import functools
import pickle
import random
import tempfile
import warnings
from collections.abc import Mapping

import cloudpickle
import numpy as np
import pytest
import torch

from tests.contracts.model_kinds import KINDS, as_double, valley
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.data.plane import Plane
from trajmap.data.results.landscape import Grid
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface
from trajmap.recording.recorder import Recorder

pytestmark = pytest.mark.filterwarnings("error")
GRID = Grid((np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)))
CELLS = ((0, 0), (1, 3), (2, 2), (4, 1))


class Torch:
    """One kind, and the same function by a loop that knows nothing of trajmap."""

    def __init__(self, name):
        self.kind = KINDS[name]
        self.rtol = 5e-6  # float32 adds up to some 1e-6 of a loss

    def make(self, *, plain=False):
        """Equal at each call."""
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's legacy weight norm says that it is old
            torch.manual_seed(0)
            return (self.kind.plain or self.kind.make)() if plain else self.kind.make()

    @functools.cached_property
    def objective(self):
        return self.fresh_objective(self.make())

    def fresh_objective(self, case):
        return Objective(case.model, case.loss, case.batches, **case.options)

    @functools.cached_property
    def theta(self):
        """A point beside the model's own."""
        own = np.concatenate([p.detach().double().numpy().ravel() for p in trained(self.make().model)])
        return own + 0.02 * np.random.default_rng(1).normal(size=len(own))

    def at(self, theta, *, double=False, state=None):
        """The model of the kind at a point, its loss and its batches."""
        case = self.make(plain=True)
        if state is not None:
            case.model.load_state_dict(state)
        if double:
            case.model.double()
        case.model.eval()
        start = 0
        with torch.no_grad():
            for p in trained(case.model):
                p.copy_(torch.tensor(theta[start : start + p.numel()]).view(p.shape))
                start += p.numel()
        assert start == len(theta)
        return case, [as_double(batch) for batch in case.batches] if double else case.batches

    def terms(self, case, batches):
        counts = np.array([float(case.count(batch)) for batch in batches])
        share = np.ones(len(counts)) if case.options.get("reduction") == "sum" else counts / counts.sum()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*self.log.*")  # Lightning's, without a trainer
            for weight, batch in zip(share, batches, strict=True):
                yield float(weight) * case.loss(case.model, batch)

    def value(self, theta, state=None):
        return sum(term.item() for term in self.terms(*self.at(theta, state=state)))

    def gradient(self, theta, *, double=True):
        case, batches = self.at(theta, double=double)
        for term in self.terms(case, batches):
            if term.requires_grad:
                term.backward()
        grads = [torch.zeros_like(p) if p.grad is None else p.grad.to_dense() for p in trained(case.model)]
        return torch.cat([g.double().ravel() for g in grads]).numpy()

    def product(self, theta, v):
        step = (1e-3 if self.kind.single else 1e-4) / np.linalg.norm(v)
        return (self.gradient(theta + step * v) - self.gradient(theta - step * v)) / (2 * step)

    def run(self, folder):
        """Five steps, and the weights and buffers after each as torch saves them."""
        case = self.make()
        case.model.train()
        optimizer = torch.optim.SGD(case.model.parameters(), lr=0.05)
        states = [copy.deepcopy(case.model.state_dict())]
        with Recorder(case.model, folder).attach(optimizer):
            for step in range(5):
                optimizer.zero_grad()
                next(iter(self.terms(case, [case.batches[step % len(case.batches)]]))).backward()
                optimizer.step()
                states.append(copy.deepcopy(case.model.state_dict()))
        return Trajectory.open(folder), states


class Function:
    """A loss that is no torch model."""

    rtol = 1e-12
    theta = np.linspace(-1, 1, 6)

    @functools.cached_property
    def objective(self):
        return Objective.from_function(valley, size=6)

    def value(self, theta, state=None):
        return valley(theta)

    def gradient(self, theta, *, double=True):
        a, b = theta[:-1], theta[1:]
        found = np.full(6, 0.3 * np.cos(theta.sum()))
        found[:-1] += -2 * a * (b - a**2) - 0.2 * (1 - a)
        found[1:] += b - a**2
        return found

    def product(self, theta, v):
        step = 1e-6
        return (self.gradient(theta + step * v) - self.gradient(theta - step * v)) / (2 * step)

    def run(self, folder):
        thetas = [self.theta]
        for _ in range(5):
            thetas.append(thetas[-1] - 0.05 * self.gradient(thetas[-1]))
        Trajectory.of(np.array(thetas)).save(folder)
        return Trajectory.open(folder), [None] * 6


def trained(model):
    return [p for p in model.parameters() if p.requires_grad]


def close(found, expected, rtol):
    """Near as vectors: rounding is relative to the largest entries."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * np.abs(expected).max())


def direction(size):
    return np.random.default_rng(2).normal(size=size) / np.sqrt(size)


def value(subject):
    assert subject.objective.size == len(subject.theta)
    expected = subject.value(subject.theta)
    assert subject.objective.value(subject.theta) == pytest.approx(expected, rel=subject.rtol)
    other = subject.value(subject.theta + direction(subject.objective.size))
    assert abs(other - expected) > 10 * subject.rtol * abs(expected), "it can tell points apart"


def gradient(subject):
    expected = subject.gradient(subject.theta, double=not is_half(subject))
    assert np.linalg.norm(expected) > 1e-4
    close(subject.objective.gradient(subject.theta), expected, 20 * subject.rtol)


def product(subject):
    v = direction(subject.objective.size)
    close(subject.objective.hvp(subject.theta, v), subject.product(subject.theta, v), tolerance_of_products(subject))


def tolerance_of_products(subject):
    """Products cost 1e-5 in float32, differences 1e-8 in float64 and 1e-4 where a model rounds to float32 inside.

    A body in bfloat16 rounds to eight bits, and the loop in float64 does not.
    """
    return 5e-2 if is_half(subject) else 1e-3


def is_half(subject):
    return isinstance(subject, Torch) and subject.kind.half


def random_plane(subject):
    return Plane(subject.theta, 0.3 * np.random.default_rng(3).normal(size=(2, len(subject.theta))))


def plain_surface(subject):
    plane = random_plane(subject)
    land = surface(subject.objective, plane, GRID)
    for cell in CELLS:
        point = plane.inverse_transform(GRID.points.reshape(5, 5, 2)[cell][None])[0]
        assert land.values[cell] == pytest.approx(subject.value(point), rel=4 * subject.rtol)


def surface_of_a_run(subject):
    with tempfile.TemporaryDirectory() as folder:
        run, states = subject.run(f"{folder}/run")
        thetas = np.asarray(run.iterates[:])
        expected = [subject.value(theta, state) for theta, state in zip(thetas, states, strict=True)]
        objective = subject.objective.for_run(run)
        np.testing.assert_allclose(objective.values(run.iterates), expected, rtol=4 * subject.rtol)
        land = surface(objective, random_plane(subject), GRID, trajectory=run)
        np.testing.assert_allclose(land.path_values, expected, rtol=4 * subject.rtol)
        assert np.ptp(expected) > 10 * subject.rtol * max(expected), "the run went somewhere"
        lifts = objective.values(random_plane(subject).inverse_transform(land.path))
        np.testing.assert_allclose(land.lifted_values, lifts, rtol=4 * subject.rtol)


def eigenspace(subject):
    space = top_eigenspace(subject.objective, subject.theta, k=1, tol=1e-2)
    u = space.eigenvectors[0].astype(float)
    assert space.converged.all()
    assert np.linalg.norm(u) == pytest.approx(1, abs=1e-5)
    residual = np.linalg.norm(subject.product(subject.theta, u) - space.eigenvalues[0] * u) / abs(space.eigenvalues[0])
    assert residual == pytest.approx(space.residuals[0] / abs(space.eigenvalues[0]), abs=tolerance_of_products(subject))


def travel(subject):
    again = pickle.loads(cloudpickle.dumps(subject.objective))
    assert again.value(subject.theta) == subject.objective.value(subject.theta)
    np.testing.assert_array_equal(again.gradient(subject.theta), subject.objective.gradient(subject.theta))


def untouched(subject):
    if isinstance(subject, Function):
        return
    case = subject.make()
    next(iter(subject.terms(case, case.batches))).backward()
    case.model.train()
    calls = []
    next(iter(case.model.children())).register_forward_hook(lambda *_: calls.append(1))
    before = fingerprint(case)
    objective = subject.fresh_objective(case)
    objective.value(subject.theta), objective.gradient(subject.theta)
    objective.hvp(subject.theta, direction(objective.size))
    surface(objective, random_plane(subject), Grid((np.array([0.0, 1]), np.array([0.0, 1]))))
    assert same(before, fingerprint(case))
    assert not calls


def fingerprint(case):
    model = case.model
    return (
        {name: tensor.clone() for name, tensor in model.state_dict().items()},
        [None if p.grad is None else p.grad.to_dense().clone() for p in model.parameters()],
        [(name, p.requires_grad, id(p)) for name, p in model.named_parameters()],
        [(name, part.training, type(part)) for name, part in model.named_modules()],
        [sorted(map(id, hooks.values())) for part in model.modules() for hooks in (
            part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks)],
        [sorted(vars(part)) for part in model.modules()],
        copy.deepcopy(case.batches),
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        random.getstate(),
    )  # fmt: skip


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.requires_grad == b.requires_grad
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return same(vars(a), vars(b)) if hasattr(a, "wave") else a == b


VERBS = [value, gradient, product, plain_surface, surface_of_a_run, eigenspace, travel, untouched]
NAMES = [
    pytest.param(name, marks=pytest.mark.xdist_group(kind.group) if kind.group else ()) for name, kind in KINDS.items()
]
subject_of = functools.cache(lambda name: Torch(name) if name in KINDS else Function())


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
@pytest.mark.parametrize("name", [*NAMES, "a function"])
def test_verbs_on_models(name, verb):
    verb(subject_of(name))


def test_the_table_is_wide():
    assert len(KINDS) >= 25
