"""The buffers of an iterate, such as BatchNorm's running statistics."""

import dataclasses
import math

import numpy as np

from trajmap._validation import Array

__all__ = ["BufferLayout"]


@dataclasses.dataclass(frozen=True)
class BufferLayout:
    """Names, shapes and dtypes of buffers; unlike parameters they may have different dtypes.

    Parameters
    ----------
    names : tuple of str
        Names as in ``model.named_buffers()``.
    shapes : tuple of tuple of int
        One shape per name.
    dtypes : tuple of str
        One NumPy dtype per name.

    Raises
    ------
    ValueError
        If the lengths differ or a dtype is unknown.

    Examples
    --------
    >>> layout = BufferLayout(("mean", "count"), ((2,), ()), ("float32", "int64"))
    >>> {name: array.dtype.name for name, array in layout.empty().items()}
    {'mean': 'float32', 'count': 'int64'}
    """

    names: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    dtypes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "shapes", tuple(tuple(int(n) for n in shape) for shape in self.shapes))
        object.__setattr__(self, "dtypes", tuple(np.dtype(dtype).name for dtype in self.dtypes))
        if not len(self.names) == len(self.shapes) == len(self.dtypes):
            raise ValueError("names, shapes and dtypes of different lengths")

    @property
    def nbytes(self) -> int:
        """Total bytes of all buffers."""
        return sum(math.prod(s) * np.dtype(d).itemsize for s, d in zip(self.shapes, self.dtypes, strict=True))

    def empty(self) -> dict[str, Array]:
        """Make an array for each buffer."""
        return {n: np.empty(s, d) for n, s, d in zip(self.names, self.shapes, self.dtypes, strict=True)}

    def split(self, data: bytes) -> dict[str, Array]:
        """Split bytes into the buffers' arrays, read-only.

        Parameters
        ----------
        data : bytes
            All buffers, concatenated.

        Returns
        -------
        dict of str to numpy.ndarray
            The buffers by name.
        """
        found, place = {}, 0
        for name, shape, dtype in zip(self.names, self.shapes, self.dtypes, strict=True):
            count = math.prod(shape)
            found[name] = np.frombuffer(data, dtype, count, place).reshape(shape)
            place += count * np.dtype(dtype).itemsize
        return found
