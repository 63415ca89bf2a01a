"""The verbs of the command line: the files of this folder, read without importing them."""

import ast
import dataclasses
import functools
import importlib
import pathlib
from types import ModuleType

__all__ = ["GROUPS", "Verb", "load", "names", "verbs"]

# groups of `trajmap help`, in this order; each verb's file contains its group
GROUPS = {
    "start": "First steps",
    "road": "The steps of an analysis",
    "questions": "Questions about a training",
    "studies": "Studies of landscapes, as published",
}


@dataclasses.dataclass(frozen=True)
class Verb:
    """One verb, known by its file.

    Attributes
    ----------
    name : str
        As it is typed.
    text : str
        Its file's docstring.
    group : str
        One of `GROUPS`.
    order : int
        Place within the group; those of one place come by name.
    """

    name: str
    text: str
    group: str
    order: int

    @property
    def summary(self) -> str:
        """The first line."""
        return self.text.splitlines()[0]


def names() -> list[str]:
    """List the names of the verbs; no file is read.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return [file.stem for file in _files()]


@functools.cache
def verbs() -> dict[str, Verb]:
    """List the verbs by group and place, for the help; no verb is imported, so that help costs no torch.

    Returns
    -------
    dict
        Verbs by name.
    """
    listed = sorted(map(_read, _files()), key=lambda verb: (list(GROUPS).index(verb.group), verb.order, verb.name))
    return {verb.name: verb for verb in listed}


def _files() -> list[pathlib.Path]:
    return sorted(pathlib.Path(__file__).parent.glob("[a-z]*.py"))


def _read(file: pathlib.Path) -> Verb:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    # the line GROUP, ORDER = "road", 10
    places = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"GROUP, ORDER", "(GROUP, ORDER)"}
    ]
    group, order = places[0] if places else ("road", 90)
    return Verb(file.stem, ast.get_docstring(tree) or "", group, order)


def load(name: str) -> ModuleType:
    """Import a verb's file: ``add_arguments(parser)`` and ``run(args)``.

    Parameters
    ----------
    name : str
        The verb.

    Returns
    -------
    module
        Its module.
    """
    return importlib.import_module(f"trajmap.cli.{name}")
