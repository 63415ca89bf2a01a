"""The loss as a function of the flat parameter vector θ."""

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

import numpy as np
import torch

from trajmap._models import check_parameter, unwrapped
from trajmap._validation import Array, check_choice, worded
from trajmap.data.layout import Layout
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.batch_copies import fixed_batches
from trajmap.objective.batches import Batch, Batches
from trajmap.objective.checks import moving_gradients, probe, probe_derivative
from trajmap.objective.differences import DifferenceHessian
from trajmap.objective.evaluator import Evaluator
from trajmap.objective.function import call, function_model
from trajmap.objective.hessian import HessianOperator
from trajmap.objective.hooks import settle_hooks
from trajmap.objective.isolation import isolated_rng
from trajmap.objective.kernels import value_kernels
from trajmap.objective.losses import Loss
from trajmap.objective.memory import free_memory
from trajmap.objective.operator import Operator, as_array
from trajmap.objective.placement import chosen_device
from trajmap.objective.points import ArrayPoints, Points, as_points
from trajmap.objective.run_statistics import RunStatistics
from trajmap.objective.statistics import Statistics, keeps_statistics
from trajmap.objective.strategy import PLAIN, Parts, Strategy, loss_value
from trajmap.objective.trials import nearby
from trajmap.objective.twin import Twin, private_copy
from trajmap.objective.weights import weigh, without_idle

__all__ = ["Objective"]


