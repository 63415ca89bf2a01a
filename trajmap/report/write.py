"""A run folder to one self-contained HTML file."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

from trajmap.data.atomic import write_parts
from trajmap.data.trajectory import Trajectory
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context
from trajmap.kinds.listed import KINDS
from trajmap.report.figures import Found, draw_figures
from trajmap.report.render import Section, render_page
from trajmap.report.sections import definitions, evidence
from trajmap.report.standing import list_cautions, list_stale

__all__ = ["gather", "write_report"]


def write_report(
    run: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    interactive: bool = False,
) -> Path:
    """Write the page of a run from its artefacts.

    Parameters
    ----------
    run : path-like
        The run folder.
    path : path-like, optional
        The HTML file; ``report.html`` in the run folder by default.
    title : str, optional
        Heading of the page.
    interactive : bool
        Add interactive 3-D surfaces by Plotly, whose script (5 MB) is then inside the file.

    Returns
    -------
    pathlib.Path
        The file: no scripts unless `interactive`, no reference to another file, light and dark, readable on a phone.

    Raises
    ------
    RunFormatError
        If the folder is no run, or an artefact is damaged.
    MissingExtraError
        If `interactive` is set without Plotly.
    """
    context = Context(Trajectory.open(run), Artefacts.of(run))
    name = Path(run).resolve().name  # the folder above it may be private
    found = gather(context)
    target = Path(run) / "report.html" if path is None else Path(path)
    heading = title or f"Where the optimizer went: {name}"
    embedded = _surfaces_3d(found) if interactive else ""
    page = render_page(
        heading, _subtitle(context.trajectory), _sections(found, context, shlex.quote(name)), embedded=embedded
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_parts(target, [page.encode("utf-8")])
    return target


def gather(context: Context) -> Found:
    """Open the results of every kind, also of those of which there are none.

    Parameters
    ----------
    context : Context
        The run and its folder.

    Returns
    -------
    dict of Kind to dict
        The results by kind and name.
    """
    return {kind: context.all(kind) for kind in KINDS}


def _subtitle(trajectory: Trajectory) -> str:
    optimizer = trajectory.settings.get("optimizer", {})
    parts = [
        f"{trajectory.n_iterates} iterates",
        f"{trajectory.size:,} parameters",
        str(trajectory.settings.get("model", "")),
    ]
    if optimizer:
        parts.append(f"{optimizer.get('class')} with learning rate {optimizer.get('lr')}")
    return " · ".join(part for part in parts if part)


def _sections(found: Found, context: Context, run: str) -> list[Section]:
    light, dark = (draw_figures(found, dark=ground) for ground in (False, True))
    stale = list_stale(found, context)
    warnings = list_cautions(found, context, stale)
    return [
        *evidence(found, context, stale, (light, dark), run),
        Section(
            "Cautions",
            [Finding(_count, len(warnings))],
            rows=[(f"{i}.", caution.sentence) for i, caution in enumerate(warnings, 1)],
        ),
        Section(
            "Definitions",
            missing="What each number is: its range, which direction is better, its source.",
            rows=definitions(found),
        ),
        Section("Settings", missing="The recorder's settings, from run.json.", rows=_settings(context.trajectory)),
    ]


def _count(found: Finding) -> str:
    n = int(found.value)
    if not n:
        return "No warning applies to this run."
    return f"{n} warning{'' if n == 1 else 's'} appl{'ies' if n == 1 else 'y'} to this run."


def _settings(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(name, json.dumps(value)) for name, value in trajectory.settings.items()]


def _surfaces_3d(found: Found) -> str:
    """Write the interactive surfaces as one HTML section; Plotly's script comes with the first, inside the page."""
    drawn: list[Any] = [
        figure
        for kind, nouns in found.items()
        if kind.interactive is not None
        for noun in nouns.values()
        if (figure := kind.interactive(noun)) is not None
    ]
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=i == 0, default_height="560px")
        for i, figure in enumerate(drawn)
    ]
    if not parts:
        return ""
    figures = "".join(f'<div class="relief">{part}</div>\n' for part in parts)
    return (
        f'<section id="surfaces-3d">\n<h2>3-D surfaces</h2>\n<p class="soft">Drag to turn.</p>\n{figures}</section>\n'
    )
