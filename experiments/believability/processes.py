"""Processes of known making, half of them trainings and half not, with what is true of each by its making.

Every process lives in the weights of one small network on scikit-learn's digits, starts at weights of that network,
and comes with a sister: the same making from the same start with other noise. Each also has the objective, so that
"the loss knows it" can be asked of walks too.

Truth is True, False, or None where the making does not decide it: a claim is judged only where it does.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from trajmap.examples.digits import digits_split
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective

Array = Any
CLAIMS = (
    "moved with direction",
    "order matters",
    "reproducible",
    "reproducible beyond a straight line",
    "the loss knows it",
    "the chart carries the loss",
)
STEPS, LENGTH = 80, 0.15  # steps of a process that is no training, and the norm of each


@dataclasses.dataclass(frozen=True)
class Process:
    """A run and its sister, both (T, P), how they were made, and what is true of them.

    `truth` holds a claim's name for each of `CLAIMS`.
    """

    name: str
    training: bool
    run: Array
    sister: Array
    truth: dict[str, bool | None]
    objective: Objective


@dataclasses.dataclass(frozen=True)
class _Making:
    """How a process is made from a seed, and what is true of it: y, n or ? for each of `CLAIMS`."""

    make: Callable[[np.random.Generator, int], tuple[Array, Array]]
    truth: str
    training: bool
    kind: str = "plain"
    labels: str = "true"


def process(name: str, seed: int = 0) -> Process:
    """Make a process by its name."""
    making = PROCESSES[name]
    run, sister = making.make(np.random.default_rng([seed, 77]), seed)
    truth = {claim: {"y": True, "n": False, "?": None}[mark] for claim, mark in zip(CLAIMS, making.truth, strict=True)}
    return Process(name, making.training, run, sister, truth, _objective(making, seed))


# ---------------------------------------------------------------- networks


def _network(kind: str, seed: int) -> nn.Module:
    middle: list[nn.Module] = [nn.BatchNorm1d(16)] if kind == "normalised" else []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "linear":
            return nn.Sequential(nn.Linear(64, 10))
        model = nn.Sequential(nn.Linear(64, 16), *middle, nn.Tanh(), nn.Linear(16, 10))
    if kind == "tiny start":
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.01)
    return model


def _data(labels: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    (x, y), _ = digits_split()
    chance = torch.Generator().manual_seed(seed)
    if labels == "random":
        y = torch.randint(10, (len(y),), generator=chance)
    return x, y


def _objective(making: _Making, seed: int) -> Objective:
    loss = supervised(nn.functional.cross_entropy)
    # a run here is its parameters alone: statistics of a normalisation are estimated from the data at each point
    data, normalised = [_data(making.labels, seed)], making.kind == "normalised"
    return Objective(_network(making.kind, seed), loss, data, re_estimate=normalised)


def _weights(model: nn.Module) -> Array:
    return nn.utils.parameters_to_vector(model.parameters()).detach().double().numpy().copy()


def _start(seed: int) -> Array:
    return _weights(_network("plain", seed))


# ---------------------------------------------------------------- trainings

Optimizer = Callable[[Any], torch.optim.Optimizer]


@dataclasses.dataclass(frozen=True)
class _Training:
    """A training on the digits: `every` steps between iterates, and what is done to the data."""

    optimizer: Optimizer
    steps: int = 160
    every: int = 2
    batch: int = 32
    kind: str = "plain"
    labels: str = "true"
    noise: float = 0.0
    whole: bool = False  # each run has a sample of its own, as large as a batch, and sees all of it at each step

    def __call__(self, _: np.random.Generator, seed: int) -> tuple[Array, Array]:
        return self.one(seed, 2 * seed + 1000), self.one(seed, 2 * seed + 1001)

    def one(self, seed: int, order: int) -> Array:
        model = _network(self.kind, seed).train()
        x, y = _data(self.labels, seed)
        chance = torch.Generator().manual_seed(order)
        optimizer, path = self.optimizer(model.parameters()), [_weights(model)]
        for step in range(1, self.steps + 1):
            if step == 1 or not self.whole:
                rows = torch.randint(len(x), (self.batch,), generator=chance)
            target = y[rows]
            if self.noise:
                wrong = torch.rand(self.batch, generator=chance) < self.noise
                target = torch.where(wrong, torch.randint(10, (self.batch,), generator=chance), target)
            optimizer.step(functools.partial(_closure, model, optimizer, x[rows], target))
            if step % self.every == 0:
                path.append(_weights(model))
        return np.array(path)


def _closure(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    return loss


def _sgd(lr: float, **more: Any) -> Optimizer:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, **more)


SGD = _Training(_sgd(0.2))
TRAININGS = {
    "SGD": SGD,
    "momentum": _Training(_sgd(0.03, momentum=0.9)),
    "Adam": _Training(lambda p: torch.optim.Adam(p, lr=5e-3)),
    "RMSprop": _Training(lambda p: torch.optim.RMSprop(p, lr=2e-3)),
    "AdamW with decay": _Training(lambda p: torch.optim.AdamW(p, lr=5e-3, weight_decay=0.1)),
    "L-BFGS": _Training(
        lambda p: torch.optim.LBFGS(p, max_iter=1, line_search_fn="strong_wolfe"), 60, 1, 600, whole=True
    ),
    "BatchNorm": _Training(_sgd(0.2), kind="normalised"),
    "linear model": _Training(_sgd(0.2), kind="linear"),
    "label noise": _Training(_sgd(0.2), noise=0.4),
    "random labels": _Training(_sgd(0.5), labels="random", steps=320, every=4, batch=512),
    "unstable rate": _Training(_sgd(8.0)),
    "plateau": _Training(_sgd(0.2), kind="tiny start"),
    "early stopping": _Training(_sgd(0.2), steps=24, every=1),
}

# the two samples of L-BFGS are two losses; a convex loss turns little; a plateau is left at the very end, by one way;
# 24 steps are few; beyond the edge of stability a run bounces, which is an order but need lead nowhere; where labels
# are random the loss hardly falls, so a chart has little to carry
UNDECIDED = {
    "L-BFGS": "yyy?y?",
    "linear model": "yyy?y?",
    "random labels": "yyyyy?",
    "plateau": "yyy???",
    "early stopping": "y?y?y?",
    "unstable rate": "?y????",
}

# ---------------------------------------------------------------- processes that are no training


def _unit(rng: np.random.Generator, size: int) -> Array:
    direction = rng.normal(size=size)
    return direction / np.linalg.norm(direction)


def _noise(rng: np.random.Generator, size: int, n: int = STEPS) -> Array:
    """Isotropic steps of the usual length."""
    return rng.normal(size=(n, size)) * LENGTH / np.sqrt(size)


def _summed(start: Array, steps: Array) -> Array:
    return start + np.vstack([np.zeros(len(start)), np.cumsum(steps, axis=0)])


def _pair(make: Callable[[np.random.Generator], Array], rng: np.random.Generator) -> tuple[Array, Array]:
    return make(rng), make(rng)


def _walk(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    return _pair(lambda r: _summed(start, _noise(r, len(start))), rng)


def _walk_in_three(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    basis = np.linalg.qr(rng.normal(size=(len(start), 3)))[0]
    return _pair(lambda r: _summed(start, LENGTH / 3**0.5 * r.normal(size=(STEPS, 3)) @ basis.T), rng)


def _pulled(rng: np.random.Generator, start: Array, centre: Array, pull: float = 0.1) -> Array:
    path = [start]
    for kick in _noise(rng, len(start)):
        path.append(path[-1] + pull * (centre - path[-1]) + kick)
    return np.array(path)


def _around(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    return _pair(lambda r: _pulled(r, start, start), rng)


def _towards(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    centre = start + 15 * LENGTH * _unit(rng, len(start))
    return _pair(lambda r: _pulled(r, start, centre), rng)


def _drift(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    steps = np.tile(LENGTH * _unit(rng, len(start)), (STEPS, 1))
    return _summed(start, steps), _summed(start, 1.07 * steps)


def _drift_and_noise(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    drift = 0.4 * LENGTH * _unit(rng, len(start))
    return _pair(lambda r: _summed(start, drift + _noise(r, len(start))), rng)


def _momentum_noise(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)

    def make(r: np.random.Generator) -> Array:
        velocity, steps = np.zeros(len(start)), []
        for kick in 0.3 * _noise(r, len(start)):
            velocity = 0.9 * velocity + kick
            steps.append(velocity)
        return _summed(start, np.array(steps))

    return _pair(make, rng)


def _steps_shuffled(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    run, sister = SGD(rng, seed)
    return tuple(_summed(path[0], rng.permutation(np.diff(path, axis=0))) for path in (run, sister))  # type: ignore[return-value]


def _iterates_shuffled(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    run, sister = SGD(rng, seed)
    return tuple(np.vstack([path[:1], rng.permutation(path[1:])]) for path in (run, sister))  # type: ignore[return-value]


def _orbit(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    plane = np.linalg.qr(rng.normal(size=(len(start), 2)))[0]
    angle = np.linspace(0, 4 * 2 * np.pi, STEPS + 1)
    circle = 5 * LENGTH * np.stack([np.cos(angle) - 1, np.sin(angle)], axis=1) @ plane.T
    return _pair(lambda r: circle + _summed(start, 0.1 * _noise(r, len(start))), rng)


def _flipped(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    run, sister = SGD(rng, seed)

    def flip(path: Array) -> Array:
        return _summed(path[0], np.diff(path, axis=0) * rng.choice([-1.0, 1.0], size=(len(path) - 1, 1)))

    return flip(run), flip(sister)


def _jitter(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    return _pair(lambda r: start + np.vstack([0 * start, _noise(r, len(start))]), rng)


def _part_late(rng: np.random.Generator, seed: int) -> tuple[Array, Array]:
    start = _start(seed)
    shared = _noise(rng, len(start), n=STEPS // 2)
    rest = STEPS - len(shared)
    return _pair(lambda r: _summed(start, np.vstack([shared, _noise(r, len(start), n=rest)])), rng)


# the order of the marks is that of CLAIMS: direction, order, reproducible, beyond a line; the loss, the chart.
# A chart of two components carries the loss of a path that is smooth where the loss is steep; "?": nothing settles it
PROCESSES = {
    "isotropic walk": _Making(_walk, "nnnnnn", training=False),
    "walk in 3 dimensions": _Making(_walk_in_three, "nnnnn?", training=False),
    # confined: neither its steps nor its iterates could come in another order
    "pull around a point": _Making(_around, "nynnnn", training=False),
    # the mean way of both runs is the line to the point
    "pull towards a point": _Making(_towards, "yyynn?", training=False),
    "constant drift": _Making(_drift, "ynynny", training=False),
    "drift plus noise": _Making(_drift_and_noise, "ynynn?", training=False),
    # ten steps remember each other, so they do carry farther than steps without memory, and their order matters
    "noise with momentum": _Making(_momentum_noise, "yynnnn", training=False),
    # the displacement is the training's, and so is the loss at the end
    "training, steps shuffled": _Making(_steps_shuffled, "ynyn??", training=False),
    # all iterates lie on one side of the start, which both share
    "training, iterates shuffled": _Making(_iterates_shuffled, "nn?n??", training=False),
    "periodic orbit": _Making(_orbit, "nyyyn?", training=False),
    "training, signs flipped": _Making(_flipped, "nnnn??", training=False),
    "rate 0 plus jitter": _Making(_jitter, "nnnnnn", training=False),
    # what both share are the same iterates, which are no repetition
    "walks that part late": _Making(_part_late, "nnnnnn", training=False),
    **{
        name: _Making(
            training, UNDECIDED.get(name, "yyyyyy"), training=True, kind=training.kind, labels=training.labels
        )
        for name, training in TRAININGS.items()
    },
}
