"""The model's tensors in a checkpoint, and their names without wrappers.

Training scripts nest the weights under various keys, and wrappers add a prefix to each name: ``module.`` (data
parallelism), ``_orig_mod.`` (compilation), ``model.`` (Lightning). Averages are stored next to the weights and look the
same; they are used only if a key names them, never as a fallback.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trajmap._validation import worded
from trajmap.data.store.stored_tensor import StoredTensor, TensorInFile, TensorInPieces
from trajmap.errors import InputError, LayoutError

__all__ = ["State", "Wanted", "is_average", "state_of"]

Tensors = dict[str, StoredTensor]

# keys of the weights of the step in training scripts, the most certain first: Lightning's averaging callbacks keep the
# average under state_dict, and the weights of the step under the first of these
_NESTS = (
    "current_model_state", "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network",
    "weights", "params",
)  # fmt: skip
# wrappers that torch adds anywhere in a name
_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_AVERAGES = {"ema", "swa", "avg", "average", "averaged", "averaging", "polyak", "shadow", "lookahead"}
_OTHERS = re.compile(r"optim|sched|scaler|callback|loops|rng", re.IGNORECASE)
_LISTED = 8  # number of names in an error


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The required content of a checkpoint.

    Parameters
    ----------
    parameters : mapping of str to sequence of str
        Names, each with other possible names of the same (tied) tensor in a checkpoint.
    buffers : tuple of str
        Names of buffers, which are taken if present.
    """

    parameters: Mapping[str, tuple[str, ...]]
    buffers: tuple[str, ...] = ()

    def found_in(self, tensors: Tensors, prefix: str = "") -> Tensors | None:
        """Return each parameter's tensor; None unless all are present."""
        found = {}
        for name, others in self.parameters.items():
            known = next((prefix + n for n in (name, *others) if prefix + n in tensors), None)
            if known is None:
                return None
            found[name] = tensors[known]
        return found


@dataclasses.dataclass(frozen=True)
class State:
    """The tensors of a model in a checkpoint.

    Parameters
    ----------
    tensors : dict of str to StoredTensor
        By their plain names.
    key : str
        Their key in the checkpoint; empty if it holds nothing else.
    averaged : bool
        Whether they are marked as averages.
    """

    tensors: Tensors
    key: str = ""
    averaged: bool = False


def state_of(content: dict[str, Any], key: str | None, wanted: Wanted | None, where: Path) -> State:
    """Choose the state dict of the model and remove the wrappers from its names.

    Parameters
    ----------
    content : dict
        Content of the checkpoint.
    key : str, optional
        Where to search, for example ``"ema"`` or ``"state.model"``: nested dicts, or a prefix of the names.
    wanted : Wanted, optional
        The required content, whose names the state will have.
    where : pathlib.Path
        The checkpoint, for messages.

    Returns
    -------
    State
        The tensors.

    Raises
    ------
    InputError
        If the key is missing, or there are no or several dicts of tensors; the message lists them.
    LayoutError
        If required content is missing.
    """
    inner = content if key is None else _descend(content, key)
    if inner is None:
        raise InputError(worded("key", f"one of {_words(_keys(content))}", f"{key!r}, which {where} does not have"))
    found = list(_dicts(inner))
    if not found:
        got = f"{where}, which holds none; it has {_words(_keys(content))}" if content else f"{where}, which holds none"
        raise InputError(worded("paths", "checkpoints with tensors", got))
    states = [_plain(path, tensors) for path, tensors in found]
    own = [s for s in states if not is_average(s.key) and not _OTHERS.search(s.key)]
    if wanted is not None:
        raw = dict(found)
        tried = [(s, _matched(State(raw[s.key], s.key), wanted) or _matched(s, wanted)) for s in own]
        matching = [dataclasses.replace(match, averaged=s.averaged) for s, match in tried if match is not None]
        if len(_preferred(matching)) == 1:
            return _at(key, _preferred(matching)[0])
    chosen = _preferred(own)
    if len(chosen) != 1:
        names = [s.key for s in (chosen or states)]
        repair = f"name one, as key={names[0] if key is None else f'{key}.{names[0]}'!r}"
        what = "one dict of the model's tensors" if chosen else "the weights of a step"
        raise InputError(worded(str(where), what, _words(names), repair))
    if wanted is not None:
        raise LayoutError(worded(str(where), "all parameters", _lacks(chosen[0], wanted)))
    return _at(key, chosen[0])