class Objective:
    """L(θ) over fixed data, with its gradient and Hessian products.

    The model is copied once, in evaluation mode, and only the copy is evaluated: parameters, buffers, gradients, modes
    and random states of the user never change. The copy's parameters are views of one flat tensor, to which points are
    written. Buffers are frozen at their present values. Batches are read once and copied; each call of the loss gets a
    fresh one. Points and directions are arrays, or tensors on the objective's device; so are results.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    loss : callable
        ``loss(model, batch)`` gives the scalar mean over the batch, or the sum (`reduction`). `model` is the private
        copy at the given point. Classifiers, language models (``model(**batch).loss``), a model's own training step and
        physics-informed networks all have this form.
    batches : iterable
        The data: a loader or a list of batches of any structure. The loader's random generators do not change.
    layout : Layout, optional
        The parameters in θ, for example ``trajectory.layout``; by default those that require gradients.
    metrics : dict of str to callable, optional
        Further ``metric(model, batch) -> scalar mean``.
    device, dtype : optional
        Device and precision of the evaluation; by default those of the model.
    re_estimate : bool
        Compute BatchNorm's statistics at each point as the mean over the batches, because between two networks the
        stored ones fit neither (Garipov et al. 2018).
    check : bool
        Check the loss on the first batch: two values at one point or no dependence on θ raise an error, a wrong
        gradient gives a warning. The loss of two joined batches is compared with the weighted mean of theirs.
    weights : sequence of float or callable, optional
        The weight of each batch: numbers, or a function that returns the number of items (samples, tokens, …) in a
        batch's mean. By default targets of a torch criterion in `supervised`, else samples, labels other than −100,
        entries of masks or sample weights, if they agree with the loss of joined batches; else a `WeightsWarning` tells
        the choice.
    reduction : {"mean", "sum"}
        ``"sum"``: the loss of a batch is a sum, and L the sum over all batches; metrics stay means.
    max_batches : int, optional
        Read only this many batches; required for a loader that has no length and does not end.

    Raises
    ------
    InputError
        If the arguments do not fit, or the loss is not a scalar, or does not depend on the parameters.
    LayoutError
        If `layout` names parameters that the model does not have.
    NondeterministicError
        If the loss is not a function of θ (dropout or sampling is on).

    Notes
    -----
    Compiled, data-parallel and averaged models are unwrapped. Forward hooks that only read are removed from the copy;
    those that change something stay. The loss may use anything of the model:

    - a training step of Lightning's: ``lambda model, batch: model.training_step(batch, 0)`` (the copy logs nothing);
    - a penalty: ``lambda model, batch: cross_entropy(model(batch[0]), batch[1]) + 1e-4 * model.head.weight.norm()``;
    - several parts: put them in ``torch.nn.ModuleDict({"g": generator, "d": critic})``, and call ``model["g"]`` and
      ``model["d"]`` in the loss;
    - no torch at all: `from_function`.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> batch = (torch.eye(2), torch.zeros(2, 1))
    >>> bowl = Objective(model, lambda model, b: ((model(b[0]) - b[1]) ** 2).mean(), [batch])
    >>> bowl.value([3.0, 4.0]), bowl.gradient([3.0, 4.0]).tolist(), bowl.hvp([3.0, 4.0], [1.0, 0.0]).tolist()
    (12.5, [3.0, 4.0], [1.0, 0.0])
    """

    def __init__(  # ruff: ignore[too-many-arguments] - each is one independent choice, and most have defaults
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
        weights: Sequence[float] | Callable[[Any], Any] | None = None,
        reduction: str = "mean",
        max_batches: int | None = None,
    ) -> None:
        place = chosen_device(device)
        module = private_copy(model, dtype, place)
        trainable = [name for name, parameter in unwrapped(model).named_parameters() if parameter.requires_grad]
        names = trainable if layout is None else list(layout.names)
        own = dict(module.named_parameters())
        shapes = {name: tuple(own[name].shape) for name in names if name in own}
        self.layout = Layout(tuple(shapes), tuple(shapes.values()))
        if layout is not None:
            self.layout.require(layout, "layout")
            for name in names:
                check_parameter(name, own[name])
        self._twin = Twin(module, self.layout.names)
        self._own = as_array(self._twin.flat).copy()
        self._functions = {"loss": loss, **(metrics or {})}
        with isolated_rng():
            read = fixed_batches(batches, place, dtype, max_batches=max_batches)
        self._needs_graph, self._chosen_buffers = False, False
        with isolated_rng():
            first = functools.partial(self._loss_of, read.kept[0])
            self._needs_graph = probe(self._twin, functools.partial(self._here, read.kept[0]), self._eps, check=check)
            settle_hooks(module)
            run = functools.partial(self._here, with_graph=self._needs_graph) if check else None
            self._twin.visit(nearby)  # with a last layer of zeros all batches have equal losses
            # accelerators may multiply float32 in narrower formats
            rough = max(1e-5 if self.like.device.type == "cpu" else 2e-3, 4 * self._eps)
            weighing = weigh(read, loss, weights=weights, reduction=reduction, run=run, tolerance=rough)
            self._go(self.tensor(self._own))
            if check and not re_estimate:
                probe_derivative(self._twin, first, needs_graph=self._needs_graph)
        self._batches, self._weighing = without_idle(read, weighing)
        if re_estimate:
            self._twin.statistics = Statistics(self._twin, self._batches, loss)
        self._plain = Evaluator(self.parts, PLAIN)
        self.choices: dict[tuple[bool, int], Strategy] = {}  # fast strategies found so far, by their setting

    @classmethod
    def from_function(
        cls,
        f: Callable[[Array], Any],
        *,
        size: int,
        gradient: Callable[[Array], Any] | None = None,
        hessian_product: Callable[[Array, Array], Any] | None = None,
        theta: Array | None = None,
        check: bool = True,
    ) -> "Objective":
        """Make an objective from a function outside torch: NumPy, JAX, a simulator.

        Iterates are ``Trajectory.of(array)``. Without `gradient`, central differences are used, with two calls of `f`
        per parameter; without `hessian_product`, differences of the gradient, with two gradients per vector.

        Parameters
        ----------
        f : callable
            ``f(theta) -> number``; it gets its own float64 array of shape (P,).
        size : int
            P.
        gradient : callable, optional
            ``gradient(theta) -> (P,)``.
        hessian_product : callable, optional
            ``hessian_product(theta, v) -> (P,)``.
        theta : array-like, shape (P,), optional
            A point where `f` is defined; zeros by default.
        check : bool
            Call `f` there twice and, where a gradient is given, compare it with difference quotients.

        Returns
        -------
        Objective
            Its layout has one entry, ``theta``.

        Examples
        --------
        >>> A = np.diag([3.0, 1.0])
        >>> bowl = Objective.from_function(lambda x: 0.5 * x @ A @ x, size=2, gradient=lambda x: A @ x)
        >>> bowl.value([1.0, 1.0]), bowl.gradient([1.0, 1.0]).tolist(), bowl.hvp([1.0, 1.0], [1.0, 0.0]).round(6)
        (2.0, [3.0, 1.0], array([3., 0.]))
        """
        model = function_model(f, size, gradient, hessian_product, theta)
        found = cls(model, call, [()], check=check and gradient is not None)
        if check and gradient is None:  # comparing a gradient by differences with differences would only cost time
            probe(found._twin, functools.partial(found._here, found._batches.kept[0]), found._eps, check=True)
        return found

    @property
    def size(self) -> int:
        """P, the number of entries of θ."""
        return self.layout.size

    @property
    def theta(self) -> Array:
        """The model's own point, shape (P,), as it was when the objective was made."""
        return self._own.copy()

    @property
    def like(self) -> torch.Tensor:
        """An empty tensor of the model's number format on its device."""
        return self._twin.flat[:0]

    @property
    def model(self) -> torch.nn.Module:
        """The evaluated private copy, for inspection; its parameters are those of the last point."""
        return self._twin.module

    @property
    def parts(self) -> Parts:
        """The parts of the objective, for other ways to evaluate it."""
        return Parts(self._twin, self._functions, self._batches, self._weighing, self._needs_graph)

    def value(self, theta: Array | torch.Tensor) -> float:
        """Loss at one point; NaN and inf are returned unchanged.

        Parameters
        ----------
        theta : array-like or torch.Tensor, shape (P,)
            The point.

        Returns
        -------
        float
            L(θ), in the units of the loss.
        """
        return float(self.values([self.tensor(theta)])[0])

    def values(self, thetas: Any) -> Array:
        """Loss at several points.

        Parameters
        ----------
        thetas : Points, Iterates, array-like of shape (n, P), or sequence of tensors of shape (P,)
            The points; lazy iterates are read one at a time.

        Returns
        -------
        numpy.ndarray, shape (n,)
            Losses, float64.
        """
        return self._plain.evaluate(self._points(thetas), only=("loss",))["loss"]

    def metrics(self, theta: Array | torch.Tensor) -> dict[str, float]:
        """Every metric at one point, shape (P,), by name."""
        names = [name for name in self._functions if name != "loss"]
        found = self._plain.evaluate(ArrayPoints([self.tensor(theta)]), only=names)
        return {name: float(values[0]) for name, values in found.items()}

    def evaluate(self, thetas: Any) -> dict[str, Array]:
        """Loss and metrics at several points; a common forward pass is run once.

        Parameters
        ----------
        thetas : Points, Iterates, array-like of shape (n, P), or sequence of tensors of shape (P,)
            The points.

        Returns
        -------
        dict of str to numpy.ndarray of shape (n,)
            ``loss`` and each metric, float64.
        """
        return self._plain.evaluate(self._points(thetas))

    def batch_losses(self, theta: Array | torch.Tensor) -> tuple[Array, Array]:
        """Loss of each batch, and the batches' weights, which sum to one for a mean; shape (n_batches,) each."""
        return self._plain.by_piece(ArrayPoints([self.tensor(theta)]))[0], np.array(self._weighing.weights)

    def outputs(self, theta: Array | torch.Tensor, inputs: Any) -> Any:
        """Run the model at a point of shape (P,) and return ``model(inputs)``, detached."""
        with self._twin.lock, isolated_rng(), torch.no_grad():
            self._go(self.tensor(theta))
            try:
                return self._twin.module(inputs)
            finally:
                self._twin.state.restore()

    def with_buffers(self, buffers: Mapping[str, Array]) -> "Objective":
        """Make the same objective with other buffers, for example those recorded with an iterate.

        Parameters
        ----------
        buffers : mapping of str to array-like
            By name, for example ``trajectory.buffers(i)``; other buffers do not change.

        Returns
        -------
        Objective
            It shares data, layout and the memory of the parameters with this one.

        Raises
        ------
        InputError
            If a buffer is unknown or has another shape.
        """
        other = copy.copy(self)
        other._twin, other._chosen_buffers = self._twin.with_buffers(buffers), True
        other._plain = Evaluator(other.parts, PLAIN)
        return other

    def for_run(self, trajectory: Trajectory | None) -> "Objective":
        """Make the same objective with the BatchNorm statistics recorded in a run.

        At an iterate, its own statistics are used. Elsewhere they are estimated from the objective's data and corrected
        by the difference between a near iterate's recorded and estimated statistics. Without recorded statistics or
        without a run, they are estimated at each point. A model without buffers does not change.

        Parameters
        ----------
        trajectory : Trajectory or None
            The run.

        Returns
        -------
        Objective
            `statistics` describes its statistics.

        Raises
        ------
        InputError
            If the run's buffers are not the model's.
        LayoutError
            If its parameters are not.
        """
        if trajectory is not None:
            self.layout.require(trajectory.layout, "trajectory")
        recorded, own = {} if trajectory is None else trajectory.buffers(-1), dict(self._twin.module.named_buffers())
        foreign = [name for name in recorded if name not in own]
        if foreign:
            raise InputError(worded("trajectory", f"buffers among {', '.join(own) or 'none'}", ", ".join(foreign)))
        if not recorded and not keeps_statistics(self._twin.module):
            return self
        other = copy.copy(self)
        other._twin = self._twin.with_buffers({})
        if trajectory is not None and recorded:
            other._twin.statistics = RunStatistics(other._twin, self._batches, self._functions["loss"], trajectory)
        else:
            other._twin.statistics = Statistics(other._twin, self._batches, self._functions["loss"])
        other._plain = Evaluator(other.parts, PLAIN)
        return other

    def along(self, trajectory: Trajectory) -> "Objective":
        """Check that a run belongs to this objective, and return the objective to evaluate along it.

        Parameters
        ----------
        trajectory : Trajectory
            The run.

        Returns
        -------
        Objective
            The result of `for_run` if the buffers are frozen at the model's values; buffers chosen by `with_buffers`,
            `for_run` or ``re_estimate=True`` do not change.
        """
        self.layout.require(trajectory.layout, "trajectory")
        chosen = self._chosen_buffers or self._twin.statistics is not None
        return self if chosen or not trajectory.buffers(-1) else self.for_run(trajectory)

    @property
    def frozen_statistics(self) -> bool:
        """Whether the buffers are the model's at every point."""
        return self._twin.statistics is None

    @property
    def statistics(self) -> str:
        """Description of BatchNorm's statistics and other buffers at a point."""
        recomputed = self._twin.statistics
        return "frozen at the model's values" if recomputed is None else recomputed.words

    def on_batches(self, batches: Batches, weights: list[float]) -> "Objective":
        """Make the same objective on other batches, for example pieces of its own, with their weights."""
        other = copy.copy(self)
        other._batches, other.choices = batches, {}
        other._weighing = dataclasses.replace(self._weighing, weights=weights)
        other._plain = Evaluator(other.parts, PLAIN)
        return other

    @overload
    def gradient(self, theta: torch.Tensor) -> torch.Tensor: ...

    @overload
    def gradient(self, theta: Array) -> Array: ...

    def gradient(self, theta: Array | torch.Tensor) -> Array | torch.Tensor:
        """Gradient ∇L(θ) at a point, both of shape (P,): float64 for an array, the model's dtype for a tensor."""
        found = self._slope(self.tensor(theta))
        return found if isinstance(theta, torch.Tensor) else as_array(found).astype(np.float64)

    def _slope(self, point: torch.Tensor) -> torch.Tensor:
        twin = self._twin
        with twin.lock, isolated_rng(), twin.differentiable():
            self._go(point)
            for term in self.parts.terms():
                if term.requires_grad:
                    term.backward()
            return twin.gathered()

    def hvp(self, theta: Array | torch.Tensor, v: Array) -> Array:
        """Hessian-vector product H(θ)v, all of shape (P,), float64; for many vectors at a point use `hessian`."""
        return self.hessian(theta)(v)

    def hessian(self, theta: Array | torch.Tensor, *, method: str = "exact", memory: float | None = None) -> Operator:
        """Hessian at a point as an operator: call it with an array, or ``multiply`` a tensor, both of shape (P,).

        Exact products cost 1.1 to 1.4 gradients per vector if the graphs of all batches fit in memory, else 2 or more.

        Parameters
        ----------
        theta : array-like or torch.Tensor, shape (P,)
            The point.
        method : str
            ``"exact"`` differentiates twice. ``"differences"`` uses two gradients per vector, without second
            derivatives (fused attention, custom kernels) or memory for them; the operator has its ``error``.
        memory : float, optional
            Bytes that the graphs may take; by default half of the free memory.

        Returns
        -------
        Operator
            v ↦ H(θ)v.

        Raises
        ------
        InputError
            If the method is unknown.
        """
        if check_choice("method", method, ("exact", "differences")) == "differences":
            return DifferenceHessian(self._slope, self.tensor(theta))
        limit = 0.5 * free_memory(self.like.device) if memory is None else memory
        point = self.tensor(theta)
        found = HessianOperator(self._twin, self.parts.terms, point, len(self._batches), limit=limit)
        hidden = [self.layout.names[i] for i in moving_gradients(self._slope, point, found.constant, self._twin.sizes)]
        if hidden:
            expected, got = "a loss with second derivatives", f"none of {', '.join(hidden)}"
            raise InputError(worded("loss", expected, got, 'hessian(theta, method="differences")'))
        return found

    def tensor(self, theta: Array | torch.Tensor) -> torch.Tensor:
        """Bring a point or a direction of shape (P,) to the model's number format and device."""
        return self._twin.tensor(theta)

    def __getstate__(self) -> dict[str, Any]:
        # the evaluator holds the twin's module, of which the twin makes a copy that can be pickled
        return {name: value for name, value in vars(self).items() if name != "_plain"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._plain = Evaluator(self.parts, PLAIN)

    def _points(self, thetas: Any) -> Points:
        if isinstance(thetas, (list, tuple)) and thetas and isinstance(thetas[0], torch.Tensor):
            thetas = [self.tensor(theta) for theta in thetas]
        return as_points(thetas, self.size)

    def _go(self, point: torch.Tensor) -> None:
        self._twin.visit(lambda flat: flat.copy_(point))

    @property
    def _eps(self) -> float:
        return torch.finfo(self.like.dtype).eps

    def _here(self, batch: Batch, with_graph: bool) -> float:  # ruff: ignore[boolean-type-hint-positional-argument] - probe's
        return float(self._loss_of(batch, with_graph).detach())

    def _loss_of(self, batch: Batch, with_graph: bool) -> torch.Tensor:  # ruff: ignore[boolean-type-hint-positional-argument]
        with value_kernels(with_graph=with_graph), torch.set_grad_enabled(with_graph):
            found = loss_value(self._functions["loss"](self._twin.module, batch.fresh("probe")))
        if any(part.training for part in self._twin.module.modules()):
            self._twin.state.restore()
            expected, got = "a function of a model in evaluation mode", "one that calls model.train()"
            raise InputError(worded("loss", expected, got, "do not change the mode: BatchNorm and dropout need it"))
        self._twin.state.restore()
        return found
