"""Check and convert the arguments of a recorder."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from trajmap import __version__
from trajmap._models import check_parameter
from trajmap._validation import describe, worded
from trajmap.data.layout import Layout
from trajmap.data.number_format import FLOATS, promoted
from trajmap.data.plain import plain_json
from trajmap.data.store.buffers import BufferLayout
from trajmap.data.store.store import RunHeader, new_identity
from trajmap.errors import InputError
from trajmap.recording.selections import Select
from trajmap.recording.sketch import CountSketch
from trajmap.recording.snapshot import local_tensor, stored_dtype

__all__ = [
    "as_number",
    "checked_numbers",
    "checked_settings",
    "chosen_parameters",
    "gradient_norm",
    "kept_buffers",
    "make_header",
    "plain_options",
]

_RESERVED = ("ends", "every", "model", "optimizer", "optimizers", "unrecorded", "untrained", "versions")


def chosen_parameters(model: torch.nn.Module, select: Select) -> dict[str, torch.nn.Parameter]:
    """Parameters to record, by name; each must hold real numbers."""
    chosen = {name: p for name, p in model.named_parameters() if select(name, p)}
    for name, parameter in chosen.items():
        check_parameter(name, parameter)
        _require_storable(name, parameter)
    if not sum(parameter.numel() for parameter in chosen.values()):
        raise InputError(worded("select", "at least one parameter", "none selected"))
    return chosen


def kept_buffers(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Buffers that are part of the state dict and that NumPy can represent, such as running statistics."""
    saved = model.state_dict(keep_vars=True)
    kept = {n: b for n, b in model.named_buffers() if n in saved and not b.is_complex() and b.numel()}
    for name, buffer in kept.items():
        _require_storable(name, buffer)
    return kept


def _require_storable(name: str, tensor: torch.Tensor) -> None:
    """Raise InputError for a tensor, or a name, that the file of an iterate cannot hold."""
    if tensor.is_meta:
        raise InputError(worded(name, "a tensor with values", "one on the meta device", "load the weights first"))
    if tensor.layout != torch.strided:
        raise InputError(worded(name, "a dense tensor", f"one of layout {tensor.layout}", "exclude it with select"))
    if name == "__metadata__":
        raise InputError(worded(name, "another name, since this one is reserved in the files", "a tensor", "rename it"))


@torch.no_grad()
def gradient_norm(parameters: Sequence[torch.Tensor]) -> float:
    """Norm of the gradient over the parameters that have one, summed in float64; NaN if none has."""
    gradients = [local_tensor(p.grad) for p in parameters if p.grad is not None]
    if not gradients:
        return float("nan")
    return sum(float(gradient.double().square().sum()) for gradient in gradients) ** 0.5


def make_header(
    chosen: Mapping[str, torch.Tensor],
    buffers: Mapping[str, torch.Tensor],
    settings: dict[str, Any],
    sketch: CountSketch | None,
) -> RunHeader:
    """Make the header of a run with these parameters and buffers."""
    pieces = {name: local_tensor(p) for name, p in chosen.items()}
    layout = Layout(tuple(pieces), tuple(tuple(p.shape) for p in pieces.values()))
    if sketch is not None:
        described = sketch.describe(layout)
        return RunHeader(sketch.layout, "float64", settings, sketch=described, identity=new_identity())
    kept = BufferLayout(
        tuple(buffers),
        tuple(tuple(b.shape) for b in buffers.values()),
        tuple(str(stored_dtype(b.dtype)).removeprefix("torch.") for b in buffers.values()),
    )
    # one exact format for all parameters; 16 bits only if all have the same 16-bit format
    known = (str(p.dtype).removeprefix("torch.") for p in pieces.values())
    dtype = promoted(name if name in FLOATS else "float32" for name in known)
    return RunHeader(layout, dtype, settings, kept, identity=new_identity())


def as_number(name: str, value: object) -> float:
    """Convert a scalar or a tensor with one entry to float; a string is an error."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.detach().item()
    try:
        if isinstance(value, str):  # float() would read a string, but here a string is a mistake
            raise TypeError
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(worded(name, "a number", describe(value))) from error


def checked_numbers(scalars: object, named: Mapping[str, Any]) -> dict[str, float]:
    """Join the scalars of a mapping and of keyword arguments."""
    if scalars is not None and not isinstance(scalars, Mapping):
        expected, repair = "a mapping of names to numbers", "pass the step by keyword, as in record(step=3)"
        raise InputError(worded("scalars", expected, scalars, repair))
    given: Mapping[Any, Any] = scalars or {}
    return {str(name): as_number(str(name), value) for name, value in {**given, **named}.items()}


def checked_settings(settings: Mapping[str, Any] | None, model: torch.nn.Module, every: object) -> dict[str, Any]:
    """Join the recorder's settings with the user's, which must be plain JSON under other names."""
    if settings is not None and not isinstance(settings, Mapping):
        raise InputError(worded("settings", "plain JSON values with string keys", settings))
    found: dict[str, Any] = plain_json("settings", settings or {})
    taken = [name for name in _RESERVED if name in found]
    if taken:
        raise InputError(worded("settings", f"names other than {', '.join(_RESERVED)}", ", ".join(taken)))
    versions = {"trajmap": __version__, "torch": str(torch.__version__)}
    return {"model": type(model).__name__, "every": plain_json("every", every), "versions": versions, **found}


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the options that JSON can hold; others, such as functions, are dropped."""
    found = {}
    for name, value in options.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        parts = [part.tolist() if isinstance(part, torch.Tensor) else part for part in parts]
        if all(part is None or isinstance(part, (bool, int, float, str)) for part in parts):
            found[name] = parts if isinstance(value, (list, tuple)) else parts[0]
    return found
