"""Which optimizer made which steps, with which settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from trajmap._validation import worded
from trajmap.errors import InputError
from trajmap.recording.stepping import held_optimizers

__all__ = ["Ledger", "changed_options", "described", "groups_of", "present_rates", "require_optimizer"]

_MOST_RATES = 16  # maximum number of parameter groups with recorded learning rates
_MOST_SPANS = 16  # maximum number of listed step ranges; alternating optimizers only have their steps counted

Entry = dict[str, Any]


class Ledger:
    """The optimizers of a run in the order in which they were attached."""

    def __init__(self) -> None:
        self._optimizers: list[Any] = []
        self._entries: list[Entry] = []
        self._spans: list[tuple[int, int, int]] = []  # optimizer, first and last step
        self._counts: list[int] = []
        self._newest = 0

    @property
    def is_several(self) -> bool:
        """Whether more than one optimizer made steps of the run."""
        return len(self._entries) > 1

    def begin_from(self, settings: Mapping[str, Any], step: int) -> None:
        """Put the optimizers of an earlier session first, unless the same one continues."""
        earlier = settings.get("optimizers") or [
            {**settings.get("optimizer", {}), "n_steps": step, "steps": [[1, step]]}
        ]
        last = {name: value for name, value in earlier[-1].items() if name not in {"n_steps", "steps"}}
        if step > 0 and last and (len(earlier) > 1 or last != self._entries[-1]):
            self._entries = [dict(entry) for entry in earlier] + self._entries
            self._optimizers = [None] * len(earlier) + self._optimizers
            self._counts = [0] * len(earlier) + self._counts

    def add(self, optimizer: Any, entry: Entry) -> None:
        """Note an optimizer with its description."""
        self._optimizers.append(optimizer)
        self._entries.append(entry)
        self._counts.append(0)

    def stepped(self, optimizer: Any, step: int) -> bool:
        """Note which optimizer made a step; return whether the header should be updated now."""
        number = next(i for i, one in enumerate(self._optimizers) if one is optimizer)
        self._counts[number] += 1
        self._newest = number
        if len(self._spans) > _MOST_SPANS:
            return False
        if self._spans and self._spans[-1][0] == number:
            self._spans[-1] = (number, self._spans[-1][1], step)
            return False
        self._spans.append((number, step, step))
        return self.is_several

    @property
    def is_first_step(self) -> bool:
        """Whether exactly one step was made so far."""
        return sum(self._counts) == 1

    def number(self) -> dict[str, float]:
        """Return the scalar that identifies the optimizer of the last step, if there are several."""
        return {"optimizer": float(self._newest)} if self.is_several and any(self._counts) else {}

    def entries(self) -> list[Entry]:
        """List the optimizers with the steps that each made."""
        listed = []
        for number, entry in enumerate(self._entries):
            steps: Entry = {}
            if self._optimizers[number] is not None:
                steps["n_steps"] = self._counts[number]
                if len(self._spans) <= _MOST_SPANS:
                    steps["steps"] = [[first, last] for who, first, last in self._spans if who == number]
            listed.append({**entry, **steps})
        return listed


def described(optimizer: Any, model: torch.nn.Module) -> Entry:
    """Describe an optimizer as plain data: its class, its options, and its groups where they differ."""
    inner = held_optimizers(optimizer)
    options: Entry = {"class": type(optimizer).__name__}
    if not type(optimizer).__module__.startswith("torch.optim"):
        options["module"] = type(optimizer).__module__
    if inner:
        options["around"] = [type(one).__name__ for one in inner]
    for one in (*reversed(inner), optimizer):
        options |= _plain_options(getattr(one, "defaults", {}))
    names = {id(p): name for name, p in model.named_parameters()}
    groups = []
    for group in groups_of(optimizer):
        noted = _plain_options({name: value for name, value in group.items() if name != "params"})
        groups.append({"names": [names[id(p)] for p in group["params"] if id(p) in names], **noted})
    named = {name for group in groups for name in group["names"]}
    missing = any(p.requires_grad and name not in named for name, p in model.named_parameters())
    if (
        len(groups) > 1
        or missing
        or any(value != options.get(name, value) for name, value in groups[0].items() if name != "names")
    ):
        options["groups"] = groups
    return options


def groups_of(optimizer: Any) -> list[dict[str, Any]]:
    """List the parameter groups of an optimizer, or of those that it holds."""
    own = getattr(optimizer, "param_groups", None)
    if own is not None:
        return list(own)
    return [group for one in held_optimizers(optimizer) for group in one.param_groups]


def present_rates(optimizer: Any) -> dict[str, Any]:
    """Learning rates of an optimizer's groups: ``lr`` for the first, ``lr_1``, ``lr_2``, … for the next 15."""
    found = {}
    for i, group in enumerate(groups_of(optimizer)[:_MOST_RATES]):
        rate = group.get("lr")
        if rate is not None:
            # a schedule changes a tensor in place; it is copied, and read only when it is written
            found[f"lr_{i}" if i else "lr"] = rate.clone() if isinstance(rate, torch.Tensor) else rate
    return found


def changed_options(optimizer: Any, entry: Entry) -> dict[str, float]:
    """Momentum and weight decay of groups where a schedule has changed them, as ``group_momentum``, …, by group.

    Names are as in `present_rates`; β₁ of ``betas`` counts as momentum.

    Parameters
    ----------
    optimizer : object
        The optimizer.
    entry : dict
        Its description when it was attached.

    Returns
    -------
    dict of str to float
        Those that differ.
    """
    found = {}
    for i, group in enumerate(groups_of(optimizer)[:_MOST_RATES]):
        noted = entry["groups"][i] if "groups" in entry and i < len(entry["groups"]) else entry
        for name in ("momentum", "weight_decay"):
            now, then = _option(group, name), _option(noted, name)
            if now is not None and now != then:
                found[f"group_{name}_{i}" if i else f"group_{name}"] = now
    return found


def _option(group: Mapping[str, Any], name: str) -> float | None:
    value = (group.get("betas") or [None])[0] if name == "momentum" and "betas" in group else group.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def require_optimizer(optimizer: Any, parameters: Sequence[torch.Tensor]) -> None:
    """Raise unless an object is an optimizer, or has a step and holds one, with some recorded parameters."""
    own = isinstance(optimizer, torch.optim.Optimizer)
    if not own and not (callable(getattr(optimizer, "step", None)) and held_optimizers(optimizer)):
        raise InputError(worded("optimizer", "a torch.optim.Optimizer", optimizer))
    recorded = {id(p) for p in parameters}
    if recorded and not any(id(p) in recorded for group in groups_of(optimizer) for p in group["params"]):
        got, repair = "one of other parameters", "attach the optimizer that was made from this model's parameters()"
        raise InputError(worded("optimizer", "one that holds the model's parameters", got, repair))


def _plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the options that JSON can hold; the rest, as functions, are left out."""
    found = {}
    for name, value in options.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        parts = [part.tolist() if isinstance(part, torch.Tensor) else part for part in parts]
        if all(part is None or isinstance(part, (bool, int, float, str)) for part in parts):
            found[name] = parts if isinstance(value, (list, tuple)) else parts[0]
    return found
