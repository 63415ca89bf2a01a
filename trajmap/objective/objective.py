"""The loss as a function of the flat parameter vector θ."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from trajmap._validation import Array, check_array, worded
from trajmap.data.layout import Layout
from trajmap.errors import InputError
from trajmap.objective.batches import batch_weights, fixed_batches
from trajmap.objective.checks import probe, scalar
from trajmap.objective.hessian import HessianProduct, free_memory
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.losses import Loss
from trajmap.objective.model_at import ModelAt, Remembering, as_array, private_copy
from trajmap.objective.statistics import re_estimated, statistics_twin
from trajmap.objective.strategy import Parts

__all__ = ["Objective"]


class Objective:
    """L(θ) over fixed data, with its gradient and Hessian products.

    The model is copied once, put in evaluation mode, and only the copy is evaluated: parameters, buffers,
    gradients, modes and random states of the user's process never change. Buffers are frozen at the model's present
    values. Batches are read once and weighted by their number of samples.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    loss : callable
        ``loss(model, batch)`` gives the scalar mean over the batch. `model` is a callable with the given parameters:
        classifiers, language models (``model(**batch).loss``) and physics-informed networks are written alike.
    batches : iterable
        The data: a loader or a list of batches of any structure.
    layout : Layout, optional
        Parameters that θ lists, as ``trajectory.layout``; by default those that require gradients.
    metrics : dict of str to callable, optional
        Further ``metric(model, batch) -> scalar mean``.
    device, dtype : optional
        Where and in which precision to evaluate; by default as the model is.
    re_estimate : bool
        Compute BatchNorm's statistics anew at each point, as the batches' mean: between two networks the kept ones
        belong to neither (Garipov et al. 2018).
    check : bool
        Evaluate the first batch twice and refuse a loss that gives two values.

    Raises
    ------
    InputError
        If the arguments do not fit, or the loss is not a scalar.
    LayoutError
        If `layout` names parameters that the model does not have.
    NondeterministicError
        If the loss is not a function of θ (dropout or sampling left on).

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> batch = (torch.eye(2), torch.zeros(2, 1))
    >>> bowl = Objective(model, lambda model, b: ((model(b[0]) - b[1]) ** 2).mean(), [batch])
    >>> bowl.value([3.0, 4.0]), bowl.gradient([3.0, 4.0]).tolist(), bowl.hvp([3.0, 4.0], [1.0, 0.0]).tolist()
    (12.5, [3.0, 4.0], [1.0, 0.0])
    """

    def __init__(
        self,
        model: torch.nn.Module,
        loss: Loss,
        batches: Iterable[Any],
        *,
        layout: Layout | None = None,
        metrics: Mapping[str, Loss] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        re_estimate: bool = False,
        check: bool = True,
    ) -> None:
        place = None if device is None else torch.device(device)
        self._module = private_copy(model, dtype, place)
        trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        names = trainable if layout is None else list(layout.names)
        own = dict(self._module.named_parameters())
        shapes = {name: tuple(own[name].shape) for name in names if name in own}
        self.layout = Layout(tuple(shapes), tuple(shapes.values()))
        if layout is not None:
            self.layout.require(layout, "layout")
        self._leaves = [own[name] for name in self.layout.names]
        self._loss = loss
        self._metrics = dict(metrics or {})
        with isolated_rng():
            self._batches = fixed_batches(batches, place, dtype)
        self._weights = batch_weights(self._batches)
        self._statistics = statistics_twin(self._module) if re_estimate else None
        with isolated_rng():
            self._needs_graph = probe(self._first_batch, torch.finfo(self._leaves[0].dtype).eps, check=check)

    @property
    def size(self) -> int:
        """P, the number of entries of θ."""
        return self.layout.size

    @property
    def like(self) -> torch.Tensor:
        """An empty tensor of the model's number format on its device."""
        return self._leaves[0].detach().new_empty(0)

    @property
    def theta(self) -> Array:
        """The model's own point, shape (P,), as it was when the objective was made."""
        return np.concatenate([as_array(leaf).ravel() for leaf in self._leaves])

    @property
    def model(self) -> torch.nn.Module:
        """The private copy that is evaluated, to look at its structure; its parameters are not used."""
        return self._module

    @property
    def parts(self) -> Parts:
        """What the objective is made of, for the strategies that evaluate it."""
        functions, data = {"loss": self._loss, **self._metrics}, (self._batches, self._weights)
        flags = (self._needs_graph, self._statistics is not None)
        return Parts(self._module, functions, *data, self.layout.names, *flags, self._tensor, self._model_at)

    def value(self, theta: Array) -> float:
        """Loss at one point; NaN and inf are returned as they are.

        Parameters
        ----------
        theta : array-like, shape (P,)
            The point.

        Returns
        -------
        float
            L(θ), in the units of the loss.
        """
        return float(self.values(np.asarray(theta)[None])[0])

    def values(self, thetas: Array) -> Array:
        """Loss at several points.

        Parameters
        ----------
        thetas : array-like, shape (n, P)
            The points.

        Returns
        -------
        numpy.ndarray, shape (n,)
            Losses, float64.
        """
        with isolated_rng():
            points = map(self._tensor, check_array("thetas", thetas, (None, self.size)))
            return np.array([self._means({"loss": self._loss}, point)[0] for point in points])

    def metrics(self, theta: Array) -> dict[str, float]:
        """Every metric at one point, shape (P,), by name."""
        with isolated_rng():
            return dict(zip(self._metrics, self._means(self._metrics, self._point(theta)), strict=True))

    def evaluate(self, thetas: Array) -> dict[str, Array]:
        """Loss and metrics at several points; a forward that both ask for is run once.

        Parameters
        ----------
        thetas : array-like, shape (n, P)
            The points.

        Returns
        -------
        dict of str to numpy.ndarray of shape (n,)
            ``loss`` and each metric, float64.
        """
        functions = self.parts.functions
        with isolated_rng():
            points = map(self._tensor, check_array("thetas", thetas, (None, self.size)))
            rows = [self._means(functions, point) for point in points]
        return {name: np.array([row[i] for row in rows], dtype=np.float64) for i, name in enumerate(functions)}

    def batch_losses(self, theta: Array) -> tuple[Array, Array]:
        """Mean loss of each batch, and the batches' weights, which sum to one; shape (n_batches,) each."""
        with isolated_rng(), torch.set_grad_enabled(self._needs_graph):
            model = self._model_at(self._point(theta))
            means = [float(self._loss(model, batch).detach()) for batch in self._batches]
        return np.array(means), np.array(self._weights)

    def outputs(self, theta: Array, inputs: Any) -> Any:
        """Run the model at a point of shape (P,) and give what ``model(inputs)`` does, detached."""
        with isolated_rng(), torch.no_grad():
            return self._model_at(self._point(theta))(inputs)

    def with_buffers(self, buffers: Mapping[str, Array]) -> "Objective":
        """Make the same objective with other buffers, as those recorded beside an iterate.

        Parameters
        ----------
        buffers : mapping of str to array-like
            By name, as ``trajectory.buffers(i)``; others stay as they are.

        Returns
        -------
        Objective
            It shares data and layout with this one.

        Raises
        ------
        InputError
            If a buffer is unknown or of another shape.
        """
        other = copy.copy(self)
        other._module = copy.deepcopy(self._module)
        own = dict(other._module.named_buffers())
        for name, values in buffers.items():
            if name not in own:
                raise InputError(worded("buffers", f"names among {', '.join(own)}", name))
            own[name].copy_(torch.tensor(check_array(name, values, tuple(own[name].shape))))
        other._leaves = [dict(other._module.named_parameters())[name] for name in self.layout.names]
        return other

    def gradient(self, theta: Array) -> Array:
        """Gradient ∇L(θ) at a point, both of shape (P,), float64."""
        point = self._point(theta).requires_grad_()
        with isolated_rng(), torch.enable_grad():
            parts = [torch.autograd.grad(term, point)[0] for term in self._terms(point)]
        return as_array(torch.stack(parts).sum(dim=0)).astype(np.float64)

    def hvp(self, theta: Array, v: Array) -> Array:
        """Hessian-vector product H(θ)v, all of shape (P,), float64; for many vectors at a point take `hessian`."""
        return self.hessian(theta)(v)

    def hessian(self, theta: Array, *, memory: float | None = None) -> Callable[[Array], Array]:
        """Hessian at a point as a function v ↦ H(θ)v, both of shape (P,), float64.

        Costs 1.1 to 1.4 gradients a vector while the graphs of all batches fit in memory, else 2 or more.

        Parameters
        ----------
        theta : array-like, shape (P,)
            The point.
        memory : float, optional
            Bytes the graphs may hold; by default half of what is free.

        Returns
        -------
        callable
            The product.
        """
        point = self._point(theta).requires_grad_()
        limit = 0.5 * free_memory(point.device) if memory is None else memory
        with isolated_rng(), torch.enable_grad():
            bent = HessianProduct(self._terms, point, len(self._batches), limit=limit)

        def product(v: Array) -> Array:
            vector = self._tensor(check_array("v", v, (self.size,)))
            with isolated_rng(), torch.enable_grad():
                return as_array(bent(vector)).astype(np.float64)

        return product

    def _terms(self, point: torch.Tensor) -> Iterator[torch.Tensor]:
        model = self._model_at(point)
        for weight, batch in zip(self._weights, self._batches, strict=True):
            yield self._loss(model, batch) * weight

    def _means(self, functions: Mapping[str, Loss], point: torch.Tensor) -> list[float]:
        model = self._model_at(point)
        totals = [0.0] * len(functions)
        with torch.set_grad_enabled(self._needs_graph):
            for weight, batch in zip(self._weights, self._batches, strict=True):
                shared = Remembering(model) if len(functions) > 1 else model
                for i, function in enumerate(functions.values()):
                    totals[i] += weight * float(function(shared, batch).detach())
        return totals

    def _point(self, theta: Array) -> torch.Tensor:
        return self._tensor(check_array("theta", theta, (self.size,)))

    def _tensor(self, theta: Array) -> torch.Tensor:
        return torch.tensor(theta).to(self._leaves[0])  # its dtype and device

    def _model_at(self, point: torch.Tensor) -> ModelAt:
        pieces = torch.split(point, list(self.layout.sizes))
        tensors = {
            name: piece.view(leaf.shape).to(leaf.dtype)
            for name, piece, leaf in zip(self.layout.names, pieces, self._leaves, strict=True)
        }
        # a forward that writes to a buffer writes to a clone, so that no evaluation sees another's
        buffers = {name: buffer.clone() for name, buffer in self._module.named_buffers()}
        if self._statistics is not None:
            buffers = re_estimated(self._statistics, {**buffers, **tensors}, self._batches, self._loss)
        return ModelAt(self._module, {**buffers, **tensors})

    def _first_batch(self, with_graph: bool) -> float:  # ruff: ignore[boolean-type-hint-positional-argument] - probe's
        with torch.set_grad_enabled(with_graph):
            return scalar(self._loss(self._model_at(self._tensor(self.theta)), self._batches[0]))
