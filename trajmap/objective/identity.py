"""What tells an objective's data from other data, at the price of a few entries of each tensor."""

from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from trajmap.objective.objective import Objective

__all__ = ["Digest", "digest_data"]

# entries of each tensor of the data that its digest reads: any other change shows in the losses
_DIGESTED = 2**16


class Digest(Protocol):
    """A hash that takes bytes, as those of hashlib."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""


def digest_data(digest: Digest, objective: "Objective") -> None:
    """Put the shapes, the number formats and some entries of an objective's data into a digest.

    Parameters
    ----------
    digest : Digest
        The digest.
    objective : Objective
        The loss.
    """
    for batch in objective.parts.batches.kept:
        for leaf in batch.leaves:
            flat = torch.as_tensor(leaf).detach().reshape(-1)
            few = flat[:: max(1, len(flat) // _DIGESTED)].cpu().contiguous()
            digest.update(f"{tuple(leaf.shape)} {leaf.dtype}".encode() + few.view(torch.uint8).numpy().tobytes())
