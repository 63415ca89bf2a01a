"""The edge of stability, read from a run's own optimizer settings and second moments."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from trajmap._validation import Array, check_choice, check_count, check_positive, worded
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.lanczos import lanczos_pairs, largest
from trajmap.curvature.sharpness_batch import drawn_sharpness
from trajmap.curvature.sharpness_critical import critical_step
from trajmap.curvature.stable_steps import StepRule, is_adaptive
from trajmap.curvature.steps_of_run import StepsOfRun
from trajmap.data.progress import Progress, counted
from trajmap.data.results.edge_gauge import EdgeGauge
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.objective.operator import Operator
from trajmap.objective.statistics import keeps_statistics

__all__ = ["edge_gauge"]

_MOST_PRODUCTS = 120
# a bias before a normalisation has no gradient in training, so its second moment is almost zero. With fixed statistics
# the loss depends on it, and the preconditioned sharpness would be a million times too large
_NORMALISED = "training steps changed BatchNorm's statistics, which are fixed here, so its sharpness is different"


def edge_gauge(
    objective: Objective,
    trajectory: Trajectory,
    *,
    batch_size: int | None = None,
    lr: float | None = None,
    at: Sequence[int] | Array | None = None,
    n_at: int = 8,
    tol: float = 1e-2,
    method: str = "products",
    random_state: int = 0,
    progress: Progress | None = None,
) -> EdgeGauge:
    """Compare the sharpness along a run with the largest sharpness at which its optimizer's step is stable.

    The threshold is exact on a quadratic. With learning rate η, momentum β and dampening τ, descent is stable up to 2(1
    + β)/(η(1 − τ)), with Nesterov's momentum up to (2 + 2β)/((1 + 2β)η). RMSprop and Adagrad have the same bounds;
    Adam, AdamW, Adamax, NAdam and RAdam have 2(1 + β₁)/((1 − β₁)η) or its counterpart, for the Hessian preconditioned
    by the second moments recorded with the iterate. Weight decay adds to the sharpness. Groups with different learning
    rates are rescaled to the first one's. For other optimizers the ratio is NaN, with the reason.

    For SGD the sharpness of its batches counts, Σ g_bᵀH_b g_b / Σ |g_b|²; with momentum its threshold is between 2(1 −
    β)/η for small batches and 2(1 + β)/η for large ones, which the interval contains. For a model with running
    statistics of its batches the edge is unknown, because training differentiates through them and the objective does
    not.

    Parameters
    ----------
    objective : Objective
        The training loss.
    trajectory : Trajectory
        The run, with settings and scalars as written by the recorder.
    batch_size : int, optional
        The optimizer's batch size; by default ``settings["batch_size"]``, and full-batch descent without it.
    lr : float, optional
        The learning rate, which replaces the recorded one; required for a run without one, for example from
        checkpoints. A run without a recorded optimizer is treated as plain gradient descent.
    at : sequence of int, optional
        Places of the iterates; by default `n_at` evenly spaced ones, for an adaptive optimizer among those with second
        moments.
    n_at : int
        Number of iterates when `at` is not given.
    tol : float
        Relative accuracy of λ_max.
    method : str
        ``"products"``, or ``"forward"``: one gradient and at most 9 values of the loss per iterate, along the
        optimizer's update without momentum. This curvature is a lower bound of the sharpness; `top` is NaN.
    random_state : int
        Seed.
    progress : callable, optional
        Called with the iterates done and their number.

    Returns
    -------
    EdgeGauge
        Sharpness, threshold and interval by iterate, and the regime.

    Raises
    ------
    InputError
        If neither the run nor `lr` gives a learning rate.

    References
    ----------
    J. Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability, 2021; Adaptive
    gradient methods at the edge of stability, 2022; A. Andreyev, P. Beneventano, Edge of stochastic stability, 2024.

    Examples
    --------
    >>> bowl = Objective.from_function(lambda x: 4 * x @ x, size=2, gradient=lambda x: 8 * x)
    >>> run = Trajectory.of(np.array([[1.0, 1.0], [0.5, 0.5]]), layout=bowl.layout)
    >>> edge_gauge(bowl, run, lr=0.125).ratio.round(6).tolist()
    [0.5, 0.5]
    """
    steps = StepsOfRun(trajectory, None if lr is None else check_positive("lr", lr))
    forward = check_choice("method", method, ("products", "forward")) == "forward"
    if not steps.says_rate:
        got, repair = trajectory.settings.get("optimizer") or "none", "pass lr=… (--lr on the command line)"
        raise InputError(worded("trajectory", "settings['optimizer'] with a learning rate", got, repair))
    batch_size = trajectory.settings.get("batch_size") if batch_size is None else check_count("batch_size", batch_size)
    adaptive = not steps.refused and is_adaptive(steps.entry)
    probe = _Probe(objective.along(trajectory), 0 if adaptive else batch_size or 0, tol, forward, random_state)
    places = steps.places(check_count("n_at", n_at)) if at is None else [int(place) for place in at]
    normalised = keeps_statistics(objective.model)
    rows = [
        probe.see(trajectory.theta(place), _NORMALISED if normalised else steps.rule(place))
        for place in counted(places, progress)
    ]
    kind = "critical sharpness" if forward else "sharpness"
    if adaptive:
        kind = f"preconditioned {kind}"
    elif batch_size and not forward:
        kind = "batch sharpness"
    return EdgeGauge(
        trajectory.steps[places],
        np.array([row.ratio * row.threshold for row in rows]),
        np.array([row.top for row in rows]),
        np.array([row.threshold for row in rows]),
        kind,
        np.array([row.low for row in rows]),
        np.array([row.high for row in rows]),
        [row.reason for row in rows],
        not batch_size,
    )


@dataclasses.dataclass(frozen=True)
class _Row:
    """The results at one iterate."""

    top: float
    threshold: float = np.nan
    ratio: float = np.nan
    low: float = np.nan
    high: float = np.nan
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class _Probe:
    """How the sharpness at an iterate is measured."""

    objective: Objective
    samples: int
    tol: float
    forward: bool
    random_state: int

    def see(self, theta: Array, rule: StepRule | str) -> _Row:
        if isinstance(rule, str):
            return _Row(np.nan if self.forward else self._top(theta), reason=rule)
        if self.forward:
            return self._along_update(theta, rule)
        if self.samples:
            return self._in_batches(theta, rule)
        return self._felt(theta, rule)

    def _felt(self, theta: Array, rule: StepRule) -> _Row:
        """λ_max in the recursion, with its residual."""
        felt = _Felt(self.objective.hessian(theta), rule)
        rng = np.random.default_rng(self.random_state)
        found = lanczos_pairs(
            felt, rng.standard_normal(felt.size), 1, tol=self.tol, max_products=_MOST_PRODUCTS, order=largest, rng=rng
        )
        ratio, residual = float(found.values[0]), float(found.residuals[0])
        if np.ptp(rule.scale) or np.ptp(rule.decay) or np.ptp(rule.shrink) or not rule.scale[0]:
            top = self._top(theta)
        else:  # then it is λ_max of the Hessian, scaled and shifted
            top = (ratio - float(rule.shrink[0])) / float(rule.scale[0]) - float(rule.decay[0])
        # a Ritz value never exceeds λ_max
        return _Row(top, rule.threshold, ratio, ratio, ratio + residual)

    def _in_batches(self, theta: Array, rule: StepRule) -> _Row:
        found, error = drawn_sharpness(
            self.objective, theta, batch_size=self.samples, random_state=self.random_state, rule=rule
        )
        low, high = found - 2 * error, (found + 2 * error) * rule.noisy
        reason = "" if np.isfinite(found) else "no batch has a gradient"
        return _Row(self._top(theta), rule.threshold, found, low, high, reason)

    def _along_update(self, theta: Array, rule: StepRule) -> _Row:
        theta = theta.astype(np.float64)
        trained = rule.scale > 0
        # decay as a penalty on the loss, part of the update's gradient
        penalty = rule.decay + np.divide(rule.shrink, rule.scale, out=np.zeros(len(theta)), where=trained)
        slope = self.objective.gradient(theta) + penalty * theta
        update = rule.scale * slope

        def line(rate: float) -> float:
            moved = theta - rate * update
            return self.objective.value(moved) + 0.5 * float(penalty @ moved**2)

        if not np.isfinite(update).all() or not update.any():
            return _Row(np.nan, rule.threshold, reason="the gradient is zero or not finite")
        # a positive loss is back at its start at the latest at twice the rate that would lower it to zero; 2 is the
        # optimizer's own step
        here = line(0.0)
        first = 2 * here / float(slope @ update) if here > 0 else 2.0
        resolution = 16 * torch.finfo(self.objective.like.dtype).eps
        found = critical_step(line, here, first, resolution, 0.02, 8)
        reason = "" if np.isfinite(found.value) else "no rate was found at which the loss returns to its start"
        return _Row(np.nan, rule.threshold, found.value, found.value, np.inf, reason)

    def _top(self, theta: Array) -> float:
        found = top_eigenspace(
            self.objective, theta, 1, tol=self.tol, order=largest, random_state=self.random_state
        )  # fmt: skip
        return float(found.eigenvalues[0])


class _Felt(Operator):
    """S(H + W)S + Ω."""

    def __init__(self, hessian: Operator, rule: StepRule) -> None:
        super().__init__(hessian.tensor(rule.scale), hessian.size)
        self._hessian = hessian
        self._scale = hessian.tensor(np.sqrt(rule.scale))
        self._diagonal = hessian.tensor(rule.scale * rule.decay + rule.shrink)

    def multiply(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of shape (P,)."""
        return self._scale * self._hessian.multiply(self._scale * vector) + self._diagonal * vector
