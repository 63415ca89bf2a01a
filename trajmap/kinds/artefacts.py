"""The results in a run folder: opened and saved by their kinds, with their stamps."""

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trajmap._validation import worded
from trajmap.data.archive import Saved, digest_of, read_stamp
from trajmap.data.stamp import Stamp
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, RunFormatError
from trajmap.kinds.kind import Kind, Noun

__all__ = ["Artefacts"]


@dataclasses.dataclass(frozen=True)
class Artefacts:
    """The folder ``artefacts/`` of a run: verbs save their results in it and read those of others.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.

    Examples
    --------
    >>> from trajmap.kinds.landscape import LANDSCAPE
    >>> Artefacts.of("runs/base").path(LANDSCAPE, "pca").as_posix()
    'runs/base/artefacts/landscapes/pca.npz'
    """

    folder: Path

    @classmethod
    def of(cls, run: str | os.PathLike[str]) -> "Artefacts":
        """Name the results of a run folder; nothing is read or made."""
        return cls(Path(run))

    @property
    def figures(self) -> Path:
        """Folder of the drawn figures."""
        return self.folder / "artefacts" / "figures"

    def path(self, kind: Kind[Any], name: str = "") -> Path:
        """File of a result; the run folder itself for the run."""
        return self._file(kind.at(name)) if kind.place else self.folder

    def names(self, kind: Kind[Any]) -> list[str]:
        """Names of the existing results of a kind; ``[""]`` for the one of a kind without names."""
        if not kind.several:
            return [""] if self.path(kind).exists() else []
        place = self._file(kind.place)
        before, after = place.name.split("{}")
        pattern = re.compile(re.escape(before) + "(.+)" + re.escape(after))
        found = (pattern.fullmatch(path.name) for path in sorted(place.parent.glob("*.npz")))
        return [match.group(1) for match in found if match]

    def all(self, kind: Kind[Noun]) -> dict[str, Noun]:
        """Open the results of a kind by name.

        Parameters
        ----------
        kind : Kind
            The kind.

        Returns
        -------
        dict of str to noun
            In the order of the names; empty where there is none.
        """
        return {name: kind.noun.open(self.path(kind, name)) for name in self.names(kind)}

    def one(self, kind: Kind[Noun], name: str = "") -> Noun | None:
        """Open a result; None where it has not been made.

        Parameters
        ----------
        kind : Kind
            The kind.
        name : str
            Its name, of a kind that has several.

        Returns
        -------
        noun or None
            The result.
        """
        path = self.path(kind, name)
        return kind.noun.open(path) if path.exists() else None

    def stamp(self, kind: Kind[Any], name: str = "") -> Stamp | None:
        """Read what made a result; None if it was saved without a stamp."""
        return read_stamp(self.path(kind, name)) if kind.place else None

    def digest(self, kind: Kind[Any], name: str = "") -> str:
        """Digest of the content of a result, without its stamp; empty if there is none."""
        path = self.path(kind, name)
        return digest_of(path) if path.exists() else ""

    def inputs(self, kind: Kind[Any], *names: str) -> dict[str, str]:
        """Digests of results by place, for the stamp of what is made of them; of all of the kind by default."""
        return {kind.at(name): self.digest(kind, name) for name in names or self.names(kind)}

    def save(
        self, kind: Kind[Any], noun: Saved, name: str = "", *, stamp: Stamp | None = None, force: bool = False
    ) -> Path:
        """Save a result, unless one that cost more exists.

        Parameters
        ----------
        kind : Kind
            Its kind.
        noun : noun
            The result.
        name : str
            Its name, of a kind that has several.
        stamp : Stamp, optional
            What made it.
        force : bool
            Replace an existing result.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        InputError
            If a result of more effort exists that still belongs to the run.
        """
        if not force:
            self.require_room(kind, name, kind.effort(noun), stamp)
        return noun.save(self.path(kind, name), stamp=stamp)

    def require_room(self, kind: Kind[Any], name: str, effort: dict[str, float], stamp: Stamp | None) -> None:
        """Raise InputError if a result exists that a new one of some effort should not replace.

        A result is replaced by one that is less in none of its numbers. One that is damaged, was made of a shorter run,
        of another objective or of other results is replaced by any.

        Parameters
        ----------
        kind : Kind
            The kind.
        name : str
            The name, of a kind that has several.
        effort : dict of str to float
            What the new one costs, by the kind's own names; those that are not yet known may be left out.
        stamp : Stamp or None
            What makes the new one.

        Raises
        ------
        InputError
            If one that cost more exists.
        """
        try:
            there = self.one(kind, name)
            before = None if there is None else self.stamp(kind, name)
        except RunFormatError:
            return
        if there is None or self._outdated(kind, before, stamp):
            return
        had = kind.effort(there)
        less = [what for what in effort if effort[what] < had.get(what, 0.0)]
        if less:
            text = ", ".join(f"{what} {had[what]:g}" for what in less)
            got = ", ".join(f"{what} {effort[what]:g}" for what in less)
            raise InputError(
                worded(kind.at(name), f"no less than the result there has, {text}", got, "--force replaces it")
            )

    def stale(self, kind: Kind[Any], name: str, trajectory: Trajectory, objective: str = "") -> str:
        """Explain why a result no longer belongs to the run; empty if it does, or if it has no stamp.

        Parameters
        ----------
        kind : Kind
            The kind.
        name : str
            The name, of a kind that has several.
        trajectory : Trajectory
            The run as it is now.
        objective : str
            Digest of the objective that was used last; empty where that is not known.

        Returns
        -------
        str
            The reason in words, without a full stop.
        """
        stamp = self.stamp(kind, name)
        if stamp is None:
            return ""
        now = Stamp.of(trajectory, objective=objective)
        return self._other(kind, stamp, now) or self._changed(stamp)

    def _outdated(self, kind: Kind[Any], before: Stamp | None, now: Stamp | None) -> bool:
        if before is None or now is None:
            return False
        changed = any(before.inputs.get(place, digest) != digest for place, digest in now.inputs.items())
        return bool(self._other(kind, before, now)) or changed

    def _other(self, kind: Kind[Any], before: Stamp, now: Stamp) -> str:
        """Describe how the run or the objective differs."""
        if before.run != now.run:
            return "it was made of another run"
        longer = (before.n_iterates, before.last_step) != (now.n_iterates, now.last_step)
        if longer and "length" in kind.follows:
            was = f"{before.n_iterates} iterates to step {before.last_step}"
            return f"it was made when the run had {was}; now it has {now.n_iterates} to step {now.last_step}"
        if before.objective and now.objective and before.objective != now.objective and "objective" in kind.follows:
            return "it was made with another objective than the one used last"
        return ""

    def _changed(self, stamp: Stamp) -> str:
        gone = [place for place, digest in stamp.inputs.items() if self._digest(place) != digest]
        return f"it was made of another {', '.join(gone)} than the one that is there" if gone else ""

    def _digest(self, place: str) -> str:
        path = self._file(place)
        return digest_of(path) if path.exists() else ""

    def _file(self, place: str) -> Path:
        *folders, last = place.split("/")
        return self.folder.joinpath("artefacts", *folders, f"{last}.npz")

    def there(self, kinds: "tuple[Kind[Any], ...]") -> Iterator[tuple[Kind[Any], list[str]]]:
        """List the kinds of which a run has results, with their names."""
        for kind in kinds:
            names = self.names(kind)
            if names:
                yield kind, names
