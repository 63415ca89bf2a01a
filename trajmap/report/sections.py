"""The sections of the page, made of the kinds' records."""

import itertools
from collections.abc import Sequence
from typing import Any

from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.report.figures import Found
from trajmap.report.render import Figure, Section
from trajmap.report.standing import Stale

__all__ = ["definitions", "evidence", "fill_command"]


def fill_command(kind: Kind[Any], run: str) -> str:
    """Fill in the command that makes a kind of result."""
    return kind.command.format(run=run, objective="--objective FILE.py:FUNCTION")


def evidence(
    found: Found,
    context: Context,
    stale: Sequence[Stale],
    pictures: tuple[dict[str, bytes], dict[str, bytes]],
    run: str,
) -> list[Section]:
    """Make the sections of the kinds, in their order.

    Parameters
    ----------
    found : mapping of Kind to mapping
        The results, also of kinds of which there are none.
    context : Context
        The run and its folder.
    stale : sequence of Stale
        Results that no longer belong to the run.
    pictures : tuple of dict
        The figures on a light background, and on a dark one.
    run : str
        Name of the run in the commands.

    Returns
    -------
    list of Section
        One per heading.
    """
    shown = sorted((kind for kind in found if kind.section), key=lambda kind: kind.order)
    sections = []
    for title, group in itertools.groupby(shown, key=lambda kind: kind.section):
        kinds = list(group)
        findings: list[Finding] = []
        for kind in kinds:
            findings += kind.findings(found[kind], context) if found[kind] else ()
        figures = [figure for kind in kinds for figure in _figures(kind, found, *pictures)]
        lines = [one.sentence(fill_command(one.kind, run)) for one in stale if one.kind in kinds]
        wide = any(kind.wide for kind in kinds)
        sections.append(Section(title, findings, _missing(kinds, found, run), lines, figures, wide=wide))
    return sections


def definitions(found: Found) -> list[tuple[str, str]]:
    """List the contents of the page, and how to read them."""
    return [(kind.title, kind.definition) for kind, nouns in found.items() if nouns and kind.section]


def _missing(kinds: Sequence[Kind[Any]], found: Found, run: str) -> str:
    """List the commands that make the missing results."""
    made = {kind.command for kind in kinds if found[kind]}
    absent = {kind.command: fill_command(kind, run) for kind in kinds if kind.command and kind.command not in made}
    if not absent:
        return ""
    named = [
        f"{', '.join(kind.title for kind in kinds if kind.command == template)}: {text}"
        for template, text in absent.items()
    ]
    return f"Missing. {'; '.join(named)}"


def _figures(kind: Kind[Any], found: Found, light: dict[str, bytes], dark: dict[str, bytes]) -> list[Figure]:
    figures = []
    for name, (drawn, whose) in kind.pictures(kind.shown(found[kind])).items():
        caption = kind.caption(drawn)
        # a section shows several charts: each caption names its chart
        text = f"{whose[0].upper()}{whose[1:]}: {caption[0].lower()}{caption[1:]}" if whose else caption
        figures.append(Figure(light[name], dark[name], f"{kind.alternative} {whose}".strip(), text))
    return figures
