"""What made a result: the run and how long it was, the verb, its options, the objective, the results it was made of."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trajmap.data.plain import plain_json
from trajmap.errors import RunFormatError

if TYPE_CHECKING:
    from trajmap.data.trajectory import Trajectory

__all__ = ["Stamp"]


@dataclasses.dataclass(frozen=True)
class Stamp:
    """What a result was made of, kept with it as plain words and numbers.

    Parameters
    ----------
    run : str
        The run's identity.
    n_iterates, last_step : int
        How many finite iterates it had, and the last one's step.
    verb : str
        What made the result.
    settings : dict
        Its options.
    objective : str
        Digest of the loss; empty where none was used.
    inputs : dict of str to str
        Digests of the results that it was made of, by their places.
    versions : dict of str to str
        Versions of the packages that took part.

    Examples
    --------
    >>> stamp = Stamp("a1", 12, 11, "embed", {"seed": 0})
    >>> Stamp.parse(stamp.text) == stamp
    True
    """

    run: str = ""
    n_iterates: int = 0
    last_step: int = 0
    verb: str = ""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    objective: str = ""
    inputs: dict[str, str] = dataclasses.field(default_factory=dict)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, trajectory: "Trajectory", verb: str = "", **more: Any) -> "Stamp":
        """Stamp what is made of a run as it is now.

        Parameters
        ----------
        trajectory : Trajectory
            The run; iterates with NaN or inf do not count.
        verb : str
            What makes the result.
        **more
            Other fields.

        Returns
        -------
        Stamp
            The stamp.
        """
        steps = trajectory.steps[trajectory.is_finite]
        last = int(steps[-1]) if len(steps) else -1
        return cls(_identity(trajectory), len(steps), last, verb, **more)

    @property
    def text(self) -> str:
        """The stamp as JSON."""
        return json.dumps(dataclasses.asdict(self) | {"settings": plain_json("settings", self.settings)})

    @classmethod
    def parse(cls, text: str | bytes) -> "Stamp":
        """Read it back.

        Parameters
        ----------
        text : str or bytes
            As `text`.

        Returns
        -------
        Stamp
            The stamp.

        Raises
        ------
        RunFormatError
            If it is no stamp.
        """
        try:
            content = json.loads(text)
            known = {field.name: content[field.name] for field in dataclasses.fields(cls)}
            return cls(**known)
        except (ValueError, KeyError, TypeError) as error:
            raise RunFormatError(f"stamp: expected what made a result, got {error!r}") from error


def _identity(trajectory: "Trajectory") -> str:
    """Name a run: by the word in its header, or by its layout and first iterate where there is none."""
    header = trajectory.header
    if header is not None and header.identity:
        return header.identity
    words: Mapping[str, Any] = {
        "names": trajectory.layout.names,
        "shapes": trajectory.layout.shapes,
        "first": int(trajectory.steps[0]),
        "loss": [str(values[0]) for values in trajectory.scalars.values()],
    }
    digest = hashlib.sha256(json.dumps(words).encode())
    digest.update(np.ascontiguousarray(trajectory.theta(0)[:4096]).tobytes())
    return digest.hexdigest()[:32]