def is_average(path: str) -> bool:
    """Whether a part of the dotted name marks an average over steps."""
    return bool(_AVERAGES & set(re.split(r"[._\-\s]+", path.lower())))


def _at(key: str | None, state: State) -> State:
    return state if key is None else dataclasses.replace(state, key=f"{key}.{state.key}".strip("."))


def _descend(content: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """Follow a dotted key through dicts, and then through the names of tensors."""
    inner = content.get(key)
    if isinstance(inner, dict):
        return inner
    for name, value in content.items():
        if isinstance(value, dict) and key.startswith(f"{name}."):
            found = _descend(value, key.removeprefix(f"{name}."))
            if found is not None:
                return found
    begins = {n.removeprefix(f"{key}."): v for n, v in content.items() if str(n).startswith(f"{key}.")}
    return begins or None


def _dicts(content: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, Tensors]]:
    """Every dict with tensors of at least one entry, with its path."""
    tensors: Tensors = {
        str(name): value for name, value in content.items() if isinstance(value, (TensorInFile, TensorInPieces))
    }
    if any(value.shape or len(tensors) == len(content) for value in tensors.values()):
        yield path, tensors
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _dicts(value, f"{path}.{name}".strip("."))


def _preferred(states: list[State]) -> list[State]:
    """Keep the states with the most certain keys."""
    if len(states) < 2:
        return states
    ranks = [[_NESTS.index(part) if part in _NESTS else len(_NESTS) for part in s.key.split(".")] for s in states]
    surest = [s for s, rank in zip(states, ranks, strict=True) if max(rank) < len(_NESTS) and rank == min(ranks)]
    return surest or states


def _plain(path: str, tensors: Tensors) -> State:
    """Remove the wrappers from the names, unless two names would become equal."""
    plain = {".".join(part for part in name.split(".") if part not in _WRAPPERS): t for name, t in tensors.items()}
    averaged = "n_averaged" in plain
    counter = {"n_averaged"} if averaged else set()
    names = [name for name in plain if name not in counter]
    while names and all(name.startswith("module.") for name in names):
        plain = {name.removeprefix("module."): t for name, t in plain.items() if name not in counter}
        names = list(plain)
    return State(plain if len(plain) + len(counter) >= len(tensors) else tensors, path, averaged)


def _matched(state: State, wanted: Wanted) -> State | None:
    """Return the state under the required names, if all are present with one common prefix or none."""
    prefixes = [""]
    name, others = next((n, o) for n, o in wanted.parameters.items())
    for known in (name, *others):
        prefixes += [n.removesuffix(known) for n in state.tensors if n.endswith(f".{known}")]
    fitting = []
    for prefix in dict.fromkeys(prefixes):
        found = wanted.found_in(state.tensors, prefix)
        if found is not None and not is_average(prefix):
            kept = {n: state.tensors[prefix + n] for n in wanted.buffers if prefix + n in state.tensors}
            taken = {id(t) for t in (*found.values(), *kept.values())}
            rest = {n: t for n, t in state.tensors.items() if id(t) not in taken}
            fitting.append((prefix, State({**found, **kept, **rest}, state.key, state.averaged)))
    plain = [s for prefix, s in fitting if prefix in {"", "model."}]
    if plain or not fitting:
        return plain[0] if plain else None
    if len(fitting) > 1:
        named = [prefix.rstrip(".") for prefix, _ in fitting]
        raise InputError(worded("key", "the prefix of the names of one model", _words(named), f"key={named[0]!r}"))
    return fitting[0][1]


def _lacks(state: State, wanted: Wanted) -> str:
    missing = [n for n, others in wanted.parameters.items() if not {n, *others} & set(state.tensors)]
    listed = _words(missing or list(wanted.parameters))
    return f"a checkpoint without {len(missing)} of them: {listed}; it has {_words(state.tensors)}"


def _keys(content: Mapping[Any, Any]) -> list[str]:
    """Names of the dicts and tensors of a checkpoint, as accepted by ``key``."""
    nests = [str(name) for name, value in content.items() if isinstance(value, dict) and value]
    return nests + [str(name) for name in content if str(name) not in nests]


def _words(names: Any) -> str:
    listed = list(names)
    return ", ".join(map(str, listed[:_LISTED])) + (", …" if len(listed) > _LISTED else "")
