"""The stability limit of an optimizer's step on a quadratic: its recursion, linearised at one iterate.

With fixed denominators every step here is linear in the parameters. Along an eigenvector of the preconditioned Hessian
it is a recursion of two numbers, which becomes unstable when its matrix has the eigenvalue −1. This happens at
λ_max(S(H + W)S + Ω) = 1. Here S² = κ/d; κ is half the rate at which the recursion follows a gradient that changes its
sign at each step; d is the divisor of the optimizer; W is the weight decay added to the gradient; and Ω is half of the
decoupled weight decay per step.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trajmap._validation import Array
from trajmap.data.layout import Layout

__all__ = ["Group", "Moment", "StepRule", "groups_of_entry", "is_adaptive", "refusal", "step_rule"]

_UNKNOWN = {
    "LBFGS": "its steps come from a history and a line search, not from a learning rate",
    "ASGD": "it decays its learning rate itself and averages",
    "Adadelta": "its steps have no fixed learning rate",
    "Rprop": "it uses only the gradient's signs, with a step size for each parameter",
    "SparseAdam": "entries are updated at different times",
    "Adafactor": "its second moments are factored and its steps are scaled to the weights",
    "Muon": "its steps are orthogonalised; generalized_sharpness measures the curvature for such steps",
    "Lion": "it uses signs of gradients; generalized_sharpness measures the curvature for such steps",
    "SignSGD": "it uses signs of gradients; generalized_sharpness measures the curvature for such steps",
}


@dataclasses.dataclass(frozen=True)
class Group:
    """One parameter group at an iterate: its parameters, learning rate and other options.

    Parameters
    ----------
    names : tuple of str or None
        The parameters; None for all.
    rate : float
        The learning rate.
    options : mapping
        All other recorded options.
    """

    names: tuple[str, ...] | None
    rate: float
    options: Mapping[str, Any]

    @property
    def momentum(self) -> float:
        """β of the momentum, or β₁."""
        betas = self.options.get("betas")
        return float(betas[0] if betas else self.options.get("momentum") or 0.0)

    def number(self, name: str, default: float = 0.0) -> float:
        """Return an option as a number."""
        found = self.options.get(name)
        return default if found is None else float(found)


@dataclasses.dataclass(frozen=True)
class Moment:
    """Second moments of a group's parameters at an iterate, and the number of updates of each."""

    values: Array
    counts: Array


@dataclasses.dataclass(frozen=True)
class StepRule:
    """One iterate's step, linearised: stable while λ_max(S(H + W)S + Ω) < 1.

    Parameters
    ----------
    scale : numpy.ndarray, shape (P,)
        S² = κ/d; zero for parameters that are not trained.
    decay : numpy.ndarray, shape (P,)
        The diagonal W.
    shrink : numpy.ndarray, shape (P,)
        The diagonal Ω.
    threshold : float
        1/κ of the first group.
    noisy : float
        Smallest possible factor on the threshold for small batches.
    """

    scale: Array
    decay: Array
    shrink: Array
    threshold: float
    noisy: float


def refusal(entry: Mapping[str, Any]) -> str:
    """Return why an optimizer's stable steps are unknown; empty if they are known.

    Parameters
    ----------
    entry : mapping
        Its recorded description; without a class it is plain gradient descent.

    Returns
    -------
    str
        The reason, beginning with its name.

    Examples
    --------
    >>> refusal({"class": "SGD", "lr": 0.1}), refusal({"class": "Shampoo"})
    ('', 'Shampoo: its stable steps are not known')
    """
    name = str(entry.get("class", "SGD"))
    if "module" in entry or "around" in entry:
        return f"{name}: it is not a torch optimizer, and its stable steps are not known"
    if name not in _FAMILIES:
        return f"{name}: {_UNKNOWN.get(name, 'its stable steps are not known')}"
    options = [entry, *entry.get("groups", [])]
    return f"{name}: it maximises" if any(group.get("maximize") for group in options) else ""


def is_adaptive(entry: Mapping[str, Any]) -> bool:
    """Whether a known optimizer divides its steps by second moments."""
    return _FAMILIES[str(entry.get("class", "SGD"))].divisor is not None


def groups_of_entry(
    entry: Mapping[str, Any], rates: Sequence[float | None], now: Sequence[Mapping[str, float]]
) -> list[Group]:
    """List the groups of an optimizer at an iterate.

    Parameters
    ----------
    entry : mapping
        Its recorded description.
    rates : sequence of float or None
        The recorded learning rate of each group at the iterate; None for the one in `entry`.
    now : sequence of mapping
        Momentum and weight decay of each group, if changed by a schedule.

    Returns
    -------
    list of Group
        At least one.
    """
    found = []
    for i, noted in enumerate(entry.get("groups") or [{}]):
        options = {**{name: value for name, value in entry.items() if name != "groups"}, **noted}
        for name, value in (now[i] if i < len(now) else {}).items():
            if name == "momentum" and options.get("betas"):
                options["betas"] = [value, *options["betas"][1:]]
            else:
                options[name] = value
        rate = rates[i] if i < len(rates) else None
        names = noted.get("names")
        found.append(
            Group(None if names is None else tuple(names), float(options["lr"] if rate is None else rate), options)
        )
    return found


