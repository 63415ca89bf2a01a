"""Where a verb's results go, and what is noted of how they were made."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from trajmap import __version__
from trajmap.cli._objective import objective_digest
from trajmap.cli._output import NOT_OPTIONS
from trajmap.cli._progress import say
from trajmap.data.archive import Saved
from trajmap.data.stamp import Stamp
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.kind import Kind
from trajmap.objective.objective import Objective

__all__ = ["Results", "add_force", "package_versions"]

# the run is in the stamp itself, and a forced result is made as any other
_NOT_SETTINGS = NOT_OPTIONS | {"run_folder", "force"}
_PACKAGES = ("numpy", "scipy", "sklearn", "torch", "umap", "phate")


@dataclasses.dataclass(frozen=True)
class Results:
    """The results of one run of a verb.

    Parameters
    ----------
    artefacts : Artefacts
        Where they go.
    stamp : Stamp
        What makes them.
    force : bool
        Replace results that cost more.
    """

    artefacts: Artefacts
    stamp: Stamp
    force: bool = False

    @classmethod
    def of(
        cls, verb: str, args: argparse.Namespace, trajectory: Trajectory, objective: Objective | None = None
    ) -> "Results":
        """Note what a verb was asked to do, of which run and with which loss.

        Parameters
        ----------
        verb : str
            The name of its module.
        args : argparse.Namespace
            Its options.
        trajectory : Trajectory
            The run.
        objective : Objective, optional
            The loss.

        Returns
        -------
        Results
            Where to keep what it finds.
        """
        options = {name: _plain(value) for name, value in vars(args).items() if name not in _NOT_SETTINGS}
        stamp = Stamp.of(
            trajectory,
            verb.rpartition(".")[2],
            settings=options,
            objective="" if objective is None else objective_digest(args.objective, objective),
            versions=package_versions(),
        )
        return cls(Artefacts.of(args.run_folder), stamp, args.force)

    def made_of(self, kind: Kind[Any], *names: str) -> "Results":
        """Note results of a kind that further ones are made of; all of the kind by default."""
        inputs = self.stamp.inputs | self.artefacts.inputs(kind, *names)
        return dataclasses.replace(self, stamp=dataclasses.replace(self.stamp, inputs=inputs))

    def save(self, kind: Kind[Any], noun: Saved, name: str = "") -> None:
        """Keep a result; if one that cost more exists, keep that one and print a line."""
        try:
            self.artefacts.save(kind, noun, name, stamp=self.stamp, force=self.force)
        except InputError as error:
            say(f"  not replaced: {error}")

    def require_room(self, kind: Kind[Any], name: str = "", **effort: float) -> None:
        """Raise InputError before the work where its result would not be kept; `effort` is what is known of it."""
        if not self.force:
            asked = {what.replace("_", " "): value for what, value in effort.items()}
            self.artefacts.require_room(kind, name, asked, self.stamp)


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add the flag to replace results that cost more."""
    parser.add_argument("--force", action="store_true", help="replace results that cost more than the new ones")


def package_versions() -> dict[str, str]:
    """Versions of trajmap and of the packages that were loaded for the work.

    Returns
    -------
    dict of str to str
        By name.
    """
    loaded = {name: sys.modules[name] for name in _PACKAGES if name in sys.modules}
    versions = {name: str(getattr(module, "__version__", "")) for name, module in loaded.items()}
    return {"trajmap": __version__} | versions


def _plain(value: Any) -> Any:
    """Word an option; of a path only its name, because the location of files is private."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, str):
        return value.rpartition("/")[2]
    return value
