"""The check of a group of units: a network with permuted units must give the same outputs."""

from collections.abc import Collection, Sequence

import numpy as np
import torch

from trajmap._validation import Array
from trajmap.basins.unit_group import UnitAxis, UnitGroup, places
from trajmap.basins.unit_inputs import Forward, tensors_in

__all__ = ["UnitCheck"]


class UnitCheck:
    """Permute the units of a private network, perturbed a little so that no two of them are equal.

    Parameters
    ----------
    network : torch.nn.Module
        A private copy, which is changed.
    forward : Forward
        Its inputs.
    eps : float
        Rounding of its number format.
    """

    def __init__(self, network: torch.nn.Module, forward: Forward, eps: float) -> None:
        self._network, self._forward = network, forward
        # sums in another order agree to a few roundings per layer; half of the digits is far above that
        self._low = eps**0.5
        self._tensors = dict(network.named_parameters()) | dict(network.named_buffers())
        self._rng = np.random.default_rng(0)

    def shake(self, buffers: Collection[str]) -> None:
        """Move all parameters and some buffers away from values that units share, such as zero and one.

        Parameters
        ----------
        buffers : collection of str
            Which.
        """
        rng = torch.Generator().manual_seed(0)
        for name, tensor in self._tensors.items():
            held = tensor.data
            if not held.is_floating_point() or not (name in buffers or isinstance(tensor, torch.nn.Parameter)):
                continue
            noise = torch.randn(held.shape, generator=rng, dtype=held.dtype if held.device.type == "cpu" else None)
            width = float(held.double().square().mean().sqrt()) or 0.1
            # a variance must stay positive
            positive = name in buffers and bool((held > 0).all())
            moved = held * (0.3 * noise.to(held)).exp() if positive else held + 0.3 * width * noise.to(held)
            held.copy_(moved)
        self._before = self._outputs()

    def complaint(self, groups: Sequence[UnitGroup]) -> str:
        """Return the error of groups; empty if permuting all of them changes no output.

        Parameters
        ----------
        groups : sequence of UnitGroup
            The units.

        Returns
        -------
        str
            Reason why the groups must be omitted, or the empty string.
        """
        moves = [(axis, order) for g in groups for order in [self._order(g.size)] for axis in (*g.axes, *g.buffers)]
        whole = self._effect(moves)
        if not whole <= self._low:  # NaN included
            return f"permuting them changes the outputs by {whole:.1g} of their size"
        # outputs that do not change when only a part of the group moves would agree in any case
        if len(moves) > len(groups) and not any(self._effect([m]) > max(self._low, 10 * whole) for m in moves):
            return "the outputs do not depend on them here, so nothing was verified"
        return ""

    def _order(self, size: int) -> Array:
        order = self._rng.permutation(size)
        return np.roll(order, 1) if (order == np.arange(size)).all() else order

    def _effect(self, moves: Sequence[tuple[UnitAxis, Array]]) -> float:
        names = {axis[0] for axis, _ in moves}
        kept = {name: self._tensors[name].data.clone() for name in names}
        for (name, axis, *times), order in moves:
            held = self._tensors[name].data
            held.copy_(held.index_select(axis, torch.tensor(places(order, held.shape[axis], *times)).to(held.device)))
        try:
            after = self._outputs()
        finally:
            for name, values in kept.items():
                self._tensors[name].data.copy_(values)
        pairs = list(zip(self._before, after, strict=True))
        return max((float((a - b).abs().max() / a.abs().max()) for a, b in pairs if a.numel()), default=float("nan"))

    def _outputs(self) -> list[torch.Tensor]:
        found = tensors_in(self._forward.fitted(self._network)(self._network))
        return [tensor.detach().clone() for tensor in found if tensor.is_floating_point()]