def step_rule(
    name: str, groups: Sequence[Group], layout: Layout, moment: Moment | None, untrained: Sequence[str] = ()
) -> StepRule | str:
    """Linearise an optimizer's step at an iterate.

    Parameters
    ----------
    name : str
        Its class, accepted by `refusal`.
    groups : sequence of Group
        Its parameter groups.
    layout : Layout
        Layout of θ.
    moment : Moment or None
        Second moments at the iterate, for an adaptive optimizer.
    untrained : sequence of str
        Parameters that are not trained.

    Returns
    -------
    StepRule or str
        The rule, or the reason why there is none.

    Examples
    --------
    >>> group = Group(None, 0.1, {"momentum": 0.9, "nesterov": True})
    >>> rule = step_rule("SGD", [group], Layout(("w",), ((1,),)), None)
    >>> round(rule.threshold, 3)
    13.571
    """
    family = _FAMILIES[name]
    missing = _missing(name, groups, moment)
    if missing:
        return missing
    scale, decay, shrink = np.zeros((3, layout.size))
    for parameter, where in layout.slices.items():
        group = _group_of(parameter, groups)
        if group is None or parameter in untrained or where.start == where.stop:
            continue
        follows = family.follows(group, 0 if moment is None else int(moment.counts[where].max()))
        if family.divisor is None or moment is None:
            scale[where] = follows
        elif not moment.counts[where].all():
            return f"{name}: second moments of {parameter} are not recorded here"
        elif not np.isfinite(moment.values[where]).all():
            return f"{name}: second moments of {parameter} are not finite"
        else:
            with np.errstate(divide="ignore"):
                scale[where] = follows / family.divisor(group, moment.values[where], int(moment.counts[where][0]))
        decoupled = name == "AdamW" or bool(group.options.get("decoupled_weight_decay"))
        (shrink if decoupled else decay)[where] = group.number("weight_decay") * (group.rate / 2 if decoupled else 1)
    if not np.isfinite(scale).all():
        return f"{name}: it divides by zero"
    count = 0 if moment is None else int(moment.counts.max())
    first = family.follows(groups[0], count)
    beta = groups[0].momentum
    plain = groups[0].rate * (1 - groups[0].number("dampening") * (beta > 0)) / 2
    return StepRule(scale, decay, shrink, 1 / first, plain / first / (1 - beta))


def _missing(name: str, groups: Sequence[Group], moment: Moment | None) -> str:
    """Return why the groups of an optimizer have no common rule."""
    if len({group.momentum for group in groups}) > 1:
        return f"{name}: its groups have different momentum"
    if any(not (np.isfinite(group.rate) and group.rate > 0) for group in groups):
        return f"{name}: its learning rate is {', '.join(f'{group.rate:g}' for group in groups)}"
    if _FAMILIES[name].divisor is not None and moment is None:
        return f"{name}: its second moments are not recorded here"
    return ""


def _group_of(parameter: str, groups: Sequence[Group]) -> Group | None:
    return next((group for group in groups if group.names is None or parameter in group.names), None)


@dataclasses.dataclass(frozen=True)
class _Family:
    """Compute κ of a group after a number of updates, and its divisor (from second moments and updates)."""

    follows: Callable[[Group, int], float]
    divisor: Callable[[Group, Array, int], Array] | None = None


def _sgd(group: Group, count: int) -> float:
    beta = group.momentum
    if group.options.get("nesterov"):
        return group.rate * (1 + 2 * beta) / (2 * (1 + beta))
    dampening = group.number("dampening") if beta else 0.0  # without momentum there is no dampening
    return group.rate * (1 - dampening) / (2 * (1 + beta))


def _adagrad_rate(group: Group, count: int) -> float:
    return group.rate / (1 + max(count - 1, 0) * group.number("lr_decay")) / 2


def _averaged(group: Group, count: int) -> float:
    return group.rate * (1 - group.momentum) / (2 * (1 + group.momentum))


def _nadam(group: Group, count: int) -> float:
    beta, slow = group.momentum, group.number("momentum_decay", 4e-3)
    now, after = (beta * (1 - 0.5 * 0.96 ** (t * slow)) for t in (count, count + 1))
    return group.rate * ((1 - now) + after * (1 - beta) / (1 + beta)) / 2


def _root(group: Group, values: Array, count: int) -> Array:
    return np.sqrt(np.maximum(values, 0)) + group.number("eps", 1e-8)


def _corrected(group: Group, values: Array, count: int) -> Array:
    return _root(group, values / (1 - _second(group) ** count), count)


def _rectified(group: Group, values: Array, count: int) -> Array:
    beta = _second(group)
    longest = 2 / (1 - beta) - 1
    length = longest - 2 * count * beta**count / (1 - beta**count)
    if length <= 5:
        return np.ones(len(values))
    rectifier = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return _root(group, values, count) / np.sqrt(1 - beta**count) / np.sqrt(rectifier)


def _second(group: Group) -> float:
    return float((group.options.get("betas") or (0.9, 0.999))[1])


def _as_it_is(group: Group, values: Array, count: int) -> Array:
    return values


_FAMILIES = {
    "SGD": _Family(_sgd),
    "RMSprop": _Family(lambda group, count: group.rate / (2 * (1 + group.momentum)), _root),
    "Adagrad": _Family(_adagrad_rate, _root),
    "Adam": _Family(_averaged, _corrected),
    "AdamW": _Family(_averaged, _corrected),
    "Adamax": _Family(_averaged, _as_it_is),
    "NAdam": _Family(_nadam, _corrected),
    "RAdam": _Family(_averaged, _rectified),
}
