"""The proof of a group of units: a network with its units permuted gives the same outputs."""

import numpy as np
import torch

from trajmap.projection.unit_group import UnitGroup, places
from trajmap.projection.unit_inputs import Forward, tensors_in

__all__ = ["UnitCheck"]


class UnitCheck:
    """Permutes the units of a private network, shaken a little so that no two of them are alike.

    Parameters
    ----------
    network : torch.nn.Module
        A private copy, which is changed.
    forward : Forward
        Its inputs.
    """

    def __init__(self, network: torch.nn.Module, forward: Forward) -> None:
        self._network, self._forward = network, forward
        self._tensors = dict(network.named_parameters()) | dict(network.named_buffers())
        self._rng = np.random.default_rng(0)

    def shake(self, groups: list[UnitGroup]) -> None:
        """Move all parameters, and the buffers of the groups, off values that units share, as zero and one are."""
        rng = torch.Generator().manual_seed(0)
        buffers = {name for group in groups for name, *_ in group.buffers}
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

    def complaint(self, group: UnitGroup) -> str:
        """Say what is wrong with a group; nothing where permuting it changes no output.

        Parameters
        ----------
        group : UnitGroup
            The units.

        Returns
        -------
        str
            Why the group must be left out, or nothing.
        """
        axes = (*group.axes, *group.buffers)
        low = max(torch.finfo(t.dtype).eps for t in self._tensors.values() if t.is_floating_point()) ** 0.5
        order = self._order(group.size)
        whole = self._effect(axes, order)
        if not whole <= low:  # NaN included
            return f"permuting them changes the outputs by {whole:.1g} of their size"
        # outputs that do not feel a part of the group moved alone would have agreed in any case
        if len(axes) > 1 and not any(self._effect((axis,), order) > low for axis in axes):
            return "the outputs do not depend on them here, so nothing was verified"
        return ""

    def _order(self, size: int) -> np.ndarray:
        order = self._rng.permutation(size)
        return np.roll(order, 1) if (order == np.arange(size)).all() else order

    def _effect(self, axes: tuple[tuple[str, int] | tuple[str, int, int], ...], order: np.ndarray) -> float:
        names = {name for name, *_ in axes}
        kept = {name: self._tensors[name].data.clone() for name in names}
        for name, axis, *times in axes:
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
