"""The tensors of a ``torch.distributed.checkpoint`` folder, read in place without torch and without running code.

Such a folder holds a pickled description, ``.metadata``, and ``*.distcp`` files in which each block of a tensor is a
small file of ``torch.save``. Torch's own reader unpickles the description, which can run any code; here its classes are
replaced by inert ones.
"""

import dataclasses
import io
import math
from pathlib import Path
from typing import Any

from trajmap._validation import Array
from trajmap.data.checkpoints.torch_file import InertUnpickler, read_torch_file
from trajmap.data.store.stored_tensor import StoredTensor, TensorInFile, TensorInPieces
from trajmap.errors import RunFormatError

__all__ = ["is_distributed_checkpoint", "read_distributed_checkpoint"]


def is_distributed_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint of torch.distributed.checkpoint."""
    return (folder / ".metadata").is_file()


def read_distributed_checkpoint(folder: Path) -> dict[str, Any]:
    """List the tensors of a folder by name, with the nesting at the time of saving.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    dict
        Tensors, and dicts of them.

    Raises
    ------
    RunFormatError
        If the description cannot be read, or refers to a file outside the folder.
    """
    try:
        content = InertUnpickler(io.BytesIO((folder / ".metadata").read_bytes())).load()
        described = content.state
        places = {}
        for index, info in described["storage_data"].items():
            corner = index.state.get("offset")
            places[index.state["fqn"], tuple(corner or ())] = _Place.of(folder, info.state)
        tree: dict[str, Any] = {}
        for name, entry in described["state_dict_metadata"].items():
            if isinstance(entry.state, dict) and "chunks" in entry.state:
                path = (described.get("planner_data") or {}).get(name, (name,))
                _put(tree, [str(part) for part in path], _tensor(name, entry.state, places))
    except RunFormatError:
        raise
    except Exception as error:  # a damaged or foreign pickle can fail in any way
        raise RunFormatError(
            f"{folder}: expected a distributed checkpoint, got {error or type(error).__name__}"
        ) from error
    return tree


@dataclasses.dataclass(frozen=True)
class _Place:
    """Place of a block's bytes."""

    path: Path
    begin: int
    size: int

    @classmethod
    def of(cls, folder: Path, state: dict[str, Any]) -> "_Place":
        name = str(state["relative_path"])
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise RunFormatError(f"{folder}: expected files in the folder, got {name}")
        if state.get("transform_descriptors"):
            raise RunFormatError(
                f"{folder}: expected plain blocks, got compressed ones; repair: save them without compression"
            )
        return cls(path, int(state["offset"]), int(state["length"]))


@dataclasses.dataclass(eq=False)
class _Block:
    """A block of a tensor; its archive is opened on the first read, because there are as many as processes."""

    place: _Place
    dtype: str
    shape: tuple[int, ...]
    found: TensorInFile | None = None

    @property
    def identity(self) -> object:
        """Itself."""
        return self

    def read(self, start: int, out: Array) -> None:
        """Fill an array with entries from a start index on."""
        self._tensor().read(start, out)

    def verify(self) -> None:
        """Raise RunFormatError if the numbers are missing."""
        self._tensor().verify()

    def _tensor(self) -> TensorInFile:
        if self.found is None:
            where = self.place
            tensor = read_torch_file(where.path, where.begin, where.size)
            if not isinstance(tensor, TensorInFile) or (tensor.dtype, tensor.shape) != (self.dtype, self.shape):
                raise RunFormatError(
                    f"{where.path}: expected a block of shape {self.shape} at {where.begin}, got another"
                )
            self.found = tensor
        return self.found


def _tensor(name: str, state: dict[str, Any], places: dict[Any, _Place]) -> StoredTensor:
    properties = state["properties"].state
    dtype = str(properties[0] if isinstance(properties, tuple) else properties["dtype"])
    shape = tuple(int(n) for n in state["size"])
    blocks = []
    for chunk in state["chunks"]:
        corner, sizes = (tuple(int(n) for n in chunk.state[key]) for key in ("offsets", "sizes"))
        if math.prod(sizes):
            place = places.get((name, corner)) or places[name, ()]
            blocks.append((corner, _Block(place, dtype, sizes)))
    return TensorInPieces(dtype, shape, tuple(blocks))


def _put(tree: dict[str, Any], path: list[str], tensor: StoredTensor) -> None:
    *nest, last = path
    for part in nest:
        tree = tree.setdefault(part, {})
    tree[last] = tensor
