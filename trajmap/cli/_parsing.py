"""A parser that accepts options before and after the run folder, and suggests corrections."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from trajmap._validation import worded
from trajmap.cli._progress import printable
from trajmap.errors import InputError

__all__ = ["CreatedFolder", "VerbParser", "nearest"]


def nearest(word: str, known: Sequence[str]) -> str:
    """Format a question about the known word nearest to a given one, if any.

    Parameters
    ----------
    word : str
        The typed word.
    known : sequence of str
        The known words.

    Returns
    -------
    str
        ``"; did you mean …?"`` or nothing.

    Examples
    --------
    >>> nearest("surfaec", ["surface", "score"])
    '; did you mean surface?'
    >>> nearest("xyz", ["surface", "score"])
    ''
    """
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


class CreatedFolder(argparse.Action):
    """Stores a folder that the verb creates, so that it does not have to exist."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store the folder."""
        setattr(namespace, self.dest, values)


class VerbParser(argparse.ArgumentParser):
    """The arguments of one verb. Wrong use prints this verb's usage and leaves with status 2."""

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse, with options before, between and after the others.

        Parameters
        ----------
        argv : sequence of str
            Arguments after the verb.

        Returns
        -------
        argparse.Namespace
            The arguments.
        """
        args, rest = self.parse_known_args(self._unmixed(argv))
        for word in rest:
            if word.startswith("-"):
                self.error(f"unknown option {word}{nearest(word.partition('=')[0], list(self._option_string_actions))}")
        if rest:
            self.error(f"expected no more than the arguments above, got {' '.join(rest)}")
        return args

    def _unmixed(self, argv: Sequence[str]) -> list[str]:
        """Put what a list of choices cannot mean, such as a run folder after ``--charts pca``, in front."""
        front: list[str] = []
        others: list[str] = []
        choices: Sequence[str] | None = None
        for place, word in enumerate(argv):
            if word == "--":
                others += argv[place:]
                break
            if word.startswith("-"):
                action = self._option_string_actions.get(word)
                listed = action.choices if action is not None and action.nargs in {"+", "*"} else None
                choices = None if listed is None else list(listed)
                others.append(word)
            elif choices is None or word in choices or not Path(word).exists():
                others.append(word)
            else:
                choices = None
                front.append(word)
        return front + others

    def require_inputs(self, args: argparse.Namespace) -> None:
        """Check that each run that is named is there, before any work is done.

        Parameters
        ----------
        args : argparse.Namespace
            The arguments.

        Raises
        ------
        InputError
            If a folder is missing.
        """
        for action in self._actions:
            if action.metavar not in {"RUN", "OTHER"} or isinstance(action, CreatedFolder):
                continue
            given = getattr(args, action.dest)
            for path in given if isinstance(given, list) else [] if given is None else [given]:
                if not Path(path).exists():
                    name = "/".join(action.option_strings) or action.metavar
                    raise InputError(
                        worded(name, "a run folder, or a folder of checkpoints", f"{path}, which is not there")
                    )

    def error(self, message: str) -> NoReturn:
        """Print the usage and one line, and leave with status 2.

        Parameters
        ----------
        message : str
            What is wrong.

        Raises
        ------
        SystemExit
            Always.
        """
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {printable(message)}", file=sys.stderr)
        raise SystemExit(2)
