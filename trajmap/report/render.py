"""Findings and figures to one HTML page without references to the network."""

import base64
import dataclasses
import html
from collections.abc import Sequence
from importlib.resources import files

from trajmap.kinds.finding import Finding

__all__ = ["Figure", "Section", "render_page"]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture in both themes, with its alternative text and its caption."""

    light: bytes
    dark: bytes
    text: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, its findings or the command that makes them, and figures.

    `stale` are lines about results that no longer belong to the run; `rows` are pairs of a term and its explanation,
    shown as a list of definitions.
    """

    title: str
    findings: Sequence[Finding] = ()
    missing: str = ""
    stale: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    rows: Sequence[tuple[str, str]] = ()
    wide: bool = False

    @property
    def anchor(self) -> str:
        """Name of the section in the page's address."""
        return self.title.lower().replace(" ", "-")


def render_page(title: str, subtitle: str, sections: Sequence[Section], *, embedded: str = "") -> str:
    """Build the page.

    Parameters
    ----------
    title, subtitle : str
        Plain text; escaped.
    sections : sequence of Section
        In order.
    embedded : str
        HTML of our own making to put after them, unescaped.

    Returns
    -------
    str
        A whole HTML document without references to other files, and without scripts but those in `embedded`.
    """
    links = "".join(f'<a href="#{s.anchor}">{_text(s.title)}</a>' for s in sections)
    style = files("trajmap.report").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{_text(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f'<header>\n<h1>{_text(title)}</h1>\n<p class="soft">{_text(subtitle)}</p>\n<nav>{links}</nav>\n</header>\n'
        + "".join(map(_section, sections))
        + embedded
        + "</main>\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _section(section: Section) -> str:
    parts = [f'<section id="{section.anchor}">\n<h2>{_text(section.title)}</h2>\n']
    parts += map(_finding, section.findings)
    parts += [f'<p class="stale">{_text(line)}</p>\n' for line in section.stale]
    if section.missing:
        parts.append(f'<p class="soft">{_text(section.missing)}</p>\n')
    if section.rows:
        items = "".join(f"<dt>{_text(term)}</dt><dd>{_text(words)}</dd>" for term, words in section.rows)
        parts.append(f"<dl>{items}</dl>\n")
    if section.figures:
        figures = "".join(map(_figure, section.figures))
        parts.append(f'<div class="figures{" wide" if section.wide else ""}">\n{figures}</div>\n')
    return "".join([*parts, "</section>\n"])


def _finding(finding: Finding) -> str:
    answer = {"yes": " holds", "no": " fails", "unknown": " unknown"}.get(finding.holds, "")
    words = {"yes": "holds", "no": "not shown", "unknown": "not known"}.get(finding.holds, "")
    verdict = f' <span class="verdict">Claim: {_text(finding.claim)} – {words}.</span>' if words else ""
    return f'<p class="finding{answer}">{_text(finding.sentence)}{verdict}</p>\n'


def _figure(figure: Figure) -> str:
    light, dark = (base64.b64encode(picture).decode() for picture in (figure.light, figure.dark))
    return (
        "<figure><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="data:image/png;base64,{dark}">'
        f'<img src="data:image/png;base64,{light}" alt="{_text(figure.text)}">'
        f"</picture><figcaption>{_text(figure.caption)}</figcaption></figure>\n"
    )
