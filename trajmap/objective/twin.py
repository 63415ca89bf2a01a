"""The private copy of a model, whose parameters are autograd leaves and views of one flat tensor."""

import contextlib
import functools
import itertools
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

import torch

from trajmap._models import check_parameter, unwrapped
from trajmap._validation import Array, check_array, worded
from trajmap.errors import InputError
from trajmap.objective.copying import again, copied
from trajmap.objective.kernels import differentiable_kernels
from trajmap.objective.layers import with_second_derivatives
from trajmap.objective.memory import room
from trajmap.objective.state import State
from trajmap.objective.travelling import packed, unpacked

__all__ = ["Twin", "private_copy"]


class Gathers(Protocol):
    """The buffers of a model at any point."""

    @property
    def source(self) -> tuple[Any, ...]:
        """Its parts without the twin."""

    @property
    def words(self) -> str:
        """Describe the buffers."""

    def gather(self) -> dict[str, torch.Tensor]:
        """Return the buffers for the twin's point."""


class Twin:
    """A model at one point θ at a time.

    A point is written into `flat`, of which the module's parameters are views. For autograd they are ordinary
    parameters, so everything that can be differentiated in training (activation checkpointing, sparse gradients, weight
    norms) can be differentiated here. Buffers and attributes changed by a forward pass are restored after each call.

    Parameters
    ----------
    module : torch.nn.Module
        The copy; it is changed.
    names : sequence of str
        The parameters in θ, in order.
    """

    def __init__(self, module: torch.nn.Module, names: Sequence[str]) -> None:
        own = dict(module.named_parameters())
        self.module, self.names = module, tuple(names)
        self.leaves = [own[name] for name in names]
        self.sizes = [leaf.numel() for leaf in self.leaves]
        self.lock = threading.RLock()
        self._followed = False  # by autograd in every evaluation
        self.statistics: Gathers | None = None  # the buffers at each point, if they vary
        self._flatten()
        self.state = State(module)

    def _flatten(self) -> None:
        dtype = functools.reduce(torch.promote_types, (leaf.dtype for leaf in self.leaves))
        device = self.leaves[0].device
        # leaves of several dtypes or devices are copies of their pieces instead of views
        self.uniform = all(leaf.dtype == dtype and leaf.device == device for leaf in self.leaves)
        self.flat = torch.empty(sum(self.sizes), dtype=dtype, device=device)
        for leaf, piece in zip(self.leaves, self.pieces(self.flat), strict=True):
            piece.copy_(leaf.detach())
            if self.uniform:
                leaf.data = piece
        self._visitor: list[object] = [None]  # owner of the point in the flat tensor, common to all twins on it

    def pieces(self, vector: torch.Tensor) -> list[torch.Tensor]:
        """Cut a vector of shape (P,) into views in the shapes of the parameters."""
        return [part.view(leaf.shape) for part, leaf in zip(torch.split(vector, self.sizes), self.leaves, strict=True)]

    def like_leaves(self, vector: torch.Tensor) -> list[torch.Tensor]:
        """Cut it into tensors of the parameters' own dtypes, on their devices."""
        return [part.to(leaf) for part, leaf in zip(self.pieces(vector), self.leaves, strict=True)]

    def join(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Make one new vector of shape (P,) of tensors in the shapes of the parameters."""
        flat = self.flat
        return torch.cat([part.detach().reshape(-1).to(flat) for part in parts], out=room(flat, len(flat)))

    def tensor(self, theta: Array | torch.Tensor, name: str = "theta") -> torch.Tensor:
        """Convert a point or direction, array or tensor, to the flat tensor's dtype and device."""
        if isinstance(theta, torch.Tensor):
            if theta.shape != self.flat.shape:
                raise InputError(worded(name, f"shape ({len(self.flat)},)", f"a tensor of shape {tuple(theta.shape)}"))
            return theta.detach().to(self.flat)
        array = check_array(name, theta, (len(self.flat),))
        if array.flags.writeable:  # then its memory is only read, never kept
            return torch.from_numpy(array).to(self.flat, copy=True)
        return torch.tensor(array).to(self.flat)

    def visit(self, write: Callable[[torch.Tensor], object], visitor: object = None) -> None:
        """Go to a point: `write` fills the flat tensor.

        Parameters
        ----------
        write : callable
            Fills a tensor of shape (P,).
        visitor : object, optional
            The caller; nothing is written if it was also the last one.
        """
        if visitor is not None and self._visitor[0] is visitor:
            return
        self._visitor[0] = visitor
        with torch.no_grad():
            write(self.flat)
            self.settle()
            if self.statistics is not None:
                self.state.rebase(self.statistics.gather(), self.module)

    def settle(self) -> None:
        """Update parameters that are not views of the flat tensor."""
        if not self.uniform:
            for leaf, piece in zip(self.leaves, self.pieces(self.flat), strict=True):
                leaf.copy_(piece)

    @contextlib.contextmanager
    def differentiable(self) -> Generator[None, None, None]:
        """Enable gradients of the parameters, with kernels that can be differentiated.

        Yields
        ------
        None
        """
        for leaf in self.leaves:
            leaf.requires_grad_()
        try:
            with torch.enable_grad(), differentiable_kernels(self.module):
                yield
        finally:
            for leaf in self.leaves:
                leaf.grad = None
                leaf.requires_grad = self._followed

    def follow(self) -> None:
        """Enable gradients of the parameters permanently, for a loss that differentiates with respect to them."""
        self._followed = True
        for leaf in self.leaves:
            leaf.requires_grad_()

    def gathered(self) -> torch.Tensor:
        """Join the parameters' gradients of a backward pass, zero if there is none, to a vector of shape (P,)."""
        grads = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in self.leaves]
        return self.join([grad.to_dense() if grad.is_sparse else grad for grad in grads])

    def shadow(self) -> torch.nn.Module:
        """Copy the module's structure but share its parameters and buffers, so that layers can be replaced."""
        tensors = itertools.chain(self.module.parameters(), self.module.buffers())
        return again(self.module, {id(tensor): tensor for tensor in tensors})

    def with_buffers(self, buffers: Mapping[str, Array]) -> "Twin":
        """Share the parameters, with other buffers.

        Parameters
        ----------
        buffers : mapping of str to array-like
            By name; other buffers do not change.

        Returns
        -------
        Twin
            Both know which of them set the last point.

        Raises
        ------
        InputError
            If a buffer is unknown or has another shape.
        """
        module = again(self.module, {id(tensor): tensor for tensor in self.module.parameters()})
        own = dict(module.named_buffers())
        for name, values in buffers.items():
            if name not in own:
                raise InputError(worded("buffers", f"names among {', '.join(own)}", name))
            own[name].copy_(torch.tensor(check_array(name, values, tuple(own[name].shape))))
        other = object.__new__(Twin)  # a copy by pickle would get its own parameters
        vars(other).update(vars(self))
        other.module, other.state = module, State(module)
        return other

    def __getstate__(self) -> dict[str, Any]:
        # each view would pickle the whole tensor, so the pickled copy has its own parameters
        own = {id(leaf): torch.nn.Parameter(leaf.detach().clone(), requires_grad=False) for leaf in self.leaves}
        kind = None if self.statistics is None else (type(self.statistics), self.statistics.source)
        module = packed(again(self.module, own))
        return {"module": module, "names": self.names, "statistics": kind, "followed": self._followed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(unpacked(*state["module"]), state["names"])  # type: ignore[misc]
        if state["followed"]:
            self.follow()
        if state["statistics"] is not None:
            kind, source = state["statistics"]
            self.statistics = kind(self, *source)


def private_copy(model: torch.nn.Module, dtype: torch.dtype | None, device: torch.device | None) -> torch.nn.Module:
    """Copy a model in evaluation mode, without gradients and wrappers.

    Parameters
    ----------
    model : torch.nn.Module
        The user's model; it is not changed.
    dtype, device : optional
        Convert the copy.

    Returns
    -------
    torch.nn.Module
        The copy. The user's forward hooks on it are monitored, see `hooks`.

    Raises
    ------
    InputError
        If the model cannot be copied or evaluated at another point.
    """
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    model = unwrapped(model)
    _refuse_odd(model)
    try:
        twin = copied(model)
    except (RuntimeError, TypeError, AttributeError, NotImplementedError, ValueError) as error:
        raise InputError(f"model: expected a model that copy.deepcopy can copy, got {error}") from error
    twin = twin.to(device=device, dtype=dtype).eval().requires_grad_(requires_grad=False)
    with_second_derivatives(twin)
    return twin


def _refuse_odd(model: torch.nn.Module) -> None:
    if any(isinstance(part, torch.jit.ScriptModule) for part in model.modules()):
        repair = "pass the module that was scripted or traced, with the same weights"
        raise InputError(worded("model", "a Python module", "a TorchScript one", repair))
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "placements"):
            repair = "trajmap.objective.distributed.sharded_hessian, or load the whole weights into a plain model"
            raise InputError(worded(name, "a whole tensor", "one sharded over processes", repair))
        if parameter.requires_grad or isinstance(parameter, torch.nn.UninitializedParameter) or parameter.is_meta:
            check_parameter(name, parameter)
