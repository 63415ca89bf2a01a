"""The record of a kind of result: its file, its class, its picture and its sentences."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from trajmap._validation import worded
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.kinds.finding import Finding

if TYPE_CHECKING:
    from trajmap.kinds.artefacts import Artefacts

__all__ = ["Context", "Kept", "Kind", "alike", "each", "nothing"]


class Kept(Protocol):
    """What a kind needs of its noun: it can be opened."""

    @classmethod
    def open(cls, path: Any, /) -> Self:
        """Read it from a file or a folder."""


Noun = TypeVar("Noun", bound=Kept)
Other = TypeVar("Other", bound=Kept)


@dataclasses.dataclass(frozen=True)
class Context:
    """What a finding may use in addition to its own nouns: the run, and what else was made of it.

    Parameters
    ----------
    trajectory : Trajectory
        The run.
    artefacts : Artefacts
        Its results.
    """

    trajectory: Trajectory
    artefacts: "Artefacts"

    def all(self, kind: "Kind[Noun]") -> dict[str, Noun]:
        """Open the results of a kind by name; the run is not opened again.

        Parameters
        ----------
        kind : Kind
            The kind.

        Returns
        -------
        dict of str to noun
            Empty where there is none.
        """
        if isinstance(self.trajectory, kind.noun):
            return {"": self.trajectory}
        return self.artefacts.all(kind)


def nothing(found: Mapping[str, Any], context: Context) -> Sequence[Finding]:
    """Find nothing."""
    return ()


def alike(noun: Any) -> dict[str, float]:
    """Rank all results of a kind the same: the newest is the one to keep."""
    return {}


def each(find: Callable[[Any], Finding]) -> Callable[[Mapping[str, Any], Context], Sequence[Finding]]:
    """Make one finding of each noun, in order, by a function of the noun alone."""

    def findings(found: Mapping[str, Any], context: Context) -> Sequence[Finding]:
        return [find(noun) for noun in found.values()]

    return findings


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Kind(Generic[Noun]):
    """A kind of result, declared once. The report, ``plot``, ``info`` and the documentation use it.

    Parameters
    ----------
    name : str
        The name of its file in ``trajmap/kinds``; pictures are named after it.
    place : str
        Its file below ``artefacts/`` without the suffix; ``{}`` stands for a name where a run has several. Empty for
        the run itself.
    noun : type
        Its class, with ``open`` and ``save``.
    order : int
        Its place on the page: small numbers first.
    section : str
        Heading that it appears under; empty if it is not shown.
    title : str
        What it is called: its entry among the definitions.
    definition : str
        What it is, how to read it, its range, its null and its source.
    example : callable
        Makes a small noun of the kind without a run, for tests and documentation.
    command : str
        The verb that makes it, with ``{run}`` and ``{objective}`` to fill in; empty where none does.
    plot : callable, optional
        ``plot(noun, ax=...)`` draws it.
    no_picture : str
        Why there is no picture, where there is none.
    caption : callable
        The line below the picture of a noun.
    alternative : str
        The text that replaces the picture.
    interactive : callable, optional
        ``interactive(noun)`` makes a Plotly figure of it, or None where it has none.
    findings : callable
        ``findings(nouns by name, context)`` describes what was found, over all nouns of the kind together.
    no_finding : str
        Why there is no finding, where there is none.
    cautions : callable
        As `findings`, for the standing warnings that the nouns give reason to.
    shown : callable
        Chooses the nouns whose pictures are drawn on the page; all by default.
    effort : callable
        What a noun cost, as numbers by name: a result is replaced only by one that is less in none of them.
    follows : tuple of str
        What makes it stale when it changes: ``"length"`` of the run, ``"objective"``.
    together : bool
        Whether one picture shows all nouns of the kind: `plot` then takes them by name.
    wide : bool
        Whether the picture takes the whole width of the page.
    """

    name: str
    place: str
    noun: type[Noun]
    order: int
    section: str
    title: str
    definition: str
    example: Callable[[], Noun]
    command: str = ""
    plot: Callable[..., Any] | None = None
    no_picture: str = ""
    caption: Callable[[Any], str] = lambda noun: ""
    alternative: str = ""
    interactive: Callable[[Any], Any] | None = None
    findings: Callable[[Mapping[str, Any], Context], Sequence[Finding]] = nothing
    no_finding: str = ""
    cautions: Callable[[Mapping[str, Any], Context], Iterable[Finding]] = nothing
    shown: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    effort: Callable[[Any], dict[str, float]] = alike
    follows: tuple[str, ...] = ("length",)
    together: bool = False
    wide: bool = False

    @property
    def several(self) -> bool:
        """Whether a run may have several of them, by name."""
        return "{}" in self.place

    def at(self, name: str = "") -> str:
        """Place of the one with a name, below ``artefacts/`` and without the suffix.

        Parameters
        ----------
        name : str
            The name, such as that of a chart; empty for a kind that a run has one of.

        Returns
        -------
        str
            The place.

        Raises
        ------
        InputError
            If a name is missing, is not wanted, or is no file's name.
        """
        if bool(name) != self.several:
            expected = "a name" if self.several else "no name"
            raise InputError(worded(f"name of a {self.name}", expected, repr(name)))
        if name in {".", ".."} or {"/", "\\", "\0"} & set(name):
            raise InputError(worded(f"name of a {self.name}", "a file's name", repr(name)))
        return self.place.format(name)

    def pictures(self, found: Mapping[str, Noun]) -> dict[str, tuple[Any, str]]:
        """List what is drawn of some nouns: by the picture's name, what is drawn, and whose picture it is.

        Parameters
        ----------
        found : mapping of str to noun
            The nouns by name.

        Returns
        -------
        dict of str to tuple
            Names begin with the kind's; empty where the kind has no picture, or there is no noun.
        """
        if self.plot is None or not found:
            return {}
        if self.together:
            return {self.name: (dict(found), "")}
        return {f"{self.name}-{name}" if name else self.name: (noun, name) for name, noun in found.items()}
