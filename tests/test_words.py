"""Plain English: words and phrases that a reader with another first language has to look up are not used."""

import ast
import io
import json
import pathlib
import re
import tokenize

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "trajmap"
# words, and what to write instead
FORBIDDEN = {
    r"gone on with|go(es|ing)? on\b|went on\b": "continue, resume",
    r"in the mean\b": "on average",
    r"good end\b": "higher is better, lower is better",
    r"foretell\w*": "predict",
    r"sha(kes?|ken|king)\b": "fluctuate",
    r"once more\b": "again",
    r"anew\b": "again",
    r"beside\b": "with, next to, compared with",
    r"told\b": "known, reported",
    r"bent\b": "curved",
    r"wish(es)?\b": "the option",
    r"says?\b": "returns, contains, shows",
    r"which are which|whatever (the|it|they)\b": "for any",
    r"(it|they|he|she) knows?\b|know nothing|knows nothing": "has, contains",
    r"where (it|they) lies?\b": "in place",
    r"the midst\b": "the middle",
    r"turned? round\b": "flipped",
    r"one (iterate|point|value|number|row) a (row|point|batch|name|place)\b": "per",
}


def prose(source: str) -> str:
    """Docstrings, comments, and strings of several words, one a line."""
    strings = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    ]
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    return "\n".join(" ".join(text.split()) for text in [*strings, *comments])


def hits(text: str) -> list[str]:
    return [
        f"{match.group(0)!r} (better: {better})"
        for pattern, better in FORBIDDEN.items()
        for match in re.finditer(rf"\b({pattern})", text, flags=re.IGNORECASE)
    ]


def modules() -> list[str]:
    return sorted(file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", modules())
def test_a_module(name):
    assert not hits(prose((PACKAGE / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("experiments/**/*.md"))])
def test_a_page(path):
    assert not hits(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not hits("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"))


def test_what_is_seen():
    source = '"""A run that is gone on with."""\nx = f"{1}: told anew"  # beside the point\ny = "told"\n'
    assert {hit.split("'")[1] for hit in hits(prose(source))} == {"gone on with", "told", "anew", "beside"}
    assert not hits("An essay on foretaste, toldness and besides.")
