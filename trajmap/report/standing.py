"""Warnings that apply to a run, and results that no longer belong to it."""

import dataclasses
from typing import Any

from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.kinds.loss_check import LOSS_CHECK
from trajmap.report.figures import Found

__all__ = ["Stale", "list_cautions", "list_stale"]


@dataclasses.dataclass(frozen=True)
class Stale:
    """Results of a kind that no longer belong to the run, and why.

    Parameters
    ----------
    kind : Kind
        The kind.
    reason : str
        Why, in words.
    names : tuple of str
        Names of the results.
    """

    kind: Kind[Any]
    reason: str
    names: tuple[str, ...]

    def sentence(self, command: str) -> str:
        """Name them, the reason, and the command that makes them again."""
        of = f" of {', '.join(self.names)}" if any(self.names) else ""
        redo = f" This command makes it again: {command}" if command else ""
        return f"Stale: {self.kind.title}{of}; {self.reason}.{redo}"


def list_stale(found: Found, context: Context) -> list[Stale]:
    """List the results that no longer belong to the run, to the objective used last or to what they were made of.

    Parameters
    ----------
    found : mapping of Kind to mapping
        The results.
    context : Context
        The run and its folder.

    Returns
    -------
    list of Stale
        One per kind and reason.
    """
    last = context.artefacts.stamp(LOSS_CHECK) if context.artefacts.names(LOSS_CHECK) else None
    objective = "" if last is None else last.objective
    listed: dict[tuple[Kind[Any], str], list[str]] = {}
    for kind, nouns in found.items():
        for name in nouns if kind.place else ():
            reason = context.artefacts.stale(kind, name, context.trajectory, objective)
            if reason:
                listed.setdefault((kind, reason), []).append(name)
    return [Stale(kind, reason, tuple(names)) for (kind, reason), names in listed.items()]


def list_cautions(found: Found, context: Context, stale: list[Stale]) -> list[Finding]:
    """Collect the warnings that apply to a run and its results.

    Parameters
    ----------
    found : mapping of Kind to mapping
        The results.
    context : Context
        The run and its folder.
    stale : list of Stale
        What no longer belongs to it.

    Returns
    -------
    list of Finding
        One per warning; its claim agrees with the sections.
    """
    standing = [Finding(_stale, float(sum(len(one.names) for one in stale)))] if stale else []
    for kind, nouns in found.items():
        standing += kind.cautions(nouns, context) if nouns else []
    return standing


def _stale(found: Finding) -> str:
    n = int(found.value)
    return f"{n} result{'' if n == 1 else 's'} no longer belong{'s' if n == 1 else ''} to the run as it is: see below."
