"""The order of named parameters in one flat vector θ."""

import dataclasses
import fnmatch
import math
from collections.abc import Mapping, Sequence

import numpy as np

from trajmap._validation import Array, check_array, worded
from trajmap.errors import InputError, LayoutError

__all__ = ["Layout"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Names and shapes of the parameters in θ ∈ R^P, in order.

    Parameters
    ----------
    names : sequence of str
        Names as in ``model.named_parameters()``; a tied parameter is listed once.
    shapes : sequence of tuple of int
        One shape per name; a scalar has shape ().

    Raises
    ------
    LayoutError
        If the lengths differ, a name repeats, or no parameter is listed.

    Examples
    --------
    >>> layout = Layout(("weight", "bias"), ((2, 3), (2,)))
    >>> layout.size
    8
    >>> layout.split(np.arange(8.0))["bias"]
    array([6., 7.])
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "shapes", tuple(tuple(int(n) for n in shape) for shape in self.shapes))
        if not self.names:
            raise LayoutError("names: expected at least one parameter, got none")
        if len(self.names) != len(self.shapes):
            raise LayoutError(f"shapes: expected {len(self.names)} shapes, got {len(self.shapes)}")
        if len(set(self.names)) != len(self.names):
            raise LayoutError("names: expected distinct names, got a repeated one")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each parameter."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        """P, the number of entries of θ."""
        return sum(self.sizes)

    @property
    def slices(self) -> dict[str, slice]:
        """Range of each parameter in θ."""
        stops = np.cumsum(self.sizes).tolist()
        return {name: slice(stop - size, stop) for name, size, stop in zip(self.names, self.sizes, stops, strict=True)}

    def split(self, theta: Array) -> dict[str, Array]:
        """Split θ into views with the parameters' shapes.

        Parameters
        ----------
        theta : array-like, shape (P,)
            The flat vector.

        Returns
        -------
        dict of str to numpy.ndarray
            Views into `theta`, by name, in order.

        Raises
        ------
        InputError
            If `theta` is not of shape (P,).
        """
        theta = check_array("theta", theta, (self.size,))
        return {
            name: theta[where].reshape(shape)
            for (name, where), shape in zip(self.slices.items(), self.shapes, strict=True)
        }

    def join(self, tensors: Mapping[str, Array]) -> Array:
        """Concatenate named arrays: the inverse of `split`.

        Parameters
        ----------
        tensors : mapping of str to array-like
            One array per name; other names raise an error.

        Returns
        -------
        numpy.ndarray, shape (P,)
            The flat vector.

        Raises
        ------
        LayoutError
            If names are missing or unknown, or a shape differs.
        """
        missing = [name for name in self.names if name not in tensors]
        foreign = [name for name in tensors if name not in self.slices]
        if missing or foreign:
            raise LayoutError(f"tensors: expected the layout's names, got missing {missing}, unknown {foreign}")
        arrays = [check_array(name, tensors[name], shape) for name, shape in zip(self.names, self.shapes, strict=True)]
        return np.concatenate([array.ravel() for array in arrays])

    def select(self, pattern: str | Sequence[str]) -> "Layout":
        """Keep the parameters whose name matches a shell pattern (or any of several).

        Parameters
        ----------
        pattern : str or sequence of str
            For example ``"encoder.*.weight"``.

        Returns
        -------
        Layout
            The smaller layout, in the same order.

        Raises
        ------
        InputError
            If nothing matches.
        """
        patterns = [pattern] if isinstance(pattern, str) else list(pattern)
        keep = [i for i, name in enumerate(self.names) if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
        if not keep:
            raise InputError(worded("pattern", f"a match among {', '.join(self.names)}", repr(pattern)))
        return Layout(tuple(self.names[i] for i in keep), tuple(self.shapes[i] for i in keep))

    def require(self, other: "Layout", what: str) -> None:
        """Raise unless another layout is equal.

        Parameters
        ----------
        other : Layout
            The layout to compare.
        what : str
            Owner of `other`, for the message.

        Raises
        ------
        LayoutError
            With the first difference, if the layouts differ.
        """
        if self == other:
            return
        mine, theirs = (dict(zip(layout.names, layout.shapes, strict=True)) for layout in (self, other))
        if self.names == other.names:
            name = next(name for name in mine if mine[name] != theirs[name])
            detail = f"{name} of shape {mine[name]}, got {theirs[name]}"
        else:
            missing = sorted(set(mine) - set(theirs))[:3]
            foreign = sorted(set(theirs) - set(mine))[:3]
            detail = f"the same parameters in the same order, got missing {missing}, unknown {foreign}"
        raise LayoutError(f"{what}: expected {detail}; repair: pass the model of the run")
