"""Whether training happens in a subspace: train with updates projected onto it, and onto its complement."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from trajmap._validation import Array, check_array, check_count, check_positive, worded
from trajmap.curvature.angles import orthonormal_rows
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.data.progress import Progress, counted
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.training_curves import TrainingCurves
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.pieces import pieces_of

__all__ = ["SgdPlan", "causal_test", "subspace_training"]

Projector = Callable[[Array, int, Array], Array]


@dataclasses.dataclass(frozen=True)
class SgdPlan:
    """The SGD training that is common to all compared variants.

    Parameters
    ----------
    lr, momentum : float
        Learning rate and momentum of SGD.
    batch_size : int
        Batch size.
    n_steps : int
        Steps.
    every : int
        Steps between losses.
    random_state : int
        Seed of the batch order.
    """

    lr: float
    batch_size: int
    n_steps: int = 500
    momentum: float = 0.0
    every: int = 25
    random_state: int = 0

    def __post_init__(self) -> None:
        check_positive("lr", self.lr)
        for name in ("batch_size", "n_steps", "every"):
            check_count(name, getattr(self, name))


def causal_test(
    objective: Objective,
    theta: Array,
    plan: SgdPlan,
    *,
    k: int = 10,
    refresh: int = 50,
    progress: Progress | None = None,
) -> TrainingCurves:
    """Continue training three times over the same batches: freely, inside the top eigenspace, and outside it.

    Most of the gradient is in the top eigenspace. Nevertheless training continues without that part, and stops with
    only that part: a large share of the gradient does not mean a large decrease of the loss.

    Parameters
    ----------
    objective : Objective
        The training loss.
    theta : array-like, shape (P,)
        The starting point.
    plan : SgdPlan
        How to train.
    k : int
        Dimension of the eigenspace.
    refresh : int
        Steps after which the eigenspace is recomputed, started from the last one.
    progress : callable, optional
        Called with the number of trainings done and the total.

    Returns
    -------
    TrainingCurves
        ``SGD``, ``dominant`` and ``bulk``.

    References
    ----------
    M. Song, K. Ahn, C. Yun, Does SGD really happen in tiny subspaces?, 2024.
    """
    theta = check_array("theta", theta, (objective.size,))
    check_count("k", k, high=objective.size - 1)
    runner = _Runner(objective, theta, plan)
    names = ["SGD", "dominant", "bulk"]
    losses = []
    for name in counted(names, progress):
        following = _Following(objective, k, refresh, outside=name == "bulk")
        projector = None if name == "SGD" else following
        losses.append(runner.run(projector))
    return TrainingCurves(runner.steps, np.array(losses), names)


def subspace_training(
    objective: Objective,
    theta: Array,
    bases: Mapping[str, Array],
    plan: SgdPlan,
) -> TrainingCurves:
    """Train from a point inside several fixed subspaces, and without any restriction.

    Parameters
    ----------
    objective : Objective
        The training loss.
    theta : array-like, shape (P,)
        The starting point, through which the subspaces pass.
    bases : mapping of str to array-like of shape (k, P)
        Rows that span each subspace, for example principal directions of the run's first part, of a sister or of
        another initialisation, Hessian directions, and random ones as the baseline.
    plan : SgdPlan
        How to train.

    Returns
    -------
    TrainingCurves
        One curve per basis, and ``everywhere``.

    Raises
    ------
    InputError
        If there is no basis, or one has dependent rows.

    References
    ----------
    C. Li, H. Farkhoor, R. Liu, J. Yosinski, Measuring the intrinsic dimension of objective landscapes, 2018.
    """
    theta = check_array("theta", theta, (objective.size,))
    if not bases:
        raise InputError(worded("bases", "at least one subspace", "none"))
    runner = _Runner(objective, theta, plan)
    names, losses = ["everywhere", *bases], [runner.run(None)]
    for name, rows in bases.items():
        losses.append(runner.run(_Fixed(orthonormal_rows(name, rows))))
    return TrainingCurves(runner.steps, np.array(losses), names)


class _Fixed:
    """Projection on a fixed subspace."""

    def __init__(self, basis: Array) -> None:
        self._basis = basis

    def __call__(self, point: Array, step: int, v: Array) -> Array:
        return (v @ self._basis.T) @ self._basis


class _Following:
    """Projection onto the top eigenspace at the current point, or its complement, with regular recomputation."""

    def __init__(self, objective: Objective, k: int, refresh: int, *, outside: bool) -> None:
        self._objective, self._k, self._refresh = objective, k, check_count("refresh", refresh)
        self._outside = outside
        self._space: Eigenspace | None = None

    def __call__(self, point: Array, step: int, v: Array) -> Array:
        if self._space is None or step % self._refresh == 0:
            self._space = top_eigenspace(self._objective, point, self._k, start=self._space)
        V = self._space.eigenvectors
        inside: Array = (v @ V.T) @ V
        return v - inside if self._outside else inside


class _Runner:
    """SGD over a fixed order of batches, with a projected update."""

    def __init__(self, objective: Objective, theta: Array, plan: SgdPlan) -> None:
        self._objective, self._theta, self._plan = objective, theta.astype(np.float64), plan
        self._pieces = pieces_of(objective, plan.batch_size)
        self._order = np.random.default_rng(plan.random_state).integers(len(self._pieces), size=plan.n_steps)
        self.steps = np.unique(np.r_[np.arange(0, plan.n_steps + 1, plan.every), plan.n_steps]).astype(float)

    def run(self, projector: Projector | None) -> Array:
        theta, velocity = self._theta.copy(), np.zeros_like(self._theta)
        losses = []
        for step in range(self._plan.n_steps + 1):
            if step in self.steps:
                losses.append(self._objective.value(theta))
            if step == self._plan.n_steps:
                break
            velocity = self._plan.momentum * velocity + self._pieces[self._order[step]].gradient(theta)
            update = velocity if projector is None else projector(theta, step, velocity)
            theta = theta - self._plan.lr * update
        return np.array(losses)
